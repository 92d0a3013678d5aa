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

#include <nonos/conf.h>
#include <nonos/err.h>
#include <nonos/log.h>

#define NODE "[node]\ndata_dir = /tmp/x\n"
#define RELAY "[relay]\nnickname = example\nor_listen = 127.0.0.1:9001\n"
#define TEST_NET "[directory]\nnetwork = test\npublish = no\n"

#define AUTHORITY "authority = a1 127.0.0.1:7000 orport=5000 " \
	"v3ident=0123456789ABCDEF0123456789ABCDEF01234567 fingerprint=89ABCDEF0123456789ABCDEF0123456789ABCDEF\n"

static struct config *parse_good(const char *text)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;

	if (config_parse(&c, &rep, "file", text, strlen(text)) < 0)
		fail_msg("%s", rep.text);
	assert_null(rep.text);
	return c;
}

/* One complaint, that begins with `place` and holds `words`. */
static void expect_error(const char *text, size_t len, const char *place, const char *words)
{
	struct config_report rep = { 0 };
	struct config *c = (struct config *)&rep;

	assert_int_equal(config_parse(&c, &rep, "file", text, len), ERR_CONFIG);
	assert_ptr_equal(c, &rep);	/* untouched on failure */
	if (rep.count != 1 || strncmp(rep.text, place, strlen(place)) != 0 || !strstr(rep.text, words))
		fail_msg("expected %s %s, got %u: %s", place, words, rep.count, rep.text);
	config_report_free(&rep);
}

static void test_defaults(void **state)
{
	struct config *c = parse_good(RELAY TEST_NET);

	(void)state;
	assert_string_equal(c->nickname, "example");
	assert_string_equal(c->control_socket, "/run/nonos/control.sock");
	assert_int_equal(c->control_socket_mode, 0660);
	assert_int_equal(c->workers, 0);
	assert_true(config_workers(c) >= 1);
	assert_int_equal(c->shutdown_wait, 30);
	assert_true(c->log_redact);
	assert_true(c->dir_cache);
	assert_false(c->allow_private_addresses);
	assert_string_equal(c->exit_policy, "reject *:*");
	assert_int_equal(c->bandwidth_rate, 0);
	assert_int_equal(c->log_level, LOG_LEVEL_NOTICE);
	assert_int_equal(c->or_listen.n, 1);
	assert_int_equal(c->address.n, 0);
	assert_null(c->contact);
	assert_true(config_max_memory(c) >= 128 << 20);
	config_free(c);
}

/* Beside the control socket, under a name that no other daemon's has. */
static void test_metrics_socket(void **state)
{
	static const struct {
		const char *node, *path;
	} rows[] = {
		{ "", "/run/nonos/metrics.sock" },
		{ "control_socket = /run/a/b.sock\n", "/run/a/b-metrics.sock" },
		{ "control_socket = /b\n", "/b-metrics.sock" },
		{ "control_socket = /run/x.d/b\n", "/run/x.d/b-metrics.sock" },
		{ "control_socket = /run/control.sock\nmetrics_socket = /m\n", "/m" },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *c;
		char *path;

		snprintf(text, sizeof(text), RELAY TEST_NET "[node]\n%s", rows[i].node);
		c = parse_good(text);
		path = config_metrics_socket(c);
		assert_true(c->metrics);
		assert_string_equal(path, rows[i].path);
		free(path);
		config_free(c);
	}
}

