/*
 * Directory documents against real ones: tests/vectors/dir holds what three
 * tor 0.4.9.11 authorities of a private network served at one moment.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "../../relay/cc.h"
#include "../../relay/dir/dircache.h"
#include "../../relay/dir/microdesc.h"
#include "../../relay/dir/params.h"

enum { N_AUTHORITIES = 3 };

static const int64_t lab_time = 1795323649;	/* valid-after of the recorded consensus */

struct text {
	char *p;
	size_t len;
};

struct fixture {
	struct authority authorities[N_AUTHORITIES];
	struct text certs, consensus[FLAVOURS], docs[FLAVOURS];
	struct dircache cache;
};

static struct text load(const char *name)
{
	char path[4096];
	struct text t;
	FILE *f;
	long len;

	snprintf(path, sizeof(path), "%s/dir/%s", getenv("TEST_VECTORS"), name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("cannot open %s", path);
	fseek(f, 0, SEEK_END);
	len = ftell(f);
	rewind(f);
	t.p = mem_new((size_t)len + 1);
	t.len = fread(t.p, 1, (size_t)len, f);
	fclose(f);
	assert_int_equal(t.len, len);
	return t;
}

static int setup(void **state)
{
	struct fixture *f = mem_new(sizeof(*f));
	struct text list = load("authorities");
	char *save, err[128], *line = strtok_r(list.p, "\n", &save);

	for (size_t i = 0; i < N_AUTHORITIES; i++) {
		assert_int_equal(authority_parse(&f->authorities[i], line, err, sizeof(err)), 0);
		line = strtok_r(NULL, "\n", &save);
	}
	free(list.p);
	f->certs = load("certs");
	f->consensus[FLAVOUR_NS] = load("consensus");
	f->consensus[FLAVOUR_MICRODESC] = load("consensus-microdesc");
	f->docs[FLAVOUR_NS] = load("descriptors");
	f->docs[FLAVOUR_MICRODESC] = load("microdescs");
	f->cache.authorities = f->authorities;
	f->cache.n_authorities = N_AUTHORITIES;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dircache_clear(&f->cache);
	free(f->certs.p);
	for (int i = 0; i < FLAVOURS; i++) {
		free(f->consensus[i].p);
		free(f->docs[i].p);
	}
	free(f);
	return 0;
}

static void add_certs(struct fixture *f)
{
	size_t bad;

	assert_int_equal(dircerts_add(&f->cache.certs, f->authorities, N_AUTHORITIES, f->certs.p, f->certs.len,
				      lab_time, &bad), N_AUTHORITIES);
	assert_int_equal(bad, 0);
}

static int accept_flavour(struct fixture *f, enum consensus_flavour flavour, int64_t now,
			  struct consensus_verdict *v)
{
	struct consensus *c;
	int r;

	assert_int_equal(consensus_parse(&c, f->consensus[flavour].p, f->consensus[flavour].len), 0);
	assert_int_equal(c->flavour, flavour);
	r = dircache_accept(&f->cache, c, now, v);
	if (r < 0)
		consensus_unref(c);
	return r;
}

static void test_tokenizer(void **state)
{
	static const char text[] = "one a  b\n\ntwo\n-----BEGIN X Y-----\nAAEC\n-----END X Y-----\nthree\t5 2026-11-22 04:46:49\n";
	static const char *const bad[] = {
		"one", "-x\n", "one\ntwo", "k_y\n", "k\n-----BEGIN X-----\nAAEC\n-----END Y-----\n",
		"k\n-----BEGIN X-----\nAAEC\n", "-----BEGIN X-----\n-----END X-----\n", " k\n", "k\1\n",
	};
	struct dirtext t = dirtext_init(text, sizeof(text) - 1);
	struct dir_item it;
	struct span s;
	uint8_t out[8];
	uint64_t v;
	int64_t when;
	size_t len;

	(void)state;
	assert_int_equal(dirtext_next(&t, &it), 0);
	assert_true(dir_item_is(&it, "one"));
	assert_true(dir_arg(&it, &s) && span_eq(s, "a"));
	assert_true(dir_arg(&it, &s) && span_eq(s, "b"));
	assert_false(dir_arg(&it, &s));
	assert_int_equal(dirtext_next(&t, &it), 0);
	assert_int_equal(dir_object(&it, "X", out, sizeof(out), &len), ERR_MALFORMED);
	assert_int_equal(dir_object(&it, "X Y", out, sizeof(out), &len), 0);
	assert_int_equal(len, 3);
	assert_int_equal(dirtext_next(&t, &it), 0);
	assert_int_equal(dir_arg_u64(&it, &v, 5), 0);
	assert_int_equal(dir_arg_time(&it, &when), 0);
	assert_int_equal(when, 1795322809);
	assert_int_equal(dirtext_next(&t, &it), ERR_NOT_FOUND);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int r;

		t = dirtext_init(bad[i], strlen(bad[i]));
		while ((r = dirtext_next(&t, &it)) == 0)
			;
		if (r != ERR_MALFORMED)
			fail_msg("taken: %s", bad[i]);
	}
	t = dirtext_init("a\0b\n", 4);
	assert_int_equal(dirtext_next(&t, &it), ERR_MALFORMED);
}

