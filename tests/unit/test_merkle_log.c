#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/checkpoint.h>
#include <nonos/err.h>

#include "vectors.h"

enum { MAX_LEAVES = 80 };

static json_t *doc;
static struct merkle_hash leaves[MAX_LEAVES];
static size_t n_leaves;

static struct merkle_hash hash_at(const json_t *array, size_t i)
{
	const char *text = json_string_value(json_array_get(array, i));
	struct merkle_hash h;

	assert_non_null(text);
	assert_int_equal(base64_decode_exact(h.b, sizeof(h.b), text, strlen(text)), 0);
	return h;
}

static void expect_proof(const struct merkle_proof *p, const json_t *want)
{
	assert_int_equal(p->n, json_array_size(want));
	for (size_t i = 0; i < p->n; i++) {
		struct merkle_hash h = hash_at(want, i);

		assert_memory_equal(&p->hashes[i], &h, sizeof(h));
	}
}

static uint64_t number(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

static void roots(void **state)
{
	struct merkle_source s = merkle_source_leaves(leaves);
	json_t *want = json_object_get(doc, "roots");
	struct merkle_frontier f = { 0 };
	struct merkle_hash root;
	(void)state;

	assert_int_equal(n_leaves, 33);
	for (size_t n = 0; n <= n_leaves; n++) {
		struct merkle_hash expect = hash_at(want, n);

		assert_int_equal(merkle_root(&root, &s, n), 0);
		assert_memory_equal(&root, &expect, sizeof(root));
		merkle_frontier_root(&root, &f);
		assert_memory_equal(&root, &expect, sizeof(root));
		if (n < n_leaves)
			merkle_frontier_add(&f, &leaves[n]);
	}
}

static void check_inclusions(const char *list)
{
	struct merkle_source s = merkle_source_leaves(leaves);
	struct merkle_proof p;
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(doc, list), i, c) {
		assert_int_equal(merkle_inclusion(&p, &s, number(c, "index"), number(c, "size")), 0);
		expect_proof(&p, json_object_get(c, "proof"));
	}
	assert_int_equal(i, 36);
}

static void published_proofs(void **state)
{
	struct merkle_source s = merkle_source_leaves(leaves);
	struct merkle_proof p;
	json_t *c;
	size_t i;
	(void)state;

	check_inclusions("inclusion");
	check_inclusions("cases");
	json_array_foreach(json_object_get(doc, "consistency"), i, c) {
		assert_int_equal(merkle_consistency(&p, &s, number(c, "from"), number(c, "to")), 0);
		expect_proof(&p, json_object_get(c, "proof"));
	}
	assert_int_equal(i, 43);
	assert_int_equal(merkle_inclusion(&p, &s, 3, 3), ERR_RANGE);
	assert_int_equal(merkle_consistency(&p, &s, 0, 3), ERR_RANGE);
	assert_int_equal(merkle_consistency(&p, &s, 4, 3), ERR_RANGE);
}

/* Spoil each hash in turn, then the length: every change must be noticed. */
static void spoil_inclusion(const struct merkle_hash *root, uint64_t size, uint64_t index, struct merkle_proof p)
{
	for (size_t i = 0; i < p.n; i++) {
		p.hashes[i].b[7] ^= 1;
		assert_int_equal(merkle_check_inclusion(root, size, &leaves[index], index, &p), ERR_AUTH);
		p.hashes[i].b[7] ^= 1;
	}
	p.n++;
	assert_int_equal(merkle_check_inclusion(root, size, &leaves[index], index, &p), ERR_AUTH);
	p.n--;
	if (p.n) {
		p.n--;
		assert_int_equal(merkle_check_inclusion(root, size, &leaves[index], index, &p), ERR_AUTH);
		p.n++;
	}
	assert_int_equal(merkle_check_inclusion(root, size, &leaves[index ^ 1], index, &p), ERR_AUTH);
	if (size > 1)
		assert_true(merkle_check_inclusion(root, size, &leaves[index], index ^ 1, &p) < 0);
	assert_int_equal(merkle_check_inclusion(root, size, &leaves[index], size, &p), ERR_RANGE);
}

static void all_inclusions(void **state)
{
	struct merkle_source s = merkle_source_leaves(leaves);
	struct merkle_hash root;
	struct merkle_proof p = { .n = 0 };
	(void)state;

	for (uint64_t size = 1; size <= n_leaves; size++) {
		merkle_root(&root, &s, size);
		for (uint64_t i = 0; i < size; i++) {
			assert_int_equal(merkle_inclusion(&p, &s, i, size), 0);
			assert_int_equal(merkle_check_inclusion(&root, size, &leaves[i], i, &p), 0);
			spoil_inclusion(&root, size, i, p);
		}
	}
}

