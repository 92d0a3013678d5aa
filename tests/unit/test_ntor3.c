/* ntor-v3 and its extensions. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/rand.h>

#include "../../relay/cell.h"
#include "handshake_test.h"
#include "vectors.h"

/* One handshake with every value given; both ends must arrive at what the file says. */
static void check_vector(const char *name)
{
	json_t *doc = vectors_load("handshake.json"), *v = json_object_get(doc, name);
	uint8_t b[32], x[32], X[32], y[32], Y[32], onion[512], reply[CELL_BODY_LEN], ks[256], want_ks[256];
	uint8_t client_msg[64], server_msg[64], msg[NTOR3_MSG_MAX];
	char verification[64] = { 0 };
	struct handshake_keys hk = { .rsa_id = { 0 } };
	size_t cm_len, sm_len, ks_len, len = 0, reply_len = 0, msg_len = 0;
	struct ntor3_client c;
	struct ntor3_half half;
	struct x25519_key *key;

	vector_get(b, 32, v, "b");
	vector_get(x, 32, v, "x"), vector_get(X, 32, v, "X");
	vector_get(y, 32, v, "y"), vector_get(Y, 32, v, "Y");
	vector_get(hk.ed_id, 32, v, "id");
	vector_get((uint8_t *)verification, sizeof(verification) - 1, v, "verification");
	cm_len = vector_get(client_msg, sizeof(client_msg), v, "client_msg");
	sm_len = vector_get(server_msg, sizeof(server_msg), v, "server_msg");
	ks_len = vector_get(want_ks, sizeof(want_ks), v, "keystream");
	hk.onion[0] = key = x25519_key_new(b);
	vector_expect(v, "B", x25519_key_public(key), 32);

	assert_int_equal(ntor3_client_start_with(&c, onion, sizeof(onion), &len, hk.ed_id,
						 x25519_key_public(key), client_msg, cm_len,
						 verification, x, X), 0);
	vector_expect(v, "onion", onion, len);
	assert_int_equal(ntor3_server_open(&half, msg, &msg_len, &hk, verification, onion, len), 0);
	assert_int_equal(msg_len, cm_len);
	assert_memory_equal(msg, client_msg, cm_len);
	assert_int_equal(ntor3_server_answer(reply, &reply_len, ks, ks_len, &half, onion + len - 32,
					     y, Y, server_msg, sm_len), 0);
	vector_expect(v, "reply", reply, reply_len);
	assert_memory_equal(ks, want_ks, ks_len);
	memset(ks, 0, sizeof(ks));
	assert_int_equal(ntor3_client_finish_with(ks, ks_len, msg, sizeof(msg), &msg_len, &c, reply,
						  reply_len, verification), 0);
	assert_int_equal(msg_len, sm_len);
	assert_memory_equal(msg, server_msg, sm_len);
	assert_memory_equal(ks, want_ks, ks_len);
	x25519_key_free(key);
	json_decref(doc);
}

static void test_proposal_vector(void **state)
{
	(void)state;
	check_vector("ntor3_prop332");
}

static void test_circuit_vector(void **state)
{
	json_t *doc = vectors_load("handshake.json"), *v = json_object_get(doc, "ntor3_circuit");
	uint8_t ks[CIRCUIT_KEYS_LEN];
	struct circuit_keys k;

	(void)state;
	check_vector("ntor3_circuit");
	vector_get(ks, sizeof(ks), v, "keystream");
	circuit_keys_set(&k, ks);
	vector_expect(v, "df", k.df, 20);
	vector_expect(v, "db", k.db, 20);
	vector_expect(v, "kf", k.kf, 16);
	vector_expect(v, "kb", k.kb, 16);
	json_decref(doc);
}

