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
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/keys.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "../../relay/dir/descriptor.h"
#include "../../relay/keys_priv.h"

enum { NOW = 1795324200, DAY = 86400 };	/* when the vectors were captured */

static struct relay_keys *keys;
static char *dir;

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	dir = mem_printf("%s/nonos-descriptor-XXXXXX", tmp ? tmp : "/tmp");
	if (crypto_init() < 0 || !mkdtemp(dir))
		return -1;
	return keys_open(&keys, dir, NOW, NULL, 0);
}

static int teardown(void **state)
{
	char *command = mem_printf("rm -rf '%s'", dir);
	int r = system(command);

	(void)state;
	keys_free(keys);
	free(command);
	free(dir);
	return r;
}

static struct descriptor_facts facts(void)
{
	return (struct descriptor_facts){
		.nickname = "example", .platform = "nonos 0.1.0 on Linux", .contact = "ops@example.org",
		.v4 = { .family = ADDR_V4, .port = 9001, .ip = { 192, 0, 2, 7 } },
		.bandwidth_rate = 1000000, .bandwidth_burst = 2000000, .bandwidth_observed = 300,
		.uptime_s = 77, .exit_policy = "accept *:443, reject *:*", .dir_cache = true,
		.published = NOW,
	};
}

static char *make(const struct descriptor_facts *f)
{
	char *text = NULL, *extra = NULL;

	assert_int_equal(descriptor_make(&text, &extra, keys, f), 0);
	free(extra);
	return text;
}

static int check(const char *text)
{
	return descriptor_check(text, strlen(text), NOW);
}

/* -- making ---------------------------------------------------------------------- */

static void test_make(void **state)
{
	static const char *const order[] = {
		"router example 192.0.2.7 9001 0 0\nidentity-ed25519\n-----BEGIN ED25519 CERT-----\n",
		"\nmaster-key-ed25519 ", "\nor-address [2001:db8::7]:9001\n", "\nplatform nonos 0.1.0 on Linux\n",
		"\nproto Cons=1-2 Desc=1-2 DirCache=2 FlowCtrl=1-2 Link=4-5 LinkAuth=3 Microdesc=1-2 Relay=2-4\n",
		"\npublished 2026-11-22 05:10:00\n", "\nfingerprint ", "\nuptime 77\n",
		"\nbandwidth 1000000 2000000 300\n", "\nhibernating 1\n", "\nextra-info-digest ",
		"\nonion-key\n-----BEGIN RSA PUBLIC KEY-----\n", "\nsigning-key\n-----BEGIN RSA PUBLIC KEY-----\n",
		"\nonion-key-crosscert\n-----BEGIN CROSSCERT-----\n", "\nntor-onion-key-crosscert ",
		"\nntor-onion-key ", "\nfamily $0123456789ABCDEF0123456789ABCDEF01234567 friend\n",
		"\ncontact ops@example.org\n", "\naccept *:443\n", "\nreject *:*\n", "\nipv6-policy accept 443\n",
		"\ntunnelled-dir-server\n", "router-sig-ed25519 ",
		"\nrouter-signature\n-----BEGIN SIGNATURE-----\n",
	};
	static const char *const family[] = { "$0123456789ABCDEF0123456789ABCDEF01234567", "friend", NULL };
	struct descriptor_facts f = facts();
	char *text, *extra, *p;
	struct descriptor_view v;
	struct extrainfo_view e;

	(void)state;
	f.v6 = (struct addr){ .family = ADDR_V6, .port = 9001, .ip = { 0x20, 1, 0xd, 0xb8, [15] = 7 } };
	f.family = family;
	f.hibernating = true;
	assert_int_equal(descriptor_make(&text, &extra, keys, &f), 0);
	p = text;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		p = strstr(p, order[i]);
		if (!p)
			fail_msg("%s is not in its place:\n%s", order[i], text);
	}
	assert_int_equal(check(text), 0);
	assert_int_equal(descriptor_parse(&v, text, strlen(text)), 0);
	assert_memory_equal(v.rsa_id, keys_rsa_id(keys), 20);
	assert_memory_equal(v.ed_id, keys_ed_id(keys), 32);
	assert_int_equal(v.published, NOW);
	assert_int_equal(v.text.len, strlen(text));
	assert_true(span_eq(v.nickname, "example"));
	assert_true(v.has_extra && v.has_extra_sha256);
	assert_int_equal(extrainfo_parse(&e, extra, strlen(extra)), 0);
	assert_memory_equal(e.sha1, v.extra_sha1, 20);
	assert_memory_equal(e.sha256, v.extra_sha256, 32);
	assert_int_equal(extrainfo_check(extra, strlen(extra), text, strlen(text), NOW), 0);
	assert_null(strstr(extra, "history"));
	free(text);
	free(extra);
}

