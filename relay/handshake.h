/*
 * Circuit handshakes, both sides: CREATE_FAST (tor-spec 5.1.5), ntor (5.1.4)
 * and ntor-v3 (proposal 332). Pure functions over bytes; the client sides serve tests
 * and self-test circuits.
 */
#ifndef RELAY_HANDSHAKE_H
#define RELAY_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/crypto.h>

enum {
	FAST_ONION_LEN = 20,
	FAST_REPLY_LEN = 40,
	NTOR_ONION_LEN = 84,
	NTOR_REPLY_LEN = 64,
	NTOR3_ONION_MIN = 32 + 32 + 32 + 32,	/* id, B, X, mac; the encrypted message between X and mac */
	NTOR3_REPLY_MIN = 64,
	NTOR3_MSG_MAX = 400,
	HANDSHAKE_REPLY_CAP = 128,	/* no server's reply is longer */
	CIRCUIT_KEYS_LEN = 72,		/* Df Db Kf Kb */
};

/* Keys of one hop: forward is away from the client (tor-spec 5.2). Wipe after use. */
struct circuit_keys {
	uint8_t df[20];
	uint8_t db[20];
	uint8_t kf[16];
	uint8_t kb[16];
};

/* The two onion keys a relay answers with: current, and the one before or NULL. */
struct handshake_keys {
	uint8_t rsa_id[20];
	uint8_t ed_id[32];
	const struct x25519_key *onion[2];
};

/* What ntor-v3 extensions asked for and what we answer (proposal 332, 324). */
struct circuit_params {
	bool congestion_control;	/* client asked, and we agreed */
	uint8_t sendme_inc;		/* in and out: cells per SENDME */
};

/*
 * Servers. `reply` has room for HANDSHAKE_REPLY_CAP bytes and does not overlap
 * `onion`. ERR_AUTH: not for one of our keys. Neither allocates for itself, and
 * each does at most three curve operations. Outputs but `reply` keep their old
 * value on failure.
 */
void fast_server(uint8_t reply[FAST_REPLY_LEN], struct circuit_keys *ret_keys,
		 const uint8_t x[FAST_ONION_LEN]);
int ntor_server(uint8_t *reply, size_t *ret_reply_len, struct circuit_keys *ret_keys,
		const struct handshake_keys *keys, const uint8_t *onion, size_t len);

/*
 * `params` in: whether congestion control is on offer and its sendme_inc; out:
 * what was agreed. ERR_UNSUPPORTED when the client demands a subprotocol
 * (extension type 3) that we lack: the circuit must fail.
 */
int ntor3_server(uint8_t *reply, size_t *ret_reply_len, struct circuit_keys *ret_keys,
		 struct circuit_params *params, const struct handshake_keys *keys,
		 const uint8_t *onion, size_t len);

/* ERR_AUTH when the reply does not go with `x`. */
int fast_client_finish(struct circuit_keys *ret_keys, const uint8_t x[FAST_ONION_LEN],
		       const uint8_t reply[FAST_REPLY_LEN]);

/* Clients: state between the two messages; wiped by the finishing call. */
struct ntor_client {
	uint8_t rsa_id[20];
	uint8_t onion_key[32];
	uint8_t x[32], X[32];
};
void ntor_client_start(struct ntor_client *s, uint8_t onion[NTOR_ONION_LEN],
		       const uint8_t rsa_id[20], const uint8_t onion_key[32]);
int ntor_client_finish(struct circuit_keys *ret_keys, struct ntor_client *s,
		       const uint8_t *reply, size_t len);

struct ntor3_client {
	uint8_t ed_id[32];
	uint8_t onion_key[32];
	uint8_t x[32], X[32];
	uint8_t bx[32];
	uint8_t msg_mac[32];
};
int ntor3_client_start(struct ntor3_client *s, uint8_t *onion, size_t cap, size_t *ret_len,
		       const uint8_t ed_id[32], const uint8_t onion_key[32],
		       const uint8_t *msg, size_t msg_len);
int ntor3_client_finish(struct circuit_keys *ret_keys, uint8_t *ret_msg, size_t cap,
			size_t *ret_msg_len, struct ntor3_client *s,
			const uint8_t *reply, size_t len);

/*
 * The extension list carried inside ntor-v3: a count, then type, length and
 * body of each (proposals 332 A.2, 324 10.3). Unknown types and repeats of
 * a type are ignored. ERR_MALFORMED for a list that does not fill the message exactly or a
 * known extension of the wrong form; ERR_UNSUPPORTED for a subprotocol we lack.
 */
int ntor3_ext_parse_request(struct circuit_params *ret, const uint8_t *msg, size_t len);
int ntor3_ext_build_request(uint8_t *out, size_t cap, size_t *ret_len, bool congestion_control);
int ntor3_ext_parse_response(struct circuit_params *ret, const uint8_t *msg, size_t len);
int ntor3_ext_build_response(uint8_t *out, size_t cap, size_t *ret_len,
			     const struct circuit_params *params);

#endif