static void test_values(void **state)
{
	struct config *c = parse_good(
		"# a comment\n"
		"[node]\n"
		"  data_dir=/srv/n#1   # the '#' inside stays\r\n"
		"workers = 3\n"
		"control_socket_mode = 0600\n"
		"log_level = debug\n"
		"log_target = syslog\n"
		"shutdown_wait = 2 minutes\n"
		"\n[ relay ]\n"
		"nickname = A1\n"
		"or_listen = 0.0.0.0:9001\n"
		"or_listen = [::]:9001\n"
		"address = 1.1.1.1\n"
		"address = 2606:4700::1\n"
		"exit_policy = accept *:443\n"
		"exit_policy = reject *:*\n"
		"contact = Zo\xc3\xab = ops@example.org\n"
		"family = $0123456789abcdef0123456789abcdef01234567\n"
		"family = other\n"
		"bandwidth_rate = 10 MB/s\n"
		"bandwidth_burst = 512 MiB\n"
		"max_memory = 1 GiB\n"
		"create_rate = 0\n"
		"[ledger]\nclaim_above = 12.5\noperator = 0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a\n"
		"[directory]\nnetwork = test\n" AUTHORITY);

	(void)state;
	assert_int_equal(c->claim_above.lo, UINT64_C(12500000000000000000));
	assert_string_equal(c->operator, "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A");
	assert_string_equal(c->data_dir, "/srv/n#1");
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->control_socket_mode, 0600);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->log_target, LOG_TO_SYSLOG);
	assert_int_equal(c->shutdown_wait, 120);
	assert_int_equal(c->or_listen.n, 2);
	assert_int_equal(c->or_listen.v[1].family, ADDR_V6);
	assert_int_equal(c->address.n, 2);
	assert_string_equal(c->exit_policy, "accept *:443, reject *:*");
	assert_string_equal(c->contact, "Zo\xc3\xab = ops@example.org");
	assert_int_equal(c->family.n, 2);
	assert_string_equal(c->family.v[0], "$0123456789ABCDEF0123456789ABCDEF01234567");
	assert_null(c->family.v[2]);
	assert_int_equal(c->bandwidth_rate, 10000000);
	assert_int_equal(config_burst(c), 512 << 20);
	assert_int_equal(config_max_memory(c), 1 << 30);
	assert_int_equal(c->create_rate, 0);
	assert_int_equal(c->authority.n, 1);
	assert_string_equal(c->authority.v[0].name, "a1");
	config_free(c);
}

static void test_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} rates[] = {
		{ "76800 B/s", 76800 }, { "100 kB/s", 100000 }, { "100 KB/s", 100000 }, { "1 MiB/s", 1 << 20 },
		{ "8 Mbit/s", 1000000 }, { "1 GB/s", 1000000000 }, { "10MB/s", 10000000 }, { "0", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		char text[512];
		struct config *c;

		snprintf(text, sizeof(text), RELAY "bandwidth_rate = %s\n" TEST_NET, rates[i].text);
		c = parse_good(text);
		assert_int_equal(c->bandwidth_rate, rates[i].value);
		config_free(c);
	}
}