static void test_make_plain(void **state)
{
	struct descriptor_facts f = facts();
	char *text;

	(void)state;
	f.contact = NULL;
	f.exit_policy = NULL;
	f.dir_cache = false;
	f.bandwidth_rate = UINT64_MAX;
	text = make(&f);
	assert_int_equal(check(text), 0);
	assert_non_null(strstr(text, "\nproto Cons=1-2 Desc=1-2 FlowCtrl=1-2 Link=4-5 LinkAuth=3 "
				     "Microdesc=1-2 Relay=2-4\n"));
	assert_non_null(strstr(text, "\nbandwidth 2147483647 2000000 300\n"));
	assert_non_null(strstr(text, "\nreject *:*\nrouter-sig-ed25519 "));
	assert_null(strstr(text, "contact"));
	assert_null(strstr(text, "tunnelled"));
	assert_null(strstr(text, "or-address"));
	assert_null(strstr(text, "ipv6-policy"));
	free(text);
}

static void test_make_policy(void **state)
{
	struct descriptor_facts f = facts();
	char *text, *reject, *accept;

	(void)state;
	text = make(&f);		/* private networks and ourselves are rejected in front */
	reject = strstr(text, "\nreject 10.0.0.0/8:*\n");
	accept = strstr(text, "\naccept *:443\n");
	assert_true(reject && accept && reject < accept);
	reject = strstr(text, "\nreject 192.0.2.7:*\n");
	assert_true(reject && reject < accept);
	free(text);
	f.allow_private = true;
	text = make(&f);
	assert_null(strstr(text, "10.0.0.0/8"));
	free(text);
	f.exit_policy = "accept everything";
	assert_true(descriptor_make(&text, &text, keys, &f) < 0);
}

static void test_history(void **state)
{
	static const uint64_t read[] = { 0, 12, UINT64_MAX }, written[] = { 7, 8, 9 };
	struct descriptor_facts f = facts();
	char *text, *extra;

	(void)state;
	f.history_end = NOW - 60;
	f.history_interval_s = 86400;
	f.history_len = 3;
	f.read_history = read;
	f.write_history = written;
	assert_int_equal(descriptor_make(&text, &extra, keys, &f), 0);
	assert_non_null(strstr(extra, "\nwrite-history 2026-11-22 05:09:00 (86400 s) 7,8,9\n"
				      "read-history 2026-11-22 05:09:00 (86400 s) 0,12,18446744073709551615\n"));
	assert_int_equal(extrainfo_check(extra, strlen(extra), text, strlen(text), NOW), 0);
	extra[strlen(extra) - 60] ^= 1;
	assert_true(extrainfo_check(extra, strlen(extra), text, strlen(text), NOW) < 0);
	free(text);
	free(extra);
	f.history_len = 100000;		/* more than fits, not more than is there */
	f.read_history = f.write_history = mem_new_array(f.history_len, sizeof(uint64_t));
	assert_int_equal(descriptor_make(&text, &extra, keys, &f), ERR_TOO_LONG);
	free((void *)f.read_history);
	f.read_history = f.write_history = NULL;
	f.history_interval_s = 0;
	assert_int_equal(descriptor_make(&text, &extra, keys, &f), ERR_RANGE);
}