static void test_numbers(void **state)
{
	char text[DIR_TIME_LEN + 1];
	uint64_t v;
	int64_t t;

	(void)state;
	assert_int_equal(span_u64((struct span){ "18446744073709551615", 20 }, &v, UINT64_MAX), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(span_u64((struct span){ "18446744073709551616", 20 }, &v, UINT64_MAX), ERR_RANGE);
	assert_int_equal(span_u64((struct span){ "7", 1 }, &v, 5), ERR_RANGE);
	assert_int_equal(span_u64((struct span){ "+1", 2 }, &v, 5), ERR_MALFORMED);
	assert_int_equal(dir_time_parse(&t, "2024-02-29 23:59:60", 19), 0);
	assert_int_equal(t, 1709251200);
	dir_time_format(text, t);
	assert_string_equal(text, "2024-03-01 00:00:00");
	assert_int_equal(dir_time_parse(&t, "2023-02-29 00:00:00", 19), ERR_RANGE);
	assert_int_equal(dir_time_parse(&t, "2023-02-2a 00:00:00", 19), ERR_MALFORMED);
	assert_int_equal(dir_time_parse(&t, "2023-02-20T00:00:00", 19), ERR_MALFORMED);
}

static void test_authority(void **state)
{
	static const char hex[] = "0123456789012345678901234567890123456789";
	static const char *const bad[] = {
		"", "moria", "moria 127.0.0.1:1 orport=2", "moria 127.0.0.1:1 orport=2 v3ident=12 fingerprint=12",
		"a:b 127.0.0.1:1", "averyverylongnickname 127.0.0.1:1", "moria 127.0.0.1:1 127.0.0.1:1",
		"moria 127.0.0.1 orport=1", "moria 127.0.0.1:1 orport=0", "moria 127.0.0.1:1 colour=red",
	};
	struct authority a;
	char line[256], err[80];

	(void)state;
	snprintf(line, sizeof(line), "moria1 v3ident=%s [::1]:9131 fingerprint=%s orport=9101", hex, hex);
	assert_int_equal(authority_parse(&a, line, err, sizeof(err)), 0);
	assert_string_equal(a.name, "moria1");
	assert_int_equal(a.dir.family, ADDR_V6);
	assert_int_equal(a.dir.port, 9131);
	assert_int_equal(a.or_port, 9101);
	assert_int_equal(a.v3ident[1], 0x23);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err[0] = '\0';
		assert_true(authority_parse(&a, bad[i], err, sizeof(err)) < 0);
		assert_true(strlen(err) > 8);
	}
}