/* The relay's whole call, against the vector's client message. */
static void test_server_opens_vector(void **state)
{
	json_t *doc = vectors_load("handshake.json"), *v = json_object_get(doc, "ntor3_circuit");
	struct circuit_params p = { .congestion_control = true, .sendme_inc = 31 };
	struct handshake_keys hk = { .rsa_id = { 0 } };
	uint8_t b[32], onion[512], reply[CELL_BODY_LEN];
	struct x25519_key *key;
	struct circuit_keys k;
	size_t len, reply_len;

	(void)state;
	vector_get(b, 32, v, "b");
	vector_get(hk.ed_id, 32, v, "id");
	hk.onion[1] = key = x25519_key_new(b);
	len = vector_get(onion, sizeof(onion), v, "onion");
	assert_int_equal(ntor3_server(reply, &reply_len, &k, &p, &hk, onion, len), 0);
	assert_int_equal(reply_len, NTOR3_REPLY_MIN + 4);
	assert_true(p.congestion_control);
	assert_int_equal(p.sendme_inc, 31);
	x25519_key_free(key);
	json_decref(doc);
}

/* Client and server with each combination of asking and offering. */
static void test_negotiation(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		bool asks = i & 1, offers = i & 2;
		struct circuit_params p = { .congestion_control = offers, .sendme_inc = 31 }, got;
		const struct x25519_key *key = keys.onion[i >> 2];
		uint8_t ext[8], onion[505], reply[CELL_BODY_LEN], msg[NTOR3_MSG_MAX];
		size_t ext_len, len, reply_len, msg_len;
		struct circuit_keys ks, kc;
		struct ntor3_client c;

		assert_int_equal(ntor3_ext_build_request(ext, sizeof(ext), &ext_len, asks), 0);
		assert_int_equal(ntor3_client_start(&c, onion, sizeof(onion), &len, keys.ed_id,
						    x25519_key_public(key), ext, ext_len), 0);
		assert_int_equal(ntor3_server(reply, &reply_len, &ks, &p, &keys, onion, len), 0);
		assert_int_equal(ntor3_client_finish(&kc, msg, sizeof(msg), &msg_len, &c, reply,
						     reply_len), 0);
		assert_memory_equal(&ks, &kc, sizeof(ks));
		assert_int_equal(ntor3_ext_parse_response(&got, msg, msg_len), 0);
		assert_int_equal(got.congestion_control, asks && offers);
		assert_int_equal(got.sendme_inc, asks && offers ? 31 : 0);
		assert_int_equal(p.congestion_control, asks && offers);
		assert_int_equal(p.sendme_inc, asks && offers ? 31 : 0);
		for (size_t n = 0; n < sizeof(c); n++)		/* wiped */
			assert_int_equal(((uint8_t *)&c)[n], 0);
	}
}

/* Any changed byte, any other length: refused, and nothing is written. */
static void test_refused(void **state)
{
	struct circuit_params p = { .congestion_control = true, .sendme_inc = 31 };
	uint8_t onion[600], reply[CELL_BODY_LEN];
	struct circuit_keys k = { .kf = { 7 } };
	struct ntor3_client c;
	size_t len, reply_len = 77;

	(void)state;
	assert_int_equal(ntor3_client_start(&c, onion, sizeof(onion), &len, keys.ed_id,
					    x25519_key_public(keys.onion[0]), (const uint8_t *)"\1\1\0", 3), 0);
	assert_int_equal(len, NTOR3_ONION_MIN + 3);
	for (size_t i = 0; i < len; i++) {
		onion[i] ^= 0x20;
		assert_int_equal(ntor3_server(reply, &reply_len, &k, &p, &keys, onion, len), ERR_AUTH);
		onion[i] ^= 0x20;
	}
	for (size_t n = 0; n < len; n++)
		assert_int_equal(ntor3_server(reply, &reply_len, &k, &p, &keys, onion, n),
				 n < NTOR3_ONION_MIN ? ERR_MALFORMED : ERR_AUTH);
	assert_int_equal(ntor3_server(reply, &reply_len, &k, &p, &keys, onion,
				      NTOR3_ONION_MIN + NTOR3_MSG_MAX + 1), ERR_MALFORMED);
	memset(onion + 64, 0, 32);				/* X of small order */
	assert_int_equal(ntor3_server(reply, &reply_len, &k, &p, &keys, onion, len), ERR_AUTH);
	assert_int_equal(reply_len, 77);
	assert_int_equal(k.kf[0], 7);
	assert_true(p.congestion_control && p.sendme_inc == 31);
}