static void test_bad_facts(void **state)
{
	static const char *const names[] = { "", "with space", "under_score", "twentycharactersxxxxx", "nl\n",
					     "\xc3\xa9" };
	static const char *const lines[] = { "", " x", "a\nrouter evil", "a\rb", "tab\t", "\x7f", "\xff", "\xc3",
					     "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc2\x85", "a\xe2\x82" };
	static const char *const members[] = { "", "$", "$0123", "$0123456789ABCDEF0123456789ABCDEF0123456G",
					       "a b", "bad\n", "$0123456789ABCDEF0123456789ABCDEF01234567~x" };
	const char *family[2] = { NULL, NULL };
	char *text, *extra, *longer = mem_new(1026);
	struct descriptor_facts f;

	(void)state;
	memset(longer, 'x', 1025);
#define refused(field, value) \
	do { \
		f = facts(); \
		f.field = (value); \
		assert_int_equal(descriptor_make(&text, &extra, keys, &f), ERR_RANGE); \
	} while (0)
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		refused(nickname, names[i]);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		refused(contact, lines[i]);
		refused(platform, lines[i]);
	}
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		family[0] = members[i];
		refused(family, family);
	}
	refused(nickname, NULL);
	refused(platform, NULL);
	refused(contact, longer);
	refused(v4.port, 0);
	refused(v4.family, ADDR_V6);
	refused(v6.family, ADDR_V4);
	refused(v6.family, ADDR_V6);		/* without a port */
	refused(bandwidth_rate, 0);
	refused(bandwidth_burst, 0);
	refused(published, -1);
	refused(published, INT64_MAX);
	free(longer);

	f = facts();
	f.contact = "J\xc3\xb6rg \xe2\x82\xac \xf0\x9f\xa7\x85";
	text = make(&f);
	assert_non_null(strstr(text, "\ncontact J\xc3\xb6rg \xe2\x82\xac \xf0\x9f\xa7\x85\n"));
	assert_int_equal(check(text), 0);
	free(text);
}

/* -- checking --------------------------------------------------------------------- */

static void test_every_byte_counts(void **state)
{
	struct descriptor_facts f = facts();
	char *text = make(&f);
	size_t len = strlen(text);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		text[i] ^= 1;
		if (check(text) == 0)
			fail_msg("byte %zu does not matter: %.20s", i, text + i);
		text[i] ^= 1;
	}
	for (size_t n = 0; n < len; n++)
		assert_int_equal(descriptor_check(text, n, NOW), ERR_MALFORMED);
	assert_int_equal(check(text), 0);
	assert_int_equal(descriptor_check(text, len, NOW + 29 * DAY), ERR_EXPIRED);
	free(text);
}

/* Put `with` where `what` is, and sign the outcome with our keys. */
static char *altered(const char *text, const char *what, const char *with)
{
	const char *at = strstr(text, what), *end = strstr(text, "router-sig-ed25519 ");
	char sig64[BASE64_CAP(64)], pem[PEM_CAP(128)], *unsigned_text, *half, *whole;
	uint8_t digest[32], sig[128];
	size_t sig_len;

	assert_true(at && end && at < end);
	unsigned_text = mem_printf(DESCRIPTOR_ED_PREFIX "%.*s%s%.*srouter-sig-ed25519 ", (int)(at - text), text, with,
				   (int)(end - at - strlen(what)), at + strlen(what));
	sha256(digest, unsigned_text, strlen(unsigned_text));
	ed25519_sign(sig, secret_data(keys->signing.secret), keys->signing.public_key, digest, 32);
	base64_encode(sig64, sig, 64, false);
	half = mem_printf("%s%s\nrouter-signature\n", unsigned_text + strlen(DESCRIPTOR_ED_PREFIX), sig64);
	sha1(digest, half, strlen(half));
	assert_int_equal(rsa_sign_raw(sig, sizeof(sig), &sig_len, keys->rsa, digest, 20), 0);
	pem_encode(pem, sizeof(pem), "SIGNATURE", sig, sig_len);
	whole = mem_printf("%s%s", half, pem);
	free(unsigned_text);
	free(half);
	return whole;
}

