#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/rand.h>

#include "../../relay/cell.h"
#include "../../relay/onion.h"
#include "../../relay/relay_msg.h"
#include "vectors.h"

enum { HOPS = 3, CELLS = 3000 };

/* The same keys held by a client and by the three relays of its circuit. */
struct path {
	struct circuit_keys keys[HOPS];
	struct onion client[HOPS];
	struct onion relay[HOPS];
};

static int path_open(void **state)
{
	static struct path p;

	if (crypto_init() < 0)
		return -1;
	rand_bytes(p.keys, sizeof(p.keys));
	for (int i = 0; i < HOPS; i++) {
		onion_init(&p.client[i], &p.keys[i]);
		onion_init(&p.relay[i], &p.keys[i]);
	}
	*state = &p;
	return 0;
}

static int path_close(void **state)
{
	struct path *p = *state;

	for (int i = 0; i < HOPS; i++) {
		onion_clear(&p->client[i]);
		onion_clear(&p->relay[i]);
	}
	return 0;
}

/* The client's cell for `hop`, as it leaves the client. */
static void send_out(struct path *p, uint8_t *body, int hop)
{
	onion_client_send(&p->client[hop], body);
	for (int i = hop - 1; i >= 0; i--)
		onion_client_layer(&p->client[i], body);
}

/* Let a cell travel outward; return the hop that takes it, or HOPS. */
static int travel_out(struct path *p, uint8_t *body, uint8_t digest[20])
{
	for (int i = 0; i < HOPS; i++)
		if (onion_peel(&p->relay[i], body, body, digest))
			return i;
	return HOPS;
}

/* A cell of `hop` as it reaches the client; return the hop it is found to be from. */
static int travel_in(struct path *p, uint8_t *body, int hop, uint8_t digest[20])
{
	onion_originate(&p->relay[hop], body, digest);
	for (int i = hop - 1; i >= 0; i--)
		onion_wrap(&p->relay[i], body, body);
	for (int i = 0; i < HOPS; i++)
		if (onion_client_peel(&p->client[i], body))
			return i;
	return HOPS;
}

static void make(uint8_t *body, uint16_t *ret_id, uint8_t data[RELAY_DATA_MAX], size_t *ret_len)
{
	*ret_len = rand_below(RELAY_DATA_MAX + 1);
	*ret_id = (uint16_t)rand_below(65536);
	rand_fast(data, RELAY_DATA_MAX);
	relay_msg_build(body, RELAY_DATA, *ret_id, data, *ret_len);
}

static void expect(const uint8_t *body, uint16_t id, const uint8_t *data, size_t len)
{
	struct relay_msg m;

	assert_int_equal(relay_msg_parse(&m, body), 0);
	assert_int_equal(m.cmd, RELAY_DATA);
	assert_int_equal(m.stream_id, id);
	assert_int_equal(m.len, len);
	assert_memory_equal(m.data, data, len);
}

/* Cells made by an independent program: what we peel and what we originate. */
static void test_vector(void **state)
{
	json_t *doc = vectors_load("handshake.json"), *v = json_object_get(doc, "onion");
	uint8_t plain[CELL_BODY_LEN], cell[CELL_BODY_LEN], digest[20];
	struct circuit_keys k;
	struct onion o;

	(void)state;
	assert_int_equal(vector_get((uint8_t *)&k, sizeof(k), v, "keys"), CIRCUIT_KEYS_LEN);
	onion_init(&o, &k);
	for (size_t i = 0; i < 3; i++) {
		const json_t *out = json_array_get(json_object_get(v, "forward"), i);
		const json_t *in = json_array_get(json_object_get(v, "backward"), i);

		vector_get(cell, sizeof(cell), out, "cell");
		assert_true(onion_peel(&o, cell, cell, digest));
		vector_expect(out, "digest", digest, sizeof(digest));
		memset(cell + RELAY_DIGEST_AT, 0, 4);
		vector_expect(out, "plain", cell, sizeof(cell));

		vector_get(plain, sizeof(plain), in, "plain");
		onion_originate(&o, plain, digest);
		vector_expect(in, "cell", plain, sizeof(plain));
		vector_expect(in, "digest", digest, sizeof(digest));
	}
	onion_clear(&o);
	json_decref(doc);
}

/* Both directions, all hops, in random order: each hop takes its own and no other. */
static void test_interleaved(void **state)
{
	struct path *p = *state;
	uint8_t body[CELL_BODY_LEN], data[RELAY_DATA_MAX], digest[20], client_digest[20];
	uint16_t id;
	size_t len;

	for (int i = 0; i < CELLS; i++) {
		int hop = (int)rand_below(HOPS);

		make(body, &id, data, &len);
		send_out(p, body, hop);
		assert_int_equal(travel_out(p, body, digest), hop);
		expect(body, id, data, len);
		sha1_run_peek(&p->client[hop].forward_digest, client_digest);
		assert_memory_equal(digest, client_digest, 20);
		assert_memory_equal(digest, body + RELAY_DIGEST_AT, 4);

		hop = (int)rand_below(HOPS);
		make(body, &id, data, &len);
		assert_int_equal(travel_in(p, body, hop, i % 2 ? digest : NULL), hop);
		expect(body, id, data, len);
		sha1_run_peek(&p->client[hop].backward_digest, client_digest);
		if (i % 2)
			assert_memory_equal(digest, client_digest, 20);
	}
}