static int serve(const char *ext, size_t ext_len)
{
	struct circuit_params p = { .congestion_control = true, .sendme_inc = 31 };
	uint8_t onion[600], reply[CELL_BODY_LEN];
	struct circuit_keys k;
	struct ntor3_client c;
	size_t len, reply_len;

	assert_int_equal(ntor3_client_start(&c, onion, sizeof(onion), &len, keys.ed_id,
					    x25519_key_public(keys.onion[1]), (const uint8_t *)ext, ext_len), 0);
	return ntor3_server(reply, &reply_len, &k, &p, &keys, onion, len);
}

/* A well-sealed message whose list is bad fails the circuit. */
static void test_bad_message(void **state)
{
	uint8_t big[NTOR3_MSG_MAX] = { 2, 9, 255 };

	(void)state;
	assert_int_equal(serve("\0", 1), 0);
	assert_int_equal(serve("\1\x09\2xy", 5), 0);
	assert_int_equal(serve("", 0), ERR_MALFORMED);
	assert_int_equal(serve("\1\1", 2), ERR_MALFORMED);
	assert_int_equal(serve("\1\1\0\0", 4), ERR_MALFORMED);
	assert_int_equal(serve("\1\3\2\2\6", 5), ERR_UNSUPPORTED);	/* Relay=6 */
	big[3 + 255] = 10;
	big[3 + 255 + 1] = NTOR3_MSG_MAX - 3 - 255 - 2;
	assert_int_equal(serve((const char *)big, sizeof(big)), 0);
}

static void test_forged_reply(void **state)
{
	struct circuit_params p = { .congestion_control = true, .sendme_inc = 31 };
	uint8_t onion[505], reply[CELL_BODY_LEN], msg[NTOR3_MSG_MAX];
	size_t len, reply_len, msg_len;
	struct ntor3_client c, again;
	struct circuit_keys ks, kc;

	(void)state;
	assert_int_equal(ntor3_client_start(&c, onion, sizeof(onion), &len, keys.ed_id,
					    x25519_key_public(keys.onion[0]), (const uint8_t *)"\0", 1), 0);
	assert_int_equal(ntor3_server(reply, &reply_len, &ks, &p, &keys, onion, len), 0);
	for (size_t i = 0; i < reply_len; i++) {
		again = c;
		reply[i] ^= 0x08;
		assert_int_equal(ntor3_client_finish(&kc, msg, sizeof(msg), &msg_len, &again, reply,
						     reply_len), ERR_AUTH);
		reply[i] ^= 0x08;
	}
	for (size_t n = 0; n < reply_len; n++) {
		again = c;
		assert_true(ntor3_client_finish(&kc, msg, sizeof(msg), &msg_len, &again, reply, n) < 0);
	}
	again = c;
	assert_int_equal(ntor3_client_finish(&kc, msg, 0, &msg_len, &again, reply, reply_len), ERR_TOO_LONG);
	assert_int_equal(ntor3_client_finish(&kc, msg, sizeof(msg), &msg_len, &c, reply, reply_len), 0);
	assert_memory_equal(&ks, &kc, sizeof(ks));
}