static int check_altered(const char *text, const char *what, const char *with)
{
	char *other = altered(text, what, with);
	int r = check(other);

	free(other);
	return r;
}

/* The item that `keyword` begins, through the line before the next keyword. */
static char *item_of(const char *text, const char *keyword)
{
	const char *start = dir_find_line(text, strlen(text), keyword);
	struct dirtext t;
	struct dir_item it;

	assert_non_null(start);
	t = dirtext_init(start, strlen(start));
	assert_int_equal(dirtext_next(&t, &it), 0);
	return mem_strndup(start, (size_t)(t.p - start));
}

static void test_items(void **state)
{
	static const struct { const char *keyword; bool required; } items[] = {
		{ "router", true }, { "identity-ed25519", true }, { "master-key-ed25519", true },
		{ "proto", true }, { "published", true }, { "bandwidth", true }, { "onion-key", true },
		{ "signing-key", true }, { "onion-key-crosscert", true }, { "ntor-onion-key", true },
		{ "ntor-onion-key-crosscert", true }, { "platform", false }, { "fingerprint", false },
		{ "uptime", false }, { "extra-info-digest", false }, { "contact", false },
		{ "tunnelled-dir-server", false },
	};
	struct descriptor_facts f = facts();
	char *text = make(&f);

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		char *item = item_of(text, items[i].keyword), *twice = mem_printf("%s%s", item, item);
		int without = check_altered(text, item, "");

		if (items[i].required ? without >= 0 : without < 0)
			fail_msg("without %s: %d", items[i].keyword, without);
		if (check_altered(text, item, twice) >= 0)
			fail_msg("%s twice", items[i].keyword);
		free(item);
		free(twice);
	}
	assert_int_equal(check_altered(text, "uptime 77\n", "x-unknown 1 2\nuptime 77\n"), 0);
	assert_int_equal(check_altered(text, "uptime 77\n", "uptime 77 and more\n"), 0);
	assert_true(check_altered(text, "uptime 77\n", "\x01\n") < 0);
	assert_true(check_altered(text, "router example", "@purpose general\nrouter example") < 0);
	assert_true(check_altered(text, "router example", "router exa_mple") < 0);
	assert_true(check_altered(text, "router example", "router exampleexampleexample") < 0);
	assert_true(check_altered(text, "192.0.2.7 9001", "192.0.2.7 0") < 0);
	assert_true(check_altered(text, "192.0.2.7 9001", "192.0.2.7 65536") < 0);
	assert_true(check_altered(text, "192.0.2.7 9001", "192.0.2 9001") < 0);
	assert_true(check_altered(text, "192.0.2.7 9001 0 0", "[::1] 9001 0 0") < 0);
	assert_true(check_altered(text, "bandwidth 1000000", "bandwidth 0") < 0);
	assert_true(check_altered(text, "bandwidth 1000000", "bandwidth x") < 0);
	assert_true(check_altered(text, "published 2026-11-22", "published 2026-11-32") < 0);
	assert_true(check_altered(text, "\nidentity-ed25519\n", "\nidentity-ed25519 x\n") < 0);
	assert_int_equal(check_altered(text, "uptime 77\n", ""), 0);
	free(text);
}

static void test_order_and_policy(void **state)
{
	struct descriptor_facts f = facts();
	char *text, *identity, *moved, *other;

	(void)state;
	f.allow_private = true;
	f.exit_policy = "reject *:*";
	text = make(&f);
	assert_true(check_altered(text, "\nreject *:*\n", "\n") < 0);
	identity = item_of(text, "identity-ed25519");
	moved = altered(text, identity, "");
	other = mem_printf("uptime 77\n%s", identity);
	assert_true(check_altered(moved, "uptime 77\n", other) < 0);
	/* Nothing between the two signatures, nothing after the second. */
	free(other);
	other = mem_printf("%sx", text);
	assert_true(check(other) < 0);
	free(other);
	other = mem_printf("%s\n\n", text);
	assert_int_equal(check(other), 0);
	free(other);
	other = mem_new(DESCRIPTOR_MAX + 1);
	memset(other, 'y', DESCRIPTOR_MAX);
	memcpy(other, "contact ", 8);
	free(moved);
	moved = mem_printf("%s\nuptime 77\n", other);
	assert_int_equal(check_altered(text, "uptime 77\n", moved), ERR_TOO_LONG);
	free(other);
	free(moved);
	free(identity);
	free(text);
}

