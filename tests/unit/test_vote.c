/* Votes and the weights of the last consensuses. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "../../relay/dir/consensus.h"
#include "../../relay/dir/dircert.h"
#include "../../relay/dir/vote.h"
#include "../../relay/dir/weights.h"

enum { NOW = 1795333200 };

/* A vote of tor 0.4.9.11 in a private network, its authority, and a relay that it knows. */
static const char authority_id[] = "BB4703F48380338CE22939AFD2AC8C7032E77E9E";
static const char relay_id[] = "C2B8A905D0D587491A530174F839E8282281C6F6";

static uint8_t v3ident[20], rsa_id[20];

static char *vector(const char *name, size_t *ret_len)
{
	char *path = mem_printf("%s/%s", getenv("TEST_VECTORS"), name), *text = mem_new(1 << 20);
	FILE *f = fopen(path, "rb");

	if (!f)
		fail_msg("%s is missing", path);
	*ret_len = fread(text, 1, (1 << 20) - 1, f);
	fclose(f);
	free(path);
	return text;
}

static int setup(void **state)
{
	(void)state;
	if (crypto_init() < 0)
		return -1;
	return hex_decode(v3ident, 20, authority_id, 40) < 0 || hex_decode(rsa_id, 20, relay_id, 40) < 0;
}

static void load_certs(struct dircerts *certs)
{
	struct authority a = { .name = "auth0" };
	size_t len, bad = 0;
	char *text = vector("vote/certs", &len);

	memcpy(a.v3ident, v3ident, 20);
	memset(certs, 0, sizeof(*certs));
	assert_int_equal(dircerts_add(certs, &a, 1, text, len, NOW, &bad), 1);
	free(text);
}

static void test_read(void **state)
{
	uint8_t nobody[20] = { 1 };
	struct vote_view v;
	size_t len;
	char *text = vector("vote/vote", &len);

	(void)state;
	assert_int_equal(vote_read(&v, text, len, rsa_id), 0);
	assert_int_equal(v.valid_after, 1795333115);
	assert_true(v.listed);
	assert_int_equal(v.flags, FLAG_FAST | FLAG_GUARD | FLAG_HSDIR | FLAG_RUNNING | FLAG_STABLE | FLAG_V2DIR |
			 FLAG_VALID);
	assert_int_equal(v.bandwidth_kb, 4);
	assert_false(v.has_measured);
	assert_false(v.measures);
	assert_true(v.has_stats);
	assert_int_equal(v.wfu_ppm, 1000000);
	assert_int_equal(v.tk_s, 6);
	assert_int_equal(v.mtbf_s, 6);
	assert_true(v.has_thresholds);
	assert_int_equal(v.thresholds.stable_uptime_s, 14);
	assert_int_equal(v.thresholds.stable_mtbf_s, 6);
	assert_int_equal(v.thresholds.guard_wfu_ppm, 980000);
	assert_int_equal(v.thresholds.guard_bw_inc_exits, 8000);
	assert_int_equal(v.thresholds.guard_bw_exc_exits, 9000);
	assert_false(v.thresholds.enough_mtbf);
	assert_int_equal(vote_read(&v, text, len, nobody), 0);
	assert_false(v.listed);
	assert_int_equal(v.flags, 0);
	for (size_t n = 0; n + 1000 < len; n += 97)
		assert_true(vote_read(&v, text, n, rsa_id) < 0);
	free(text);
}

static void test_measured(void **state)
{
	static const char before[] =
		"network-status-version 3\nvote-status vote\nvalid-after 2026-11-22 07:38:35\n"
		"flag-thresholds guard-wfu=98.1234567% guard-tk=691200 enough-mtbf=1 fast-speed=x stable-mtbf\n"
		"r a AAAAAAAAAAAAAAAAAAAAAAAAAAE AAAAAAAAAAAAAAAAAAAAAAAAAAA 2026-11-22 07:38:26 127.0.0.1 1 0\n"
		"s Fast\nw Bandwidth=5 Measured=77\n";
	static const char ours[] =
		"r b wripBdDVh0kaUwF0+DnoKCKBxvY AAAAAAAAAAAAAAAAAAAAAAAAAAA 2026-11-22 07:38:26 127.0.0.1 1 0\n"
		"s Fast Running Flying\nw Bandwidth=6 Measured=88\nstats wfu=0.5 tk=99999999999999999999 mtbf=3\n";
	struct vote_view v;
	char *text = mem_printf("%s%s%sdirectory-footer\n", before, ours, before + strlen("network-status-version 3\n"));

	(void)state;
	/* Header lines after the first relay say nothing. */
	assert_int_equal(vote_read(&v, text, strlen(text), rsa_id), 0);
	assert_true(v.measures && v.has_measured);
	assert_int_equal(v.measured_kb, 88);
	assert_int_equal(v.bandwidth_kb, 6);
	assert_int_equal(v.flags, FLAG_FAST | FLAG_RUNNING);
	assert_int_equal(v.wfu_ppm, 500000);
	assert_int_equal(v.tk_s, 0);
	assert_int_equal(v.thresholds.guard_wfu_ppm, 981234);
	assert_int_equal(v.thresholds.guard_tk_s, 691200);
	assert_int_equal(v.thresholds.fast_speed, 0);
	assert_true(v.thresholds.enough_mtbf);
	free(text);
	text = mem_printf("%s%sdirectory-footer\n", before, "r b short\n");
	assert_int_equal(vote_read(&v, text, strlen(text), rsa_id), ERR_MALFORMED);
	free(text);
	assert_int_equal(vote_read(&v, "x\n", 2, rsa_id), ERR_UNSUPPORTED);
	assert_int_equal(vote_read(&v, "", 0, rsa_id), ERR_MALFORMED);
}

