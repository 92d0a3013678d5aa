/*
 * The ntor-v3 server with fixed keys, and the extension lists: first as bytes
 * from the wire, then as the message of a client that seals it properly.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/crypto.h>

#include "../../relay/cell.h"
#include "../../relay/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct handshake_keys keys;

static void setup(void)
{
	uint8_t secret[32];

	if (keys.onion[0])
		return;
	if (crypto_init() < 0)
		abort();
	memset(keys.ed_id, 'e', sizeof(keys.ed_id));
	memset(keys.rsa_id, 'r', sizeof(keys.rsa_id));
	for (int i = 0; i < 2; i++) {
		memset(secret, 'k' + i, sizeof(secret));
		keys.onion[i] = x25519_key_new(secret);
	}
}

static int serve(const uint8_t *onion, size_t len, uint8_t reply[CELL_BODY_LEN], size_t *ret_reply_len)
{
	struct circuit_params p = { .congestion_control = true, .sendme_inc = 31 };
	struct circuit_keys k;

	return ntor3_server(reply, ret_reply_len, &k, &p, &keys, onion, len);
}

/* The server must answer exactly when the list is good, and the client must believe it. */
static void round_trip(const uint8_t *msg, size_t len)
{
	uint8_t onion[CELL_BODY_LEN + NTOR3_MSG_MAX], reply[CELL_BODY_LEN], answer[NTOR3_MSG_MAX];
	size_t onion_len, reply_len, answer_len;
	struct circuit_params asked, got;
	struct circuit_keys k;
	struct ntor3_client c;
	int good = ntor3_ext_parse_request(&asked, msg, len);

	if (ntor3_client_start(&c, onion, sizeof(onion), &onion_len, keys.ed_id,
			       x25519_key_public(keys.onion[1]), msg, len) < 0)
		abort();
	if (serve(onion, onion_len, reply, &reply_len) != good)
		abort();
	if (good < 0)
		return;
	if (ntor3_client_finish(&k, answer, sizeof(answer), &answer_len, &c, reply, reply_len) < 0 ||
	    ntor3_ext_parse_response(&got, answer, answer_len) < 0 ||
	    got.congestion_control != asked.congestion_control)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t reply[CELL_BODY_LEN];
	struct circuit_params p;
	struct circuit_keys k;
	size_t reply_len;

	setup();
	(void)serve(data, len, reply, &reply_len);
	(void)ntor_server(reply, &reply_len, &k, &keys, data, len);
	(void)ntor3_ext_parse_response(&p, data, len);
	if (len <= NTOR3_MSG_MAX)
		round_trip(data, len);
	return 0;
}