/* Each mistake: the line it is in, and what the sentence must tell. */
static void test_errors(void **state)
{
	static const struct {
		const char *text, *place, *words;
	} bad[] = {
		{ RELAY TEST_NET "[nodes]\nx = 1\ny = 2\n", "file:7:", "unknown section [nodes]" },
		{ RELAY "colour = red\n" TEST_NET, "file:4:", "unknown option \"colour\"" },
		{ RELAY "workers = 1\n" TEST_NET, "file:4:", "belongs in section [node]" },
		{ RELAY TEST_NET "[relay]\n", "file:7:", "already given in line 1" },
		{ RELAY "nickname = twice\n" TEST_NET, "file:4:", "already set in line 2" },
		{ "x = 1\n" RELAY TEST_NET, "file:1:", "section" },
		{ RELAY "contact\n" TEST_NET, "file:4:", "key = value" },
		{ RELAY "= 5\n" TEST_NET, "file:4:", "no key" },
		{ RELAY "contact =   # nothing\n" TEST_NET, "file:4:", "no value" },
		{ RELAY TEST_NET "[node\n", "file:7:", "ends with" },
		{ RELAY "contact = a\x1b[2J\n" TEST_NET, "file:4:", "control characters" },
		{ RELAY "contact = a\rb\n" TEST_NET, "file:4:", "control characters" },
		{ RELAY "contact = \xc0\xaf\n" TEST_NET, "file:4:", "UTF-8" },
		{ RELAY "contact = \xed\xa0\x80\n" TEST_NET, "file:4:", "UTF-8" },
		{ RELAY "bandwidth_rate = 10\n" TEST_NET, "file:4:", "MB/s" },
		{ RELAY "bandwidth_rate = 10 MB\n" TEST_NET, "file:4:", "MB/s" },
		{ RELAY "bandwidth_rate = 10 kB/s\n" TEST_NET, "file:4:", "from 76800" },
		{ RELAY "bandwidth_rate = -1 MB/s\n" TEST_NET, "file:4:", "whole number" },
		{ RELAY "bandwidth_rate = 1.5 MB/s\n" TEST_NET, "file:4:", "whole number" },
		{ RELAY "bandwidth_rate = 99999999999999999999 MB/s\n" TEST_NET, "file:4:", "whole number" },
		{ RELAY "bandwidth_rate = 99999999999999999 GB/s\n" TEST_NET, "file:4:", "bytes a second" },
		{ RELAY "bandwidth_rate = auto\n" TEST_NET, "file:4:", "whole number" },
		{ RELAY "bandwidth_burst = 1 MB\n" TEST_NET, "file:4:", "without \"bandwidth_rate\"" },
		{ RELAY "bandwidth_rate = 2 MB/s\nbandwidth_burst = 1 MB\n" TEST_NET, "file:5:", "below one second" },
		{ RELAY "max_memory = 1 MB\n" TEST_NET, "file:4:", "or auto" },
		{ RELAY "links_per_address = 0\n" TEST_NET, "file:4:", "from 1 to 100000" },
		{ RELAY "links_per_address = many\n" TEST_NET, "file:4:", "whole number" },
		{ RELAY TEST_NET "dir_cache = true\n", "file:7:", "yes or no" },
		{ RELAY "dir_cache = no\n" TEST_NET, "file:4:", "nonosctl config migrate" },
		{ "[node]\nconfig_version = 1\n" RELAY TEST_NET, "file:2:", "nonosctl config migrate" },
		{ "[node]\nconfig_version = 3\n" RELAY TEST_NET, "file:2:", "from 1 to 2" },
		{ RELAY "or_listen = 127.0.0.1\n" TEST_NET, "file:4:", "192.0.2.1:9001" },
		{ RELAY "or_listen = 127.0.0.1:9001\n" TEST_NET, "file:4:", "given twice" },
		{ RELAY "address = 1.1.1.1:9001\n" TEST_NET, "file:4:", "without a port" },
		{ RELAY "address = 1.1.1.1\naddress = 1.0.0.1\n" TEST_NET, "file:5:", "one IPv4" },
		{ RELAY "address = 10.0.0.1\n" TEST_NET, "file:4:", "private" },
		{ RELAY "address = 2606:4700::1\n" TEST_NET, "file:4:", "or_listen" },
		{ RELAY TEST_NET "[node]\nmetrics_listen = 0.0.0.0:9101\n", "file:8:", "loopback" },
		{ RELAY TEST_NET "[node]\nmetrics = no\nmetrics_listen = 127.0.0.1:9101\n", "file:9:", "metrics = no" },
		{ RELAY TEST_NET "[node]\nmetrics_socket = /m\nmetrics = no\n", "file:8:", "metrics = no" },
		{ RELAY "exit_policy = accept everything\n" TEST_NET, "file:4:", "exit_policy" },
		{ RELAY "family = no good\n" TEST_NET, "file:4:", "fingerprint" },
		{ RELAY "family_id = short\n" TEST_NET, "file:4:", "43 characters" },
		{ RELAY "family_id = *\nfamily_id = *\nfamily_id = *\nfamily_id = *\n" TEST_NET, "file:7:", "3 times" },
		{ RELAY "family_key_dir = keys\n" TEST_NET, "file:4:", "absolute" },
		{ RELAY "link_rate = 100001\n" TEST_NET, "file:4:", "0 for no limit" },
		{ "\xef\xbb\xbf" RELAY TEST_NET, "file:1:", "byte order mark" },
		{ RELAY "resolv_conf = relative\n" TEST_NET, "file:4:", "absolute" },
		{ RELAY TEST_NET "[node]\ncontrol_socket_mode = 0999\n", "file:8:", "octal" },
		{ RELAY TEST_NET "[node]\ncontrol_socket_mode = 0440\n", "file:8:", "octal" },
		{ RELAY TEST_NET "[node]\nworkers = 65\n", "file:8:", "from 1 to 64" },
		{ RELAY TEST_NET "[ledger]\nauditor_key = /k\n", "file:8:", "needs a \"genesis\"" },
		{ RELAY TEST_NET "[ledger]\nclaim_above = 1e3\n", "file:8:", "number of tokens" },
		{ RELAY TEST_NET "[ledger]\nclaim_above = 100000000000000000000\n", "file:8:", "a token is the unit" },
		{ RELAY TEST_NET "[ledger]\nclaim_above = 0.0000000000000000001\n", "file:8:", "number of tokens" },
		{ RELAY TEST_NET "[ledger]\nclaim_fee_cap = 10001\n", "file:8:", "from 0 to 10000" },
		{ RELAY TEST_NET "[ledger]\noperator = 0x12\n", "file:8:", "40 hexadecimal digits" },
		{ RELAY TEST_NET "[ledger]\noperator = 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2a\n", "file:8:", "mix of cases" },
		{ RELAY TEST_NET "[node]\nlog_level = loud\n", "file:8:", "error, warn, notice" },
		{ RELAY TEST_NET "[node]\nshutdown_wait = 2 days\n", "file:8:", "seconds" },
		{ RELAY TEST_NET "[node]\nshutdown_wait = 30\n", "file:8:", "hours" },
		{ RELAY "[directory]\nnetwork = test\nauthority = a1\n", "file:6:", "authority" },
		{ RELAY "[directory]\nnetwork = test\n", "file:5:", "needs \"authority\"" },
		{ RELAY "[directory]\n" AUTHORITY, "file:5:", "for network = test" },
		{ RELAY "[directory]\nnetwork = moon\n", "file:5:", "tor, anyone, test" },
		{ "[relay]\nor_listen = 127.0.0.1:9001\n" TEST_NET, "file: \"nickname\"", "must be set" },
		{ "[relay]\nnickname = e\n" TEST_NET, "file: \"or_listen\"", "must be set" },
		{ "[relay]\nnickname = e\nor_listen = [::1]:9001\n" TEST_NET, "file:3:", "IPv4" },
		{ "[relay]\nor_listen = 127.0.0.1:1\nnickname = has_line\n" TEST_NET, "file:3:", "letters" },
		{ "[relay]\nor_listen = 127.0.0.1:1\nnickname = a234567890123456789z\n" TEST_NET, "file:3:", "19" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_error(bad[i].text, strlen(bad[i].text), bad[i].place, bad[i].words);
}

static void test_sizes(void **state)
{
	size_t len = CONFIG_FILE_MAX + 1;
	char *text = calloc(1, len);
	static const char with_nul[] = RELAY "contact = a\0b\n" TEST_NET;
	int head;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', len);
	expect_error(text, len, "file:", "1 MiB");
	expect_error(with_nul, sizeof(with_nul) - 1, "file:4:", "control");
	head = snprintf(text, len, RELAY TEST_NET "[node]\n#");
	memset(text + head, 'x', CONFIG_LINE_MAX + 1);
	expect_error(text, (size_t)head + CONFIG_LINE_MAX + 1, "file:8:", "8192");
	free(text);
}

/* Every mistake is told in one go, and the list ends somewhere. */
static void test_many_errors(void **state)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;
	char text[4096] = RELAY TEST_NET "[node]\n";

	(void)state;
	for (int i = 0; i < 60; i++)
		strcat(text, "nothing = 1\n");
	assert_int_equal(config_parse(&c, &rep, "file", text, strlen(text)), ERR_CONFIG);
	assert_int_equal(rep.count, 60);
	assert_non_null(strstr(rep.text, "file:8:"));
	assert_non_null(strstr(rep.text, "file:57:"));
	assert_null(strstr(rep.text, "file:58:"));
	assert_non_null(strstr(rep.text, "and more\n"));
	config_report_free(&rep);
}

static void test_network(void **state)
{
	struct config *c = parse_good(RELAY TEST_NET);
	struct config_report rep = { 0 };
	static const char good[] = "# known\n" AUTHORITY
		"authority = a2 127.0.0.2:7000 orport=5000 v3ident=1123456789ABCDEF0123456789ABCDEF01234567 "
		"fingerprint=99ABCDEF0123456789ABCDEF0123456789ABCDEF\n";
	static const char bad[] = "\n[directory]\n" AUTHORITY "authority = x\n";	/* the second repeats one */

	(void)state;
	assert_int_equal(config_parse_network(c, &rep, "net", good, strlen(good)), 0);
	assert_int_equal(c->authority.n, 2);
	assert_int_equal(config_parse_network(c, &rep, "net", bad, strlen(bad)), ERR_CONFIG);
	assert_int_equal(rep.count, 3);
	assert_non_null(strstr(rep.text, "net:2: only"));
	assert_non_null(strstr(rep.text, "net:3: \"authority\" has the v3ident of \"a1\""));
	assert_non_null(strstr(rep.text, "net:4: \"authority\""));
	config_report_free(&rep);
	config_free(c);
}

/* The example that is installed, and the files of the known networks, are good. */
static void test_shipped_files(void **state)
{
	static const char *const networks[] = { "tor", "anyone" };
	const char *top = getenv("TOP_SRCDIR");
	struct config_report rep = { 0 };
	char path[4096];
	struct config *c;

	(void)state;
	if (!top)
		skip();
	for (size_t i = 0; i < 2; i++) {
		FILE *in, *out;
		int ch;

		snprintf(path, sizeof(path), "%s/contrib/nonosd.conf", top);
		in = fopen(path, "r");
		assert_non_null(in);
		snprintf(path, sizeof(path), "/tmp/nonos-conf-%ld", (long)getpid());
		out = fopen(path, "w");
		assert_non_null(out);
		while ((ch = fgetc(in)) != EOF)
			fputc(ch, out);
		fclose(in);
		fprintf(out, "network_file = %s/contrib/networks/%s.conf\n", top, networks[i]);
		fclose(out);
		if (config_load(&c, &rep, path) < 0)
			fail_msg("%s", rep.text);
		assert_true(c->authority.n >= 7);
		config_free(c);
		unlink(path);
	}
	assert_null(rep.text);
	assert_int_equal(config_load(&c, &rep, "/nonexistent"), ERR_CONFIG);
	assert_non_null(strstr(rep.text, "/nonexistent: cannot be opened"));
	config_report_free(&rep);
}

struct seen_changes {
	unsigned applied, kept;
};

static void on_changed(void *arg, enum option_id id, bool applied)
{
	struct seen_changes *seen = arg;

	if (applied)
		seen->applied |= 1u << (id == OPTION_contact ? 0 : id == OPTION_exit_policy ? 1 : 31);
	else
		seen->kept |= 1u << (id == OPTION_or_listen ? 0 : id == OPTION_data_dir ? 1 : 31);
}

static void test_adopt(void **state)
{
	struct config *old = parse_good(NODE RELAY TEST_NET);
	struct config *fresh = parse_good("[node]\ndata_dir = /tmp/y\n[relay]\nnickname = example\n"
					  "or_listen = 127.0.0.1:9002\ncontact = me\n"
					  "exit_policy = accept *:80\n" TEST_NET);
	struct seen_changes seen = { 0 };

	(void)state;
	config_compare(fresh, old, on_changed, &seen);
	config_adopt(fresh, old);
	assert_int_equal(seen.applied, 3);
	assert_int_equal(seen.kept, 3);
	assert_string_equal(fresh->data_dir, "/tmp/x");
	assert_int_equal(fresh->or_listen.v[0].port, 9001);
	assert_string_equal(fresh->contact, "me");
	assert_string_equal(fresh->exit_policy, "accept *:80");
	config_free(old);
	/* Once adopted, the same file again changes only what could not be applied. */
	seen = (struct seen_changes){ 0 };
	old = parse_good(RELAY "contact = me\nexit_policy = accept *:80\n" TEST_NET "[node]\ndata_dir = /tmp/x\n");
	config_compare(old, fresh, on_changed, &seen);
	assert_int_equal(seen.applied | seen.kept, 0);
	config_free(old);
	config_free(fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_values), cmocka_unit_test(test_units),
		cmocka_unit_test(test_errors), cmocka_unit_test(test_sizes), cmocka_unit_test(test_many_errors),
		cmocka_unit_test(test_network), cmocka_unit_test(test_shipped_files),
		cmocka_unit_test(test_adopt), cmocka_unit_test(test_metrics_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
