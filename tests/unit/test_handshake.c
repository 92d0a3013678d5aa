/* CREATE_FAST and ntor; ntor-v3 has its own file. */
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

static void expect_keys(const json_t *v, const struct circuit_keys *k)
{
	vector_expect(v, "df", k->df, sizeof(k->df));
	vector_expect(v, "db", k->db, sizeof(k->db));
	vector_expect(v, "kf", k->kf, sizeof(k->kf));
	vector_expect(v, "kb", k->kb, sizeof(k->kb));
}

static void assert_same_keys(const struct circuit_keys *a, const struct circuit_keys *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static void test_fast_vector(void **state)
{
	json_t *doc = vectors_load("handshake.json"), *v = json_object_get(doc, "fast");
	uint8_t x[20], y[20], reply[FAST_REPLY_LEN];
	struct circuit_keys k;

	(void)state;
	vector_get(x, sizeof(x), v, "x");
	vector_get(y, sizeof(y), v, "y");
	fast_server_answer(reply, &k, x, y);
	vector_expect(v, "reply", reply, sizeof(reply));
	expect_keys(v, &k);
	memset(&k, 0, sizeof(k));
	assert_int_equal(fast_client_finish(&k, x, reply), 0);
	expect_keys(v, &k);
	json_decref(doc);
}

static void test_fast(void **state)
{
	uint8_t x[20], a[FAST_REPLY_LEN], b[FAST_REPLY_LEN];
	struct circuit_keys ka, kb, kc = { .df = { 9 } };

	(void)state;
	rand_bytes(x, sizeof(x));
	fast_server(a, &ka, x);
	fast_server(b, &kb, x);
	assert_memory_not_equal(a, b, 20);		/* a fresh Y each time */
	assert_memory_not_equal(&ka, &kb, sizeof(ka));
	assert_int_equal(fast_client_finish(&kb, x, a), 0);
	assert_same_keys(&ka, &kb);
	a[39] ^= 1;
	assert_int_equal(fast_client_finish(&kc, x, a), ERR_AUTH);
	assert_int_equal(kc.df[0], 9);
}

static void test_ntor_vector(void **state)
{
	json_t *doc = vectors_load("handshake.json"), *v = json_object_get(doc, "ntor");
	uint8_t b[32], B[32], x[32], X[32], y[32], Y[32], onion[NTOR_ONION_LEN], reply[CELL_BODY_LEN];
	struct handshake_keys hk = { .ed_id = { 0 } };
	struct x25519_key *key;
	struct ntor_client c;
	struct circuit_keys k;
	size_t len = 0;

	(void)state;
	vector_get(b, 32, v, "b"), vector_get(B, 32, v, "B");
	vector_get(x, 32, v, "x"), vector_get(X, 32, v, "X");
	vector_get(y, 32, v, "y"), vector_get(Y, 32, v, "Y");
	vector_get(hk.rsa_id, 20, v, "id");
	hk.onion[1] = key = x25519_key_new(b);		/* only an older key */
	assert_memory_equal(x25519_key_public(key), B, 32);

	ntor_client_start_with(&c, onion, hk.rsa_id, B, x, X);
	vector_expect(v, "onion", onion, sizeof(onion));
	assert_int_equal(ntor_server_answer(reply, &len, &k, &hk, onion, sizeof(onion), y, Y), 0);
	vector_expect(v, "reply", reply, len);
	expect_keys(v, &k);
	memset(&k, 0, sizeof(k));
	assert_int_equal(ntor_client_finish(&k, &c, reply, len), 0);
	expect_keys(v, &k);
	x25519_key_free(key);
	json_decref(doc);
}

static void test_ntor(void **state)
{
	uint8_t onion[NTOR_ONION_LEN], reply[CELL_BODY_LEN];
	struct circuit_keys ks, kc;
	struct ntor_client c;
	size_t len;

	(void)state;
	for (int i = 0; i < 20; i++) {
		ntor_client_start(&c, onion, keys.rsa_id, x25519_key_public(keys.onion[i % 2]));
		assert_int_equal(ntor_server(reply, &len, &ks, &keys, onion, sizeof(onion)), 0);
		assert_int_equal(len, NTOR_REPLY_LEN);
		assert_int_equal(ntor_client_finish(&kc, &c, reply, len), 0);
		assert_same_keys(&ks, &kc);
		for (size_t n = 0; n < sizeof(c); n++)		/* wiped */
			assert_int_equal(((uint8_t *)&c)[n], 0);
	}
}

static void test_ntor_refused(void **state)
{
	uint8_t onion[NTOR_ONION_LEN + 1], reply[CELL_BODY_LEN];
	struct handshake_keys none = keys;
	struct circuit_keys k = { .kf = { 7 } };
	struct ntor_client c;
	size_t len = 77;

	(void)state;
	ntor_client_start(&c, onion, keys.rsa_id, x25519_key_public(keys.onion[0]));
	for (size_t n = 0; n <= sizeof(onion); n++)
		if (n != NTOR_ONION_LEN)
			assert_int_equal(ntor_server(reply, &len, &k, &keys, onion, n), ERR_MALFORMED);
	for (size_t i = 0; i < 52; i++) {			/* wrong identity, wrong onion key */
		onion[i] ^= 0x10;
		assert_int_equal(ntor_server(reply, &len, &k, &keys, onion, NTOR_ONION_LEN), ERR_AUTH);
		onion[i] ^= 0x10;
	}
	none.onion[0] = none.onion[1] = NULL;
	assert_int_equal(ntor_server(reply, &len, &k, &none, onion, NTOR_ONION_LEN), ERR_AUTH);
	none.onion[0] = none.onion[1] = keys.onion[0];		/* the same key twice is one key */
	assert_int_equal(ntor_server(reply, &len, &k, &none, onion, NTOR_ONION_LEN), 0);
	k.kf[0] = 7, len = 77;
	memset(onion + 52, 0, 32);				/* X of small order */
	assert_int_equal(ntor_server(reply, &len, &k, &keys, onion, NTOR_ONION_LEN), ERR_AUTH);
	onion[52] = 1;
	assert_int_equal(ntor_server(reply, &len, &k, &keys, onion, NTOR_ONION_LEN), ERR_AUTH);
	assert_int_equal(len, 77);
	assert_int_equal(k.kf[0], 7);
}

/* A client believes no reply with any byte changed. */
static void test_ntor_forged_reply(void **state)
{
	uint8_t onion[NTOR_ONION_LEN], reply[CELL_BODY_LEN];
	struct circuit_keys ks, kc;
	struct ntor_client c, again;
	size_t len;

	(void)state;
	ntor_client_start(&c, onion, keys.rsa_id, x25519_key_public(keys.onion[0]));
	assert_int_equal(ntor_server(reply, &len, &ks, &keys, onion, sizeof(onion)), 0);
	for (size_t i = 0; i < len; i++) {
		again = c;
		reply[i] ^= 0x04;
		assert_int_equal(ntor_client_finish(&kc, &again, reply, len), ERR_AUTH);
		reply[i] ^= 0x04;
	}
	again = c;
	assert_int_equal(ntor_client_finish(&kc, &again, reply, len - 1), ERR_MALFORMED);
	assert_int_equal(ntor_client_finish(&kc, &c, reply, len), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_vector), cmocka_unit_test(test_fast),
		cmocka_unit_test(test_ntor_vector), cmocka_unit_test(test_ntor),
		cmocka_unit_test(test_ntor_refused), cmocka_unit_test(test_ntor_forged_reply),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