static void test_certs(void **state)
{
	struct fixture *f = *state;
	const struct dircert *c;
	struct dircert *one;
	size_t bad, len, skipped = 0;
	char *end;

	add_certs(f);
	assert_true(dircache_certs_complete(&f->cache));
	assert_int_equal(dircerts_add(&f->cache.certs, f->authorities, N_AUTHORITIES, f->certs.p, f->certs.len,
				      lab_time, &bad), 0);
	c = dircerts_newest(&f->cache.certs, f->authorities[1].v3ident);
	assert_non_null(c);
	assert_ptr_equal(dircerts_find(&f->cache.certs, c->identity, c->signing_digest), c);
	/* One byte more or less in any line is noticed. */
	end = strstr(f->certs.p + 10, "dir-key-certificate-version");
	len = (size_t)(end - f->certs.p);
	assert_int_equal(dircert_parse(&one, f->certs.p, len), 0);
	dircert_free(one);
	for (size_t i = 0; i < len; i++) {
		char was = f->certs.p[i];

		/* The address is signed as well; every bit of the text is. */
		f->certs.p[i] ^= 1;
		if (dircert_parse(&one, f->certs.p, len) == 0) {
			dircert_free(one);
			/* What ends the armour may be a line end or not; it carries nothing. */
			if (was != '\n' && f->certs.p[i] != '\n')
				fail_msg("byte %zu changed unnoticed", i);
			skipped++;
		}
		f->certs.p[i] = was;
	}
	assert_in_range(skipped, 0, 2);
}

static void test_certs_of_others(void **state)
{
	struct fixture *f = *state;
	struct dircerts set = { .n = 0 };
	size_t bad;

	assert_int_equal(dircerts_add(&set, f->authorities, 2, f->certs.p, f->certs.len, lab_time, &bad), 2);
	assert_int_equal(bad, 0);
	assert_int_equal(dircerts_expire(&set, lab_time), 0);
	assert_int_equal(dircerts_expire(&set, lab_time + 400 * 86400), 2);
	assert_int_equal(dircerts_add(&set, f->authorities, 3, f->certs.p, f->certs.len,
				      lab_time + 400 * 86400, &bad), 0);
	dircerts_clear(&set);
}

static void test_consensus_parse(void **state)
{
	struct fixture *f = *state;
	const struct consensus_router *rt;
	struct consensus *c;
	char text[200];

	for (int flavour = 0; flavour < FLAVOURS; flavour++) {
		assert_int_equal(consensus_parse(&c, f->consensus[flavour].p, f->consensus[flavour].len), 0);
		assert_int_equal(c->flavour, flavour);
		assert_int_equal(c->valid_after, lab_time);
		assert_int_equal(consensus_interval(c), 10);
		assert_int_equal(c->valid_until, lab_time + 20);
		assert_int_equal(c->n_routers, 6);
		assert_int_equal(c->n_sigs, 3);
		rt = consensus_find(c, f->authorities[0].fingerprint);
		assert_non_null(rt);
		assert_string_equal(relay_flags_str(text, sizeof(text), rt->flags),
				    "Authority Fast Guard HSDir Running Stable V2Dir Valid");
		assert_string_equal(relay_flags_str(text, 16, rt->flags), "Authority Fast");
		assert_int_equal(rt->or_port, 13861);
		assert_int_equal(rt->dir_port, 13862);
		assert_memory_equal(rt->ip, "\177\0\0\1", 4);
		assert_in_range(rt->weight, 1, 1000);
		assert_null(consensus_find(c, f->authorities[0].v3ident));
		consensus_unref(c);
	}
}

static void test_consensus_verify(void **state)
{
	struct fixture *f = *state;
	struct consensus_verdict v;

	assert_int_equal(accept_flavour(f, FLAVOUR_NS, lab_time, &v), ERR_NOT_FOUND);
	assert_int_equal(v.unknown, 7);
	add_certs(f);
	for (int flavour = 0; flavour < FLAVOURS; flavour++) {
		assert_int_equal(accept_flavour(f, flavour, lab_time + 20 + CONSENSUS_GRACE_S + 1, &v), ERR_EXPIRED);
		assert_int_equal(accept_flavour(f, flavour, lab_time - CONSENSUS_EARLY_S - 1, &v), ERR_NOT_YET);
		assert_int_equal(accept_flavour(f, flavour, lab_time, &v), 0);
		assert_int_equal(v.good, 7);
		assert_int_equal(accept_flavour(f, flavour, lab_time, &v), ERR_EXISTS);
	}
}