static void test_request_list(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int result;
		bool cc;
	} lists[] = {
		{ "\0", 1, 0, false },
		{ "\1\1\0", 3, 0, true },
		{ "\2\1\0\x63\3abc", 8, 0, true },		/* an unknown type */
		{ "\2\x63\0\1\0", 5, 0, true },			/* order is only a habit */
		{ "\2\1\0\1\5junk!", 10, 0, true },		/* the first of a type counts */
		{ "\1\2\1\x1f", 4, 0, false },			/* a response is not a request */
		{ "\2\1\0\3\2\2\4", 7, 0, true },		/* Relay=4 */
		{ "\1\3\0", 3, 0, false },			/* an empty demand */
		{ "\1\3\x0a\0\5\1\3\3\2\x0b\2\x09\1", 13, 0, false },
		{ "\2\1\0\3\2\2\5", 7, ERR_UNSUPPORTED, false },	/* Relay=5 */
		{ "\2\1\0\3\4\2\4\2\6", 9, ERR_UNSUPPORTED, false },	/* the second pair */
		{ "\1\3\2\0\3", 5, ERR_UNSUPPORTED, false },	/* Link=3 */
		{ "\1\3\2\4\2", 5, ERR_UNSUPPORTED, false },	/* HSDir */
		{ "\1\3\2\xff\1", 5, ERR_UNSUPPORTED, false },
		{ "\2\3\2\2\6\3\2\2\4", 9, ERR_UNSUPPORTED, false },
		{ "\1\3\1\2", 4, ERR_MALFORMED, false },	/* half a pair */
		{ "\1\3\3\2\6\2", 6, ERR_MALFORMED, false },
		{ "\1\1\1\0", 4, ERR_MALFORMED, false },	/* a request with a body */
		{ "", 0, ERR_MALFORMED, false },
		{ "\1", 1, ERR_MALFORMED, false },
		{ "\1\1", 2, ERR_MALFORMED, false },
		{ "\1\x63\5abcd", 7, ERR_MALFORMED, false },
		{ "\2\1\0", 3, ERR_MALFORMED, false },
		{ "\0\0", 2, ERR_MALFORMED, false },
		{ "\1\1\0\0", 4, ERR_MALFORMED, false },
		{ "\2\3\2\2\6\1", 6, ERR_MALFORMED, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct circuit_params p = { .sendme_inc = 99 };
		int r = ntor3_ext_parse_request(&p, (const uint8_t *)lists[i].bytes, lists[i].len);

		if (r != lists[i].result || (r == 0 && p.congestion_control != lists[i].cc) ||
		    (r < 0 && p.sendme_inc != 99))
			fail_msg("list %zu: %d", i, r);
	}
}

static void test_response_list(void **state)
{
	struct circuit_params p = { .congestion_control = true, .sendme_inc = 50 };
	uint8_t out[8], small[3];
	size_t len;

	(void)state;
	assert_int_equal(ntor3_ext_build_response(out, sizeof(out), &len, &p), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(out, "\1\2\1\x32", 4);
	assert_int_equal(ntor3_ext_build_response(small, 3, &len, &p), ERR_TOO_LONG);
	assert_int_equal(ntor3_ext_build_request(small, 2, &len, true), ERR_TOO_LONG);
	memset(&p, 0, sizeof(p));
	assert_int_equal(ntor3_ext_parse_response(&p, out, 4), 0);
	assert_true(p.congestion_control && p.sendme_inc == 50);
	assert_int_equal(ntor3_ext_parse_response(&p, (const uint8_t *)"\1\2\1\0", 4), ERR_MALFORMED);
	assert_int_equal(ntor3_ext_parse_response(&p, (const uint8_t *)"\1\2\0", 3), ERR_MALFORMED);
	assert_int_equal(ntor3_ext_parse_response(&p, (const uint8_t *)"\1\2\2\1\1", 5), ERR_MALFORMED);
	assert_int_equal(ntor3_ext_parse_response(&p, (const uint8_t *)"\0x", 2), ERR_MALFORMED);
	assert_true(p.congestion_control && p.sendme_inc == 50);
	assert_int_equal(ntor3_ext_parse_response(&p, (const uint8_t *)"\0", 1), 0);
	assert_false(p.congestion_control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proposal_vector), cmocka_unit_test(test_circuit_vector),
		cmocka_unit_test(test_server_opens_vector), cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_bad_message),
		cmocka_unit_test(test_forged_reply), cmocka_unit_test(test_request_list),
		cmocka_unit_test(test_response_list),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