static void all_consistencies(void **state)
{
	struct merkle_source s = merkle_source_leaves(leaves);
	struct merkle_hash a, b, forged;
	struct merkle_proof p = { .n = 0 };
	(void)state;

	for (uint64_t to = 1; to <= n_leaves; to++) {
		for (uint64_t from = 1; from <= to; from++) {
			merkle_root(&a, &s, from);
			merkle_root(&b, &s, to);
			assert_int_equal(merkle_consistency(&p, &s, from, to), 0);
			assert_int_equal(merkle_check_consistency(&a, from, &b, to, &p), 0);
			forged = a;
			forged.b[0] ^= 1;
			assert_int_equal(merkle_check_consistency(&forged, from, &b, to, &p), ERR_AUTH);
			assert_int_equal(merkle_check_consistency(&a, from, &forged, to, &p), ERR_AUTH);
			for (size_t i = 0; i < p.n; i++) {
				p.hashes[i].b[31] ^= 0x80;
				assert_int_equal(merkle_check_consistency(&a, from, &b, to, &p), ERR_AUTH);
				p.hashes[i].b[31] ^= 0x80;
			}
			p.n++;
			assert_int_equal(merkle_check_consistency(&a, from, &b, to, &p), ERR_AUTH);
		}
	}
	p.n = 0;
	merkle_empty(&a);
	assert_int_equal(merkle_check_consistency(&a, 0, &b, n_leaves, &p), 0);
	assert_int_equal(merkle_check_consistency(&b, 0, &b, n_leaves, &p), ERR_AUTH);
	assert_int_equal(merkle_check_consistency(&b, n_leaves, &a, 0, &p), ERR_RANGE);
}

/* -- notes ----------------------------------------------------------------------- */

static struct note_key key_at(size_t i)
{
	const char *text = json_string_value(json_array_get(json_object_get(doc, "vkeys"), i));
	char again[NOTE_VKEY_CAP];
	struct note_key k;

	assert_int_equal(note_key_parse(&k, text, strlen(text)), 0);
	note_key_text(again, &k);
	assert_string_equal(again, text);
	assert_true(note_key_parse(&k, text, strlen(text) - 1) < 0);
	return k;
}

static void expand_seed(uint8_t expanded[ED25519_EXPANDED_LEN], const char *name)
{
	uint8_t seed[32];

	assert_int_equal(vector_get(seed, sizeof(seed), doc, name), 32);
	ed25519_expand(expanded, seed);
}

static const char *the_note(void)
{
	return json_string_value(json_object_get(doc, "note"));
}

static void published_checkpoint(void **state)
{
	struct note_key log = key_at(0), witness = key_at(1);
	struct merkle_hash root = hash_at(json_object_get(doc, "roots"), n_leaves);
	char text[CHECKPOINT_TEXT_CAP];
	uint64_t when = 0;
	struct checkpoint c;
	struct note n;
	size_t len;
	(void)state;

	assert_int_equal(log.alg, NOTE_ED25519);
	assert_int_equal(witness.alg, NOTE_COSIGNATURE);
	assert_int_equal(checkpoint_open(&c, &log, the_note(), strlen(the_note())), 0);
	assert_string_equal(c.origin, "nonos.example/registry");
	assert_int_equal(c.size, n_leaves);
	assert_memory_equal(&c.root, &root, sizeof(root));
	assert_int_equal(note_parse(&n, the_note(), strlen(the_note())), 0);
	assert_int_equal(n.n_sigs, 2);
	assert_int_equal(note_verify(&n, &witness, &when), 0);
	assert_int_equal(when, 0x6955b900);
	len = checkpoint_text(text, &c);
	assert_int_equal(len, n.text_len);
	assert_memory_equal(text, n.text, len);
	/* A witness vouches for what it saw; it is not the log. */
	assert_int_equal(checkpoint_open(&c, &witness, the_note(), strlen(the_note())), ERR_MISMATCH);
}

/* Ed25519 is deterministic, so signing anew must give the published note. */
static void signing_again(void **state)
{
	struct note_key log = key_at(0), witness = key_at(1);
	char made[2048], line[NOTE_LINE_CAP];
	uint8_t expanded[ED25519_EXPANDED_LEN];
	struct note n;
	size_t used, len;
	(void)state;

	assert_int_equal(note_parse(&n, the_note(), strlen(the_note())), 0);
	memcpy(made, n.text, n.text_len);
	used = n.text_len;
	made[used++] = '\n';
	expand_seed(expanded, "logSeed");
	len = note_sign(line, &log, expanded, n.text, n.text_len, 0);
	assert_int_equal(len, strlen(line));
	used += (size_t)snprintf(made + used, sizeof(made) - used, "%s", line);
	expand_seed(expanded, "witnessSeed");
	note_sign(line, &witness, expanded, n.text, n.text_len, 0x6955b900);
	snprintf(made + used, sizeof(made) - used, "%s", line);
	assert_string_equal(made, the_note());
}

