/*
 * The insides of the circuit handshakes, with every random choice as an
 * argument, so that published vectors can be put through them. Used by
 * handshake_*.c and their tests only.
 */
#ifndef RELAY_HANDSHAKE_PRIV_H
#define RELAY_HANDSHAKE_PRIV_H

#include "handshake.h"

enum { NTOR3_KEYSTREAM_MAX = 256 };

/* Split CIRCUIT_KEYS_LEN bytes of key material: Df Db Kf Kb (tor-spec 5.2.2). */
void circuit_keys_set(struct circuit_keys *k, const uint8_t raw[CIRCUIT_KEYS_LEN]);

/*
 * Return the onion key with this public half, borrowed, or NULL. Time does not
 * tell which one it was.
 */
const struct x25519_key *handshake_find_key(const struct handshake_keys *keys,
					    const uint8_t public_key[X25519_LEN]);

/* CREATED_FAST with Y chosen by the caller. */
void fast_server_answer(uint8_t reply[FAST_REPLY_LEN], struct circuit_keys *ret_keys,
			const uint8_t x[FAST_ONION_LEN], const uint8_t y[20]);

/* ntor with the ephemeral key chosen by the caller. */
void ntor_client_start_with(struct ntor_client *s, uint8_t onion[NTOR_ONION_LEN],
			    const uint8_t rsa_id[20], const uint8_t onion_key[32],
			    const uint8_t x[32], const uint8_t X[32]);
int ntor_server_answer(uint8_t *reply, size_t *ret_reply_len, struct circuit_keys *ret_keys,
		       const struct handshake_keys *keys, const uint8_t *onion, size_t len,
		       const uint8_t y[32], const uint8_t Y[32]);

/*
 * ntor-v3: what both sides know once the client's half is made. The pointers
 * are borrowed; `bx` is secret.
 */
struct ntor3_half {
	const uint8_t *id, *B, *X;	/* 32 bytes each */
	const char *verification;
	uint8_t bx[32];
};

/*
 * Open a client's message: fills `half`, and decrypts the extension message to
 * `msg` (NTOR3_MSG_MAX). ERR_AUTH when it is not for one of `keys`.
 */
int ntor3_server_open(struct ntor3_half *half, uint8_t *msg, size_t *ret_msg_len,
		      const struct handshake_keys *keys, const char *verification,
		      const uint8_t *onion, size_t len);

/* Answer what was opened: Y, AUTH and `msg` encrypted; then `ks_len` bytes of keystream. */
int ntor3_server_answer(uint8_t *reply, size_t *ret_reply_len, uint8_t *ret_ks, size_t ks_len,
			const struct ntor3_half *half, const uint8_t client_mac[32],
			const uint8_t y[32], const uint8_t Y[32], const uint8_t *msg, size_t msg_len);

int ntor3_client_start_with(struct ntor3_client *s, uint8_t *onion, size_t cap, size_t *ret_len,
			    const uint8_t ed_id[32], const uint8_t onion_key[32],
			    const uint8_t *msg, size_t msg_len, const char *verification,
			    const uint8_t x[32], const uint8_t X[32]);
int ntor3_client_finish_with(uint8_t *ret_ks, size_t ks_len, uint8_t *ret_msg, size_t cap,
			     size_t *ret_msg_len, struct ntor3_client *s,
			     const uint8_t *reply, size_t len, const char *verification);

#endif