/* Every bit of the signed part counts, and more than half must have signed it. */
static void test_consensus_forged(void **state)
{
	struct fixture *f = *state;
	struct text *t = &f->consensus[FLAVOUR_MICRODESC];
	char *weight = strstr(t->p, "w Bandwidth="), *sig = strstr(t->p, "-----BEGIN SIGNATURE-----\n");
	struct consensus_verdict v;

	add_certs(f);
	weight[12] ^= 1;
	assert_int_equal(accept_flavour(f, FLAVOUR_MICRODESC, lab_time, &v), ERR_AUTH);
	assert_int_equal(v.bad, 7);
	weight[12] ^= 1;
	sig[40] = sig[40] == 'A' ? 'B' : 'A';
	assert_int_equal(accept_flavour(f, FLAVOUR_MICRODESC, lab_time, &v), 0);
	assert_int_equal(v.n_good, 2);
	assert_int_equal(__builtin_popcount(v.bad), 1);
	consensus_unref(f->cache.consensus[FLAVOUR_MICRODESC]);
	f->cache.consensus[FLAVOUR_MICRODESC] = NULL;
	sig = strstr(sig + 30, "-----BEGIN SIGNATURE-----\n");
	sig[40] = sig[40] == 'A' ? 'B' : 'A';
	assert_int_equal(accept_flavour(f, FLAVOUR_MICRODESC, lab_time, &v), ERR_AUTH);
	assert_int_equal(v.n_good, 1);
}

/* The same good signature three times is one signature. */
static void test_consensus_repeated(void **state)
{
	struct fixture *f = *state;
	struct text *t = &f->consensus[FLAVOUR_NS];
	char *first = strstr(t->p, "directory-signature "), *second = strstr(first + 1, "directory-signature ");
	size_t head = (size_t)(first - t->p), one = (size_t)(second - first);
	char *text = mem_new(head + 3 * one);
	struct consensus_verdict v;
	struct consensus *c;

	add_certs(f);
	memcpy(text, t->p, head);
	for (int i = 0; i < 3; i++)
		memcpy(text + head + (size_t)i * one, first, one);
	assert_int_equal(consensus_parse(&c, text, head + 3 * one), 0);
	assert_int_equal(c->n_sigs, 3);
	assert_int_equal(consensus_verify(c, f->authorities, 3, &f->cache.certs, lab_time, &v), ERR_AUTH);
	assert_int_equal(v.n_good, 1);
	/* Two of four are not more than half. */
	consensus_unref(c);
	assert_int_equal(consensus_parse(&c, t->p, t->len), 0);
	assert_int_equal(consensus_verify(c, f->authorities, 2, &f->cache.certs, lab_time, &v), 0);
	consensus_unref(c);
	free(text);
}

static void take(struct fixture *f, enum consensus_flavour flavour, struct dircache_taken *got)
{
	struct dirtext t = dirtext_init(f->docs[flavour].p, f->docs[flavour].len);

	*got = (struct dircache_taken){ 0 };
	while (dircache_take_docs(&f->cache, flavour, &t, 4, got))
		;
}

static int parse_edited(const struct text *t, const char *from, const char *to)
{
	const char *at = strstr(t->p, from);
	char *text = mem_printf("%.*s%s%s", (int)(at - t->p), t->p, to, at + strlen(from));
	struct consensus *c;
	int r = consensus_parse(&c, text, strlen(text));

	if (r == 0)
		consensus_unref(c);
	free(text);
	return r;
}