/* Items of another relay's descriptor, each rightly made there. */
static void test_foreign_items(void **state)
{
	static const char *const items[] = { "identity-ed25519", "master-key-ed25519", "fingerprint", "signing-key",
					     "onion-key", "onion-key-crosscert", "ntor-onion-key",
					     "ntor-onion-key-crosscert" };
	struct descriptor_facts f = facts();
	char *text = make(&f), *other_dir = mem_printf("%s/other", dir), *other;
	struct relay_keys *mine = keys;

	(void)state;
	assert_int_equal(keys_open(&keys, other_dir, NOW, NULL, 0), 0);
	other = make(&f);
	keys_free(keys);
	keys = mine;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		char *item = item_of(text, items[i]), *alien = item_of(other, items[i]);
		int r = check_altered(text, item, alien);

		if (r >= 0)
			fail_msg("another relay's %s passes", items[i]);
		free(item);
		free(alien);
	}
	assert_int_equal(extrainfo_check(other, strlen(other), text, strlen(text), NOW), ERR_MALFORMED);
	free(text);
	free(other);
	free(other_dir);
}

/* -- documents of tor 0.4.9.11 ---------------------------------------------------- */

static char *read_vector(const char *name)
{
	char *path = mem_printf("%s/tor-0.4.9.11/%s", getenv("TEST_VECTORS"), name), *text = mem_new(100000);
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_true(fread(text, 1, 99999, f) > 0);
	fclose(f);
	free(path);
	return text;
}

static void test_from_tor(void **state)
{
	char *all = read_vector("server-descriptors"), *extras = read_vector("extra-infos"), *e = extras;
	size_t n = 0;

	(void)state;
	for (char *p = all; *p; n++) {
		struct descriptor_view v;
		struct extrainfo_view x;

		assert_int_equal(descriptor_parse(&v, p, strlen(p)), 0);
		assert_int_equal(descriptor_check(p, v.text.len, NOW), 0);
		assert_int_equal(extrainfo_parse(&x, e, strlen(e)), 0);
		assert_int_equal(extrainfo_check(e, x.text.len, p, v.text.len, NOW), 0);
		assert_int_equal(extrainfo_check(e, x.text.len, p, v.text.len, NOW + 40 * DAY), ERR_EXPIRED);
		p += v.text.len;
		e += x.text.len;
	}
	assert_int_equal(n, 2);
	free(all);
	free(extras);
}

/* dir-spec 2.1.1 takes the padding off certificates; tor leaves it on. */
static void test_unpadded_certificate(void **state)
{
	struct descriptor_facts f = facts();
	char *text = make(&f), *item = item_of(text, "identity-ed25519"), *bare = mem_strdup(item), *pad;

	(void)state;
	pad = strstr(bare, "=\n");
	assert_non_null(pad);
	memmove(pad, pad + 1, strlen(pad));
	assert_int_equal(check_altered(text, item, bare), 0);
	free(text);
	free(item);
	free(bare);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make), cmocka_unit_test(test_make_plain), cmocka_unit_test(test_make_policy),
		cmocka_unit_test(test_history), cmocka_unit_test(test_bad_facts),
		cmocka_unit_test(test_every_byte_counts), cmocka_unit_test(test_items),
		cmocka_unit_test(test_order_and_policy), cmocka_unit_test(test_foreign_items),
		cmocka_unit_test(test_from_tor), cmocka_unit_test(test_unpadded_certificate),
	};

	if (!getenv("TEST_VECTORS")) {
		fprintf(stderr, "TEST_VECTORS is not set\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