/* Flip each bit of the note: it must be refused, or be the other signature's business. */
static void flipped_bits(void **state)
{
	struct note_key log = key_at(0);
	size_t len = strlen(the_note()), log_end = (size_t)(strstr(the_note(), "— witness") - the_note());
	struct checkpoint c;
	(void)state;

	for (size_t i = 0; i < 8 * len; i++) {
		char *copy = strdup(the_note());

		copy[i / 8] = (char)(copy[i / 8] ^ 1 << i % 8);
		if (checkpoint_open(&c, &log, copy, len) == 0 && i / 8 < log_end)
			fail_msg("accepted with bit %zu flipped", i);
		free(copy);
	}
	for (size_t i = 0; i < log_end; i++)
		assert_true(checkpoint_open(&c, &log, the_note(), i) < 0);
}

static void malformed_checkpoints(void **state)
{
#define ROOT "bGQm15mHgPJIkUQsSRYdT4cWC4rGqBu8nivSOOh/apY="
	static const char *const bad[] = {
		"", "a\n", "a\n1\n", "\n1\n" ROOT "\n", "a\n01\n" ROOT "\n", "a\n-1\n" ROOT "\n", "a\n18446744073709551616\n" ROOT "\n",
		"a\n1\nbGQm15mHgPJIkUQsSRYdT4cWC4rGqBu8nivSOOh/apY\n", "a\n1\n" ROOT, "a\n1\n" ROOT "\n\n", "a\n1\n" ROOT "\nb",
	};
	struct checkpoint c;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (checkpoint_parse(&c, bad[i], strlen(bad[i])) == 0)
			fail_msg("read \"%s\"", bad[i]);
	assert_int_equal(checkpoint_parse(&c, "a\n18446744073709551615\n" ROOT "\nextension\n", 78), 0);
}

static void proof_files(void **state)
{
	struct merkle_source s = merkle_source_leaves(leaves);
	struct tlog_proof p = { .index = 11, .note = the_note(), .note_len = strlen(the_note()) }, back;
	struct note_key log = key_at(0);
	size_t len, len2;
	char *text, *text2;
	(void)state;

	assert_int_equal(merkle_inclusion(&p.path, &s, p.index, n_leaves), 0);
	for (int extra = 0; extra < 2; extra++) {
		p.extra = extra ? "bm9ub3M=" : NULL;
		p.extra_len = extra ? 8 : 0;
		text = tlog_proof_text(&len, &p);
		assert_int_equal(tlog_proof_parse(&back, text, len), 0);
		assert_int_equal(back.index, 11);
		assert_int_equal(tlog_proof_check(&back, &log, &leaves[11]), 0);
		assert_int_equal(tlog_proof_check(&back, &log, &leaves[12]), ERR_AUTH);
		text2 = tlog_proof_text(&len2, &back);
		assert_int_equal(len, len2);
		assert_memory_equal(text, text2, len);
		text[0] ^= 1;
		assert_int_equal(tlog_proof_parse(&back, text, len), ERR_MALFORMED);
		free(text);
		free(text2);
	}
	assert_int_equal(tlog_proof_parse(&back, "c2sp.org/tlog-proof@v1\nindex 0\n", 31), ERR_MALFORMED);
	assert_int_equal(tlog_proof_parse(&back, "c2sp.org/tlog-proof@v1\nindex 00\n\nx", 34), ERR_MALFORMED);
	assert_int_equal(tlog_proof_parse(&back, "c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\nx", 41), ERR_MALFORMED);
}

static int load(void **state)
{
	json_t *entry;
	size_t i;
	(void)state;

	doc = vectors_load("tlog.json");
	json_array_foreach(json_object_get(doc, "entries"), i, entry) {
		const char *hex = json_string_value(entry);
		struct merkle_hash want = hash_at(json_object_get(doc, "leafHashes"), i);
		uint8_t data[256];

		assert_true(i < MAX_LEAVES && strlen(hex) / 2 <= sizeof(data));
		assert_int_equal(hex_decode(data, strlen(hex) / 2, hex, strlen(hex)), 0);
		merkle_leaf(&leaves[i], data, strlen(hex) / 2);
		assert_memory_equal(&leaves[i], &want, sizeof(want));
		n_leaves++;
	}
	return 0;
}

static int unload(void **state)
{
	(void)state;
	json_decref(doc);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots), cmocka_unit_test(published_proofs), cmocka_unit_test(all_inclusions),
		cmocka_unit_test(all_consistencies), cmocka_unit_test(published_checkpoint), cmocka_unit_test(signing_again),
		cmocka_unit_test(flipped_bits), cmocka_unit_test(malformed_checkpoints), cmocka_unit_test(proof_files),
	};

	if (crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, load, unload);
}