static void test_consensus_malformed(void **state)
{
	static const struct { const char *from, *to; int want; } edits[] = {
		{ "network-status-version 3", "network-status-version 4", ERR_UNSUPPORTED },
		{ "network-status-version 3", "network-status-version 3 fancy", ERR_UNSUPPORTED },
		{ "network-status-version 3", "\nnetwork-status-version 3", ERR_MALFORMED },
		{ "vote-status consensus", "vote-status vote", ERR_MALFORMED },
		{ "valid-after", "valid-before", ERR_MALFORMED },
		{ "fresh-until 2026", "fresh-until 2025", ERR_MALFORMED },
		{ "valid-until", "valid-after", ERR_MALFORMED },
		{ "\nr auth0", "\nr auth0 x", ERR_MALFORMED },
		{ "\ns ", "\ns Fast\ns ", ERR_MALFORMED },
		{ "directory-footer", "directory-signature x y\ndirectory-footer", ERR_MALFORMED },
		{ "\nw Bandwidth=", "\nw Bandwidth=99999999999", ERR_MALFORMED },
		{ "contact ", "x-unknown 1 2 3\ncontact ", 0 },
		{ "known-flags ", "params cc_alg=2\nknown-flags ", 0 },
		{ "known-flags ", "params a=1\nparams a=1\nknown-flags ", ERR_MALFORMED },
		{ "directory-signature ", "directory-signature md5 00 11\n-----BEGIN SIGNATURE-----\nAAEC\n"
		  "-----END SIGNATURE-----\ndirectory-signature ", 0 },
		{ "directory-signature ", "x-late 1\ndirectory-signature ", 0 },
		{ "-----END SIGNATURE-----\n", "-----END SIGNATURE-----\nx-late 1\n", ERR_MALFORMED },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++)
		if (parse_edited(&f->consensus[FLAVOUR_NS], edits[i].from, edits[i].to) != edits[i].want)
			fail_msg("edit %zu: %s -> %s", i, edits[i].from, edits[i].to);
	/* Cut anywhere outside the last signature, it is not a consensus. */
	for (size_t len = 0; len + 800 < f->consensus[0].len; len += 37) {
		struct consensus *c;

		if (consensus_parse(&c, f->consensus[0].p, len) == 0) {
			assert_in_range(c->n_sigs, 1, 2);
			consensus_unref(c);
		}
	}
}

static void test_docs(void **state)
{
	struct fixture *f = *state;
	struct consensus_verdict v;
	struct dircache_taken got;

	add_certs(f);
	for (int flavour = 0; flavour < FLAVOURS; flavour++) {
		struct text *t = &f->docs[flavour];
		struct docset *set = &f->cache.docs[flavour];
		uint8_t wanted[4][32];

		assert_int_equal(accept_flavour(f, flavour, lab_time, &v), 0);
		assert_int_equal(set->n_missing, 6);
		assert_int_equal(docset_want(set, 0, wanted, 4), 4);
		assert_int_equal(docset_want(set, 1, wanted, 4), 2);
		docset_asked(set, 1, (const uint8_t (*)[32])wanted, 2, true);
		assert_int_equal(docset_want(set, 1, wanted, 4), 0);
		assert_int_equal(docset_want(set, 2, wanted, 4), 2);
		/* One letter of one document changed: that one is not taken. */
		strstr(t->p, "onion-key")[strlen("onion-key\n-----BEGIN RSA PUBLIC KEY-----\nMIGJAo")] ^= 1;
		take(f, flavour, &got);
		assert_int_equal(got.added, 5);
		assert_int_equal(got.bad + got.unwanted, 1);
		strstr(t->p, "onion-key")[strlen("onion-key\n-----BEGIN RSA PUBLIC KEY-----\nMIGJAo")] ^= 1;
		take(f, flavour, &got);
		assert_int_equal(got.added, 1);
		assert_int_equal(got.unwanted, 5);
		assert_int_equal(set->n_missing, 0);
		assert_int_equal(docset_want(set, 0, wanted, 4), 0);
	}
}