/* The digest runs over all cells of one hop and direction, digest field zero (tor-spec 6.1). */
static void test_running_digest(void **state)
{
	enum { N = 5 };
	struct path *p = *state;
	uint8_t all[20 + N * CELL_BODY_LEN], digest[20], expected[20];
	uint8_t *body = all + 20;

	memcpy(all, p->keys[1].df, 20);
	for (int i = 0; i < N; i++, body += CELL_BODY_LEN) {
		uint8_t cell[CELL_BODY_LEN];

		relay_msg_build(body, RELAY_DROP, 0, NULL, 0);
		memcpy(cell, body, sizeof(cell));
		send_out(p, cell, 1);
		assert_int_equal(travel_out(p, cell, digest), 1);
		sha1(expected, all, 20 + (size_t)(i + 1) * CELL_BODY_LEN);
		assert_memory_equal(digest, expected, 20);
	}
}

/*
 * A cell for a later hop that reads as recognized at the first: the digest
 * decides, and neither the digest state nor the cell may change.
 */
static void test_recognized_by_accident(void **state)
{
	struct path *p = *state;
	uint8_t body[CELL_BODY_LEN], seen[CELL_BODY_LEN], data[RELAY_DATA_MAX], digest[20];
	uint16_t id;
	size_t len;

	for (int i = 0; i < 200; i++) {
		rand_bytes(seen, sizeof(seen));
		seen[1] = seen[2] = 0;
		memcpy(body, seen, sizeof(body));
		onion_client_layer(&p->client[0], body);
		memset(digest, 0xee, sizeof(digest));
		assert_false(onion_peel(&p->relay[0], body, body, digest));
		assert_memory_equal(body, seen, sizeof(body));
		assert_int_equal(digest[0], 0xee);

		onion_wrap(&p->relay[0], body, seen);		/* the same on the way back */
		assert_false(onion_client_peel(&p->client[0], body));
		assert_memory_equal(body, seen, sizeof(body));

		make(body, &id, data, &len);
		send_out(p, body, 0);
		assert_int_equal(travel_out(p, body, digest), 0);
		expect(body, id, data, len);
		make(body, &id, data, &len);
		assert_int_equal(travel_in(p, body, 0, NULL), 0);
		expect(body, id, data, len);
	}
}

/* One flipped bit anywhere: no hop takes the cell, and the next cell is fine. */
static void test_tampered(void **state)
{
	struct path *p = *state;
	uint8_t body[CELL_BODY_LEN], saved[CELL_BODY_LEN], data[RELAY_DATA_MAX], digest[20];
	uint16_t id;
	size_t len;

	for (size_t bit = 0; bit < CELL_BODY_LEN * 8; bit += bit < 128 ? 1 : 61) {
		struct sha1_run client = p->client[2].forward_digest;

		make(body, &id, data, &len);
		send_out(p, body, 2);
		body[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(travel_out(p, body, digest), HOPS);
		/* The relay has not counted it, so the client must forget it to go on. */
		p->client[2].forward_digest = client;
		make(body, &id, data, &len);
		send_out(p, body, 2);
		memcpy(saved, body, sizeof(saved));
		assert_int_equal(travel_out(p, body, digest), 2);
		expect(body, id, data, len);
		assert_memory_not_equal(saved, body, sizeof(saved));
	}
}

/* A replayed cell does not decrypt to anything recognised. */
static void test_replayed(void **state)
{
	struct path *p = *state;
	uint8_t body[CELL_BODY_LEN], again[CELL_BODY_LEN], digest[20];

	relay_msg_build(body, RELAY_SENDME, 0, NULL, 0);
	send_out(p, body, 0);
	memcpy(again, body, sizeof(again));
	assert_int_equal(travel_out(p, body, digest), 0);
	assert_int_equal(travel_out(p, again, digest), HOPS);
}

/* Peeling into another buffer leaves the input alone. */
static void test_out_of_place(void **state)
{
	struct path *p = *state;
	uint8_t in[CELL_BODY_LEN], saved[CELL_BODY_LEN], out[CELL_BODY_LEN], digest[20];

	relay_msg_build(in, RELAY_DATA, 5, (const uint8_t *)"abc", 3);
	send_out(p, in, 0);
	memcpy(saved, in, sizeof(in));
	assert_true(onion_peel(&p->relay[0], out, in, digest));
	assert_memory_equal(in, saved, sizeof(in));
	expect(out, 5, (const uint8_t *)"abc", 3);
}

int main(void)
{
#define with_path(f) cmocka_unit_test_setup_teardown(f, path_open, path_close)
	const struct CMUnitTest tests[] = {
		with_path(test_vector), with_path(test_interleaved), with_path(test_running_digest),
		with_path(test_recognized_by_accident), with_path(test_tampered),
		with_path(test_replayed), with_path(test_out_of_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