static void test_signature(void **state)
{
	struct dircerts certs, none = { .n = 0 };
	size_t len;
	char *text = vector("vote/vote", &len);

	(void)state;
	load_certs(&certs);
	assert_int_equal(vote_check(text, len, v3ident, &certs), 0);
	assert_int_equal(vote_check(text, len, rsa_id, &certs), ERR_NOT_FOUND);
	assert_int_equal(vote_check(text, len, v3ident, &none), ERR_NOT_FOUND);
	assert_int_equal(vote_check(text, len / 2, v3ident, &certs), ERR_MALFORMED);
	*strstr(text, "Bandwidth=4") = 'b';
	assert_int_equal(vote_check(text, len, v3ident, &certs), ERR_AUTH);
	dircerts_clear(&certs);
	free(text);
}

static void test_weights(void **state)
{
	static struct weights w, again;
	static char text[WEIGHTS_TEXT_MAX];
	struct consensus_router routers[3] = { { .rsa_id = { 1 }, .weight = 5 }, { .rsa_id = { 2 }, .weight = 20 },
					       { .rsa_id = { 3 }, .weight = 7, .unmeasured = true } };
	struct consensus c = { .routers = routers, .n_routers = 3 };
	const uint8_t ours[20] = { 3 }, nobody[20] = { 9 };
	size_t len;

	(void)state;
	for (int i = 0; i < WEIGHTS_MAX + 10; i++) {
		c.valid_after = NOW + i * 3600;
		assert_true(weights_add(&w, &c, i % 2 ? nobody : ours));
		assert_false(weights_add(&w, &c, ours));
	}
	assert_int_equal(w.n, WEIGHTS_MAX);
	assert_int_equal(w.v[0].valid_after, NOW + 10 * 3600);
	assert_true(w.v[0].listed && w.v[0].unmeasured);
	assert_int_equal(w.v[0].weight, 7);
	assert_int_equal(w.v[0].total, 32);
	assert_int_equal(w.v[0].rank, 2);
	assert_false(w.v[1].listed);
	assert_int_equal(w.v[1].rank, 0);
	len = weights_format(text, &w);
	assert_true(len < sizeof(text));
	assert_int_equal(weights_parse(&again, text, len), 0);
	assert_int_equal(again.n, w.n);
	assert_int_equal(again.v[WEIGHTS_MAX - 2].rank, 2);
	again.n = 1;
	assert_int_equal(weights_parse(&again, text, len - 1), ERR_MALFORMED);
	assert_int_equal(weights_parse(&again, "", 0), ERR_MALFORMED);
	text[strlen("nonos weights 1\n") + 4] = 'x';
	assert_int_equal(weights_parse(&again, text, len), ERR_MALFORMED);
	assert_int_equal(again.n, 1);
}

static void test_weights_file(void **state)
{
	char dir[] = "/tmp/nonos-weights-XXXXXX", *path;
	static struct weights w = { .n = 1, .v = { { .valid_after = NOW, .weight = 3 } } }, again;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(weights_load(&again, dir), ERR_NOT_FOUND);
	assert_int_equal(weights_save(&w, dir), 0);
	assert_int_equal(weights_load(&again, dir), 0);
	assert_int_equal(again.n, 1);
	assert_int_equal(again.v[0].weight, 3);
	path = mem_printf("%s/weights", dir);
	unlink(path);
	free(path);
	rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read), cmocka_unit_test(test_measured), cmocka_unit_test(test_signature),
		cmocka_unit_test(test_weights), cmocka_unit_test(test_weights_file),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