/* A descriptor's digest does not cover its signature: that is checked by itself. */
static void test_descriptor_signature(void **state)
{
	struct fixture *f = *state;
	struct text *t = &f->docs[FLAVOUR_NS];
	struct dirtext rd = dirtext_init(t->p, t->len);
	struct dir_piece piece;
	char *sig = strstr(t->p, "router-signature\n-----BEGIN SIGNATURE-----\n");

	assert_int_equal(srvdesc_next(&rd, &piece), 0);
	sig[60] = sig[60] == 'A' ? 'B' : 'A';
	rd = dirtext_init(t->p, t->len);
	assert_int_equal(srvdesc_next(&rd, &piece), ERR_AUTH);
	for (int i = 0; i < 5; i++)
		assert_int_equal(srvdesc_next(&rd, &piece), 0);
	assert_int_equal(srvdesc_next(&rd, &piece), ERR_NOT_FOUND);
	/* Text behind the signature belongs to nobody. */
	memcpy(sig - 1, "\nx-trail", 8);
	rd = dirtext_init(t->p, t->len);
	assert_true(srvdesc_next(&rd, &piece) < 0);
}

/* A digest that the next consensus does not list is kept for a while. */
static void test_docset_old(void **state)
{
	struct fixture *f = *state;
	struct docset *set = &f->cache.docs[FLAVOUR_MICRODESC];
	struct consensus *c = mem_new(sizeof(*c));
	struct consensus_verdict v;
	struct dircache_taken got;

	add_certs(f);
	assert_int_equal(accept_flavour(f, FLAVOUR_MICRODESC, lab_time, &v), 0);
	take(f, FLAVOUR_MICRODESC, &got);
	c->routers = mem_dup(f->cache.consensus[FLAVOUR_MICRODESC]->routers, 2 * sizeof(*c->routers));
	c->n_routers = 2;
	memset(c->routers[1].digest, 7, 32);
	c->valid_after = lab_time + 3600;
	docset_list(set, c);
	assert_int_equal(set->n, 7);
	assert_int_equal(set->n_listed, 2);
	assert_int_equal(set->n_missing, 1);
	c->valid_after = lab_time + DOCSET_KEEP_S;
	docset_list(set, c);
	assert_int_equal(set->n, 2);
	assert_in_range(set->bytes, 300, 500);
	free(c->routers);
	free(c);
}

/* One that the latest consensus does not list can be wanted by its digest: for a day, of each authority once a consensus. */
static void test_docset_named(void **state)
{
	static const uint8_t a[32] = { 9 }, b[32] = { 1 };
	struct docset set = { 0 };
	struct consensus c = { .valid_after = lab_time };
	uint8_t wanted[4][32], many[32] = { 2 };

	(void)state;
	assert_int_equal(docset_name(&set, a, lab_time), 0);
	assert_int_equal(docset_name(&set, b, lab_time), 0);
	assert_int_equal(docset_name(&set, a, lab_time), ERR_EXISTS);
	assert_memory_equal(set.docs[0].digest, b, 32);
	assert_int_equal(set.n_named, 2);
	assert_int_equal(docset_want(&set, 0, wanted, 4), 2);
	docset_asked(&set, 0, (const uint8_t (*)[32])wanted, 2, true);
	assert_int_equal(docset_want(&set, 0, wanted, 4), 0);
	assert_int_equal(docset_put(&set, b, "text", 4), 0);
	assert_int_equal(docset_put(&set, many, "text", 4), ERR_NOT_FOUND);
	assert_int_equal(set.n_named, 1);
	assert_int_equal(docset_name(&set, b, lab_time), ERR_EXISTS);
	docset_list(&set, &c);
	assert_int_equal(set.n, 2);
	assert_int_equal(set.n_missing, 0);
	assert_int_equal(docset_want(&set, 0, wanted, 4), 1);
	assert_memory_equal(wanted[0], a, 32);
	c.valid_after = lab_time + DOCSET_KEEP_S;
	docset_list(&set, &c);
	assert_int_equal(set.n + set.n_named + set.bytes, 0);
	for (int i = 0; i < DOCSET_NAMED_MAX; i++) {
		many[1] = (uint8_t)i;
		many[2] = (uint8_t)(i >> 8);
		assert_int_equal(docset_name(&set, many, lab_time), 0);
	}
	assert_int_equal(docset_name(&set, a, lab_time), ERR_LIMIT);
	docset_clear(&set);
}

static void test_params(void **state)
{
	static const char line[] = "CircuitPriorityHalflifeMsec=30000 cc_alg=2 cc_cwnd_init=20000 cc_vegas_alpha_exit=186"
				   " cc_sendme_inc=-5 cc_ewma_max=abc circ_max_cell_queue_size=1250 cc_sscap_exit=";
	struct cc_params cc;
	struct net_params p;

	(void)state;
	net_params_parse(&p, "", 0);
	memcpy(&cc, p.cc, sizeof(cc));
	assert_true(p.cc_enabled);
	assert_int_equal(p.circ_max_cell_queue_size, 50000);
	assert_int_equal(cc.sendme_inc, 31);
	assert_int_equal(cc.cwnd_init, 124);
	assert_int_equal(cc.vegas_delta, 372);
	assert_int_equal(cc.cwnd_max, INT32_MAX);
	net_params_parse(&p, line, strlen(line));
	memcpy(&cc, p.cc, sizeof(cc));
	assert_int_equal(p.circ_max_cell_queue_size, 1250);
	assert_int_equal(cc.cwnd_init, 10000);		/* clipped */
	assert_int_equal(cc.sendme_inc, 1);
	assert_int_equal(cc.vegas_alpha, 186);
	assert_int_equal(cc.ewma_max, 10);		/* not a number: the default */
	assert_int_equal(cc.vegas_sscap, 500);
	net_params_parse(&p, "cc_alg=0", 8);
	assert_false(p.cc_enabled);
	assert_true(p.nf_ito_low == 1500 && p.nf_ito_high == 9500);
	net_params_parse(&p, "nf_ito_high=2000 nf_ito_low=70000", 33);
	assert_true(p.nf_ito_low == 60000 && p.nf_ito_high == 60000);
	net_params_parse(&p, "nf_ito_high=0 nf_ito_low=0", 26);
	assert_true(p.nf_ito_low == 0 && p.nf_ito_high == 0);
}

/* What microdesc_read() takes, and what it passes over: nicknames, repeated members, other kinds of id. */
static void test_microdesc_read(void **state)
{
	static const char text[] =
		"onion-key\n"
		"family $B000000000000000000000000000000000000001 nick $A000000000000000000000000000000000000001=x "
		"B000000000000000000000000000000000000001 $A00000000000000000000000000000000000000 "
		"$a000000000000000000000000000000000000002~y\n"
		"family-ids ed25519:one ed25519:two ed25519:one\n"
		"id rsa1024 bbbb\n"
		"id ed25519 d9afuzNyATMqluG7lYOYoTD3OjFmRCSKp2M1uuyHPko\n";
	static const uint8_t members[3][2] = { { 0xa0, 1 }, { 0xa0, 2 }, { 0xb0, 1 } };
	static const char bad[] = "onion-key\nid ed25519 short\n", none[] = "onion-key\n";
	struct microdesc_facts f;
	uint8_t key[32];

	(void)state;
	assert_int_equal(microdesc_read(&f, text, sizeof(text) - 1), 0);
	assert_true(f.has_ed_id);
	assert_int_equal(f.ed_id[0], 0x77);
	assert_int_equal(f.n_members, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(f.members[i][0], members[i][0]);
		assert_int_equal(f.members[i][19], members[i][1]);
	}
	assert_int_equal(f.n_keys, 2);
	sha256(key, "ed25519:one", 11);
	assert_true(memcmp(f.keys[0], key, 32) == 0 || memcmp(f.keys[1], key, 32) == 0);
	assert_int_equal(microdesc_read(&f, bad, sizeof(bad) - 1), ERR_MALFORMED);
	assert_int_equal(microdesc_read(&f, none, sizeof(none) - 1), 0);
	assert_false(f.has_ed_id);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_tokenizer), T(test_numbers), T(test_authority), T(test_certs), T(test_certs_of_others),
		T(test_consensus_parse), T(test_consensus_verify), T(test_consensus_forged),
		T(test_consensus_repeated), T(test_consensus_malformed), T(test_docs),
		T(test_descriptor_signature), T(test_docset_old), T(test_docset_named), T(test_params),
		cmocka_unit_test(test_microdesc_read),
	};

	if (crypto_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
