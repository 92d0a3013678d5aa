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
#include <zlib.h>
#include <zstd.h>

#include <nonos/addr.h>
#include <nonos/clock.h>
#include <nonos/compress.h>
#include <nonos/dir_doc.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "../../relay/dir/dirserv.h"
#include "../../relay/dir/http_date.h"

enum { N_MICROS = 300, VALID_AFTER = 784111777 /* the date of RFC 1945's example */ };

static const struct addr peer = { .family = ADDR_V4, .port = 4444, .ip = { 192, 0, 2, 7 } };

/* An answer: its head as text, its body with the coding undone. */
struct answer {
	int status;
	char head[512];
	char *body;
	size_t len, wire_len;
};

static char micro_text[N_MICROS][400];
static char consensus_text[8][3000];

static void answer_clear(struct answer *a)
{
	free(a->body);
	*a = (struct answer){ 0 };
}

/* Decode with the libraries themselves. */
static char *undo(const char *head, const uint8_t *data, size_t len, size_t *ret_len)
{
	size_t cap = 1 << 20;
	char *out = mem_new(cap);
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (unsigned)len, .next_out = (Bytef *)out,
		       .avail_out = (unsigned)cap - 1 };

	if (strstr(head, "Content-Encoding: x-zstd")) {
		*ret_len = ZSTD_decompress(out, cap - 1, data, len);
		assert_false(ZSTD_isError(*ret_len));
	} else if (strstr(head, "Content-Encoding: deflate") || strstr(head, "Content-Encoding: gzip")) {
		assert_int_equal(inflateInit2(&z, strstr(head, "gzip") ? 31 : 15), Z_OK);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		assert_int_equal(z.avail_in, 0);
		*ret_len = z.total_out;
		inflateEnd(&z);
	} else {
		memcpy(out, data, len);
		*ret_len = len;
	}
	out[*ret_len] = '\0';		/* zstd may have scratched there */
	return out;
}

static void answer_split(struct answer *a, uint8_t *wire, size_t len)
{
	const uint8_t *end = memmem(wire, len, "\r\n\r\n", 4);
	const char *content_length;
	size_t head_len;

	assert_non_null(end);
	head_len = (size_t)(end - wire) + 4;
	assert_true(head_len < sizeof(a->head));
	memcpy(a->head, wire, head_len);
	a->head[head_len] = '\0';
	assert_int_equal(sscanf(a->head, "HTTP/1.0 %d ", &a->status), 1);
	a->wire_len = len - head_len;
	content_length = strstr(a->head, "Content-Length: ");
	if (content_length)
		assert_int_equal(atol(content_length + 16), a->wire_len);
	a->body = undo(a->head, wire + head_len, a->wire_len, &a->len);
}

/* Read an answer to its end in steps of `step` bytes. */
static void answer_read(struct answer *a, struct dir_reply *reply, size_t step)
{
	size_t cap = 1 << 20, len = 0, n;
	uint8_t *wire = mem_new(cap);

	do {
		assert_true(cap - len >= step);
		n = dir_reply_read(reply, wire + len, step);
		assert_true(n <= step);
		len += n;
	} while (n == step);
	assert_int_equal(dir_reply_read(reply, wire + len, step), 0);
	answer_split(a, wire, len);
	free(wire);
}

/* Whole requests give the same whatever the steps; a request cut anywhere asks for more. */
static void ask_bytes(struct answer *a, struct dirserv *s, const char *request, size_t len)
{
	static const size_t steps[] = { 1, 498, 1 << 19 };
	struct dir_reply *reply = NULL;

	answer_clear(a);
	for (size_t cut = 0; cut < len; cut++) {
		char *part = mem_dup(request, cut);		/* so that ASan sees a read past it */

		assert_int_equal(dirserv_request(s, &reply, part, cut, &peer), ERR_AGAIN);
		free(part);
	}
	for (size_t i = 0; i < 3; i++) {
		struct answer other = { 0 };

		assert_int_equal(dirserv_request(s, &reply, request, len, &peer), 0);
		answer_read(&other, reply, steps[i]);
		assert_in_range(dir_reply_bytes(reply), 1, 20000);	/* the compressor is gone again */
		dir_reply_free(reply);
		if (i > 0) {
			assert_string_equal(other.head, a->head);
			assert_int_equal(other.len, a->len);
			assert_memory_equal(other.body, a->body, a->len);
		}
		answer_clear(a);
		*a = other;
	}
}

static void ask_with(struct answer *a, struct dirserv *s, const char *url, const char *headers)
{
	char *request = mem_printf("GET %s HTTP/1.0\r\n%s\r\n", url, headers);

	ask_bytes(a, s, request, strlen(request));
	free(request);
}

static void ask(struct answer *a, struct dirserv *s, const char *url)
{
	ask_with(a, s, url, "");
}

static void check_status(struct dirserv *s, const char *url, int status)
{
	struct answer a = { 0 };

	ask(&a, s, url);
	if (a.status != status)
		fail_msg("%s: %d, not %d", url, a.status, status);
	if (status != 200)
		assert_int_equal(a.len, 0);
	answer_clear(&a);
}

static void check_body(struct dirserv *s, const char *url, const char *body)
{
	struct answer a = { 0 };
	char *compressed = mem_printf("%s.z", url);

	ask(&a, s, url);
	if (a.status != 200)
		fail_msg("%s: %d", url, a.status);
	assert_string_equal(a.body, body);
	assert_non_null(strstr(a.head, "Content-Encoding: identity\r\n"));
	ask(&a, s, compressed);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, body);
	assert_non_null(strstr(a.head, "Content-Encoding: deflate\r\n"));
	answer_clear(&a);
	free(compressed);
}

static struct dir_entry entry(const void *key, size_t key_len, const char *text)
{
	struct dir_entry e = { .data = (const uint8_t *)text, .len = strlen(text) };

	memcpy(e.key, key, key_len);
	return e;
}

/* A key of one tag and 20 equal bytes. */
static struct dir_entry tagged(char tag, uint8_t byte, const char *text)
{
	uint8_t key[21];

	key[0] = (uint8_t)tag;
	memset(key + 1, byte, 20);
	return entry(key, sizeof(key), text);
}

static struct dir_entry cert(uint8_t id, uint8_t signing, const char *text)
{
	uint8_t key[40];

	memset(key, id, 20);
	memset(key + 20, signing, 20);
	return entry(key, sizeof(key), text);
}

static void set(struct dirserv *s, uint8_t kind, int64_t valid_after, const struct dir_entry *entries, size_t n)
{
	struct dir_doc_meta meta = { .kind = kind, .valid_after = valid_after, .fresh_until = valid_after + 3600,
				     .valid_until = valid_after + 3 * 3600, .last_modified = valid_after };
	int fd;

	meta.n_signers = 3;
	for (uint8_t i = 0; i < 3; i++)
		memset(meta.signers[i], 0xA1 + i, 20);
	assert_int_equal(dir_doc_build(&fd, &meta, entries, n), 0);
	assert_int_equal(dirserv_set_document(s, kind, fd), 0);
}

/* `which` makes the text; it is stored plain, as zlib and as zstd. */
static void set_consensus(struct dirserv *s, uint8_t kind, int64_t valid_after, unsigned which)
{
	char *text = consensus_text[which];
	struct dir_entry e[3] = { entry("plain", 5, text), entry("deflate", 7, ""), entry("x-zstd", 6, "") };
	uint8_t *deflate, *zstd;
	size_t n = 0;

	n += (size_t)sprintf(text, "network-status-version 3\nwhich %u\n", which);
	while (n < sizeof(consensus_text[0]) - 100)
		n += (size_t)sprintf(text + n, "r relay%zu 127.0.0.%zu\n", n, n % 250);
	e[0].len = n;
	compress_all(&deflate, &e[1].len, CODING_DEFLATE, text, n);
	compress_all(&zstd, &e[2].len, CODING_ZSTD, text, n);
	e[1].data = deflate;
	e[2].data = zstd;
	set(s, kind, valid_after, e, 3);
	free(deflate);
	free(zstd);
}

static void micro_digest(uint8_t out[32], unsigned i)
{
	memset(out, (int)(i * 7), 32);
	out[0] = (uint8_t)(i >> 8);
	out[31] = (uint8_t)i;
}

static void set_micros(struct dirserv *s)
{
	static struct dir_entry e[N_MICROS];

	for (unsigned i = 0; i < N_MICROS; i++) {
		uint8_t digest[32];

		micro_digest(digest, i);
		snprintf(micro_text[i], sizeof(micro_text[i]), "onion-key\nntor-onion-key %u/%u\np accept 80,443\n%.*s\n",
			 i * 7919, i, (int)(i % 150), "id ed25519 "
			 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
		e[i] = entry(digest, 32, micro_text[i]);
	}
	set(s, DIR_DOC_MICRODESCS, VALID_AFTER, e, N_MICROS);
}

static const char own_server[] = "router own 192.0.2.1 9001 0 0\n"
	"fingerprint 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F\nrouter-signature\n";

static struct dirserv *server_new(void)
{
	struct dirserv *s = dirserv_new();
	const struct dir_entry servers[] = {
		tagged('F', 0x11, "router one\n"), tagged('D', 0xd1, "router one\n"),
		tagged('f', 0x11, "extra-info one\n"), tagged('d', 0xe1, "extra-info one\n"),
		tagged('F', 0x22, "router two\n"), tagged('D', 0xd2, "router two\n"),
		tagged('F', 0x0f, "router own, as an authority has it\n"),
	};
	const struct dir_entry certs[] = { cert(0xA1, 1, "cert A1.1\n"), cert(0xA1, 2, "cert A1.2\n"),
					   cert(0xA2, 3, "cert A2.3\n") };
	const struct dir_entry own[] = { entry("server", 6, own_server), entry("extra", 5, "extra-info own\n") };

	clock_set_manual(5000, VALID_AFTER + 600);
	set_consensus(s, DIR_DOC_CONSENSUS_NS, VALID_AFTER, 0);
	set_consensus(s, DIR_DOC_CONSENSUS_MICRODESC, VALID_AFTER, 1);
	set_micros(s);
	set(s, DIR_DOC_DESCRIPTORS, VALID_AFTER, servers, 7);
	set(s, DIR_DOC_CERTS, VALID_AFTER, certs, 3);
	set(s, DIR_DOC_OWN, VALID_AFTER, own, 2);
	return s;
}

/* `n` digits that spell the same byte. */
#define FP(digits) digits digits digits digits digits digits digits digits digits digits \
	digits digits digits digits digits digits digits digits digits digits

static void test_dates(void **state)
{
	static const char *const bad[] = {
		"", "Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Sun, 06 Nov 1994 08:49:37 CET", "Sun, 31 Apr 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nox 1994 08:49:37 GMT", "Xun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:-7 GMT",
	};
	char text[HTTP_DATE_CAP];
	int64_t t = 5;

	(void)state;
	assert_string_equal(http_date_format(text, VALID_AFTER), "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_int_equal(http_date_parse(&t, text, 29), 0);
	assert_int_equal(t, VALID_AFTER);
	assert_string_equal(http_date_format(text, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
	assert_string_equal(http_date_format(text, INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_int_equal(http_date_parse(&t, text, 29), 0);
	assert_int_equal(t, 253402300799);
	assert_string_equal(http_date_format(text, 1709208000), "Thu, 29 Feb 2024 12:00:00 GMT");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(http_date_parse(&t, bad[i], strlen(bad[i])), ERR_MALFORMED);
	assert_int_equal(t, 253402300799);
}

static void test_head(void **state)
{
	struct dirserv *s = server_new();
	struct answer a = { 0 };

	(void)state;
	ask(&a, s, "/tor/status-vote/current/consensus");
	assert_string_equal(a.head,
			    "HTTP/1.0 200 OK\r\nDate: Sun, 06 Nov 1994 08:59:37 GMT\r\n"
			    "X-Your-Address-Is: 192.0.2.7\r\nContent-Type: text/plain\r\n"
			    "Content-Encoding: identity\r\nVary: Accept-Encoding\r\n"
			    "Expires: Sun, 06 Nov 1994 09:49:37 GMT\r\nContent-Length: 2902\r\n\r\n");
	ask(&a, s, "/tor/nothing");
	assert_string_equal(a.head, "HTTP/1.0 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:59:37 GMT\r\n"
			    "X-Your-Address-Is: 192.0.2.7\r\nContent-Length: 0\r\n\r\n");
	answer_clear(&a);
	dirserv_free(s);
}

static void test_peer(void **state)
{
	static const char request[] = "GET /tor/robots.txt HTTP/1.0\r\n\r\n";
	struct dirserv *s = server_new();
	struct addr six = { .family = ADDR_V6, .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
	struct answer a = { 0 };
	struct dir_reply *reply;

	(void)state;
	assert_int_equal(dirserv_request(s, &reply, request, strlen(request), &six), 0);
	answer_read(&a, reply, 100);
	assert_non_null(strstr(a.head, "X-Your-Address-Is: 2001:db8::1\r\n"));
	dir_reply_free(reply);
	answer_clear(&a);
	assert_int_equal(dirserv_request(s, &reply, request, strlen(request), NULL), 0);
	answer_read(&a, reply, 100);
	assert_null(strstr(a.head, "X-Your-Address-Is"));
	assert_string_equal(a.body, "User-agent: *\nDisallow: /\n");
	dir_reply_free(reply);
	answer_clear(&a);
	dirserv_free(s);
}

static void test_consensus(void **state)
{
	struct dirserv *s = server_new();
	char *url;

	(void)state;
	check_body(s, "/tor/status-vote/current/consensus", consensus_text[0]);
	check_body(s, "/tor/status-vote/current/consensus-microdesc", consensus_text[1]);
	check_body(s, "/tor/status-vote/current/consensus/" FP("A1") "+" FP("a2"), consensus_text[0]);
	check_body(s, "/tor/status-vote/current/consensus-microdesc/A1A1A1+A2A2A2+777777", consensus_text[1]);
	check_body(s, "http://192.0.2.1:80/tor/status-vote/current/consensus/A1A1A1", consensus_text[0]);
	/* More than half of those named must have signed. */
	check_status(s, "/tor/status-vote/current/consensus/777777", 404);
	check_status(s, "/tor/status-vote/current/consensus/A1A1A1+777777", 404);
	check_status(s, "/tor/status-vote/current/consensus/777777+A1A1A1+888888.z", 404);
	check_status(s, "/tor/status-vote/current/consensus/A1A1A1A2", 404);
	check_status(s, "/tor/status-vote/current/consensus/", 400);
	check_status(s, "/tor/status-vote/current/consensus/.z", 400);
	check_status(s, "/tor/status-vote/current/consensus/A1A1", 400);
	check_status(s, "/tor/status-vote/current/consensus/A1A1A1A", 400);
	check_status(s, "/tor/status-vote/current/consensus/A1A1A1+", 400);
	check_status(s, "/tor/status-vote/current/consensus/xyzxyz", 400);
	check_status(s, "/tor/status-vote/current/consensus/" FP("A1") "A1", 400);
	check_status(s, "/tor/status-vote/current/consensus-other", 404);
	check_status(s, "/tor/status-vote/next/consensus", 404);
	url = mem_printf("/tor/status-vote/current/consensus/%s", "");
	for (int i = 0; i < DIR_ITEMS_MAX + 1; i++) {
		char *longer = mem_printf("%s%sA1A1A1", url, i ? "+" : "");

		free(url);
		url = longer;
	}
	check_status(s, url, 400);
	url[strlen(url) - 7] = '\0';
	check_status(s, url, 200);
	free(url);
	/* A day past its end nobody uses it. */
	clock_set_manual(5000, VALID_AFTER + 3 * 3600 + 24 * 3600);
	check_status(s, "/tor/status-vote/current/consensus", 200);
	clock_set_manual(5000, VALID_AFTER + 3 * 3600 + 24 * 3600 + 1);
	check_status(s, "/tor/status-vote/current/consensus", 404);
	dirserv_free(s);
}

static void test_codings(void **state)
{
	static const struct { const char *url, *headers, *coding; } cases[] = {
		{ "consensus", "", "identity" }, { "consensus.z", "", "deflate" },
		{ "consensus", "Accept-Encoding: deflate, gzip, x-tor-lzma, x-zstd\r\n", "x-zstd" },
		{ "consensus.z", "Accept-Encoding: identity\r\n", "identity" },
		{ "consensus", "accept-encoding:DEFLATE\r\n", "deflate" },
		{ "consensus", "Accept-Encoding: deflate , x-zstd;q=0\r\n", "deflate" },
		{ "consensus", "Accept-Encoding: deflate;q=0.000, x-zstd ; q=0\r\n", "identity" },
		{ "consensus", "Accept-Encoding: deflate;q=0.1\r\n", "deflate" },
		{ "consensus.z", "Accept-Encoding:\r\n", "identity" },
		{ "consensus", "Accept-Encoding: gzip\r\n", "identity" },	/* not stored */
		{ "consensus", "X-Or-Diff-From-Consensus: 00\r\nAccept-Encoding: x-zstd\r\n", "x-zstd" },
	};
	struct dirserv *s = server_new();
	struct answer a = { 0 };
	char expected[80];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *url = mem_printf("/tor/status-vote/current/%s", cases[i].url);

		ask_with(&a, s, url, cases[i].headers);
		snprintf(expected, sizeof(expected), "\r\nContent-Encoding: %s\r\n", cases[i].coding);
		if (!strstr(a.head, expected))
			fail_msg("%s %s: %s", url, cases[i].headers, a.head);
		assert_non_null(strstr(a.head, "Content-Length: "));	/* sent as stored */
		assert_string_equal(a.body, consensus_text[0]);
		free(url);
	}
	ask_with(&a, s, "/tor/keys/all", "Accept-Encoding: gzip\r\n");
	assert_non_null(strstr(a.head, "Content-Encoding: gzip\r\n"));
	assert_string_equal(a.body, "cert A1.1\ncert A1.2\ncert A2.3\n");
	ask_with(&a, s, "/tor/server/all", "Accept-Encoding: x-zstd, gzip\r\n");
	assert_non_null(strstr(a.head, "Content-Encoding: x-zstd\r\n"));
	assert_string_equal(a.body, "router own, as an authority has it\nrouter one\nrouter two\n");
	answer_clear(&a);
	dirserv_free(s);
}

/* The keeper has stored the plain text only. */
static void test_consensus_plain_only(void **state)
{
	struct dirserv *s = dirserv_new();
	struct dir_entry e = entry("plain", 5, "network-status-version 3\n");

	(void)state;
	clock_set_manual(5000, VALID_AFTER + 600);
	set(s, DIR_DOC_CONSENSUS_NS, VALID_AFTER, &e, 1);
	check_body(s, "/tor/status-vote/current/consensus", "network-status-version 3\n");
	check_status(s, "/tor/status-vote/current/consensus-microdesc", 404);
	dirserv_free(s);
}

static void test_modified_since(void **state)
{
	static const struct { const char *url; int64_t since; int status; } cases[] = {
		{ "/tor/status-vote/current/consensus", VALID_AFTER, 304 },
		{ "/tor/status-vote/current/consensus", VALID_AFTER + 180, 304 },
		{ "/tor/status-vote/current/consensus", VALID_AFTER - 1, 200 },
		{ "/tor/status-vote/current/consensus/777777", VALID_AFTER, 404 },
		{ "/tor/keys/all", VALID_AFTER, 304 }, { "/tor/keys/all.z", VALID_AFTER - 1, 200 },
		{ "/tor/server/all", VALID_AFTER, 304 }, { "/tor/server/authority", VALID_AFTER, 304 },
		{ "/tor/server/fp/" FP("11"), VALID_AFTER, 200 },
	};
	struct dirserv *s = server_new();
	struct answer a = { 0 };
	char date[HTTP_DATE_CAP];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *header = mem_printf("If-Modified-Since: %s\r\n", http_date_format(date, cases[i].since));

		ask_with(&a, s, cases[i].url, header);
		assert_int_equal(a.status, cases[i].status);
		if (a.status == 304)
			assert_int_equal(a.len, 0);
		free(header);
	}
	ask_with(&a, s, "/tor/keys/all", "If-Modified-Since: yesterday\r\n");
	assert_int_equal(a.status, 200);
	answer_clear(&a);
	dirserv_free(s);
}

/* The URL for micros first, first + step, ... below `end`; *ret_body is the answer to expect. */
static char *micro_url(unsigned first, unsigned step, unsigned end, char **ret_body)
{
	char *url = mem_strdup("/tor/micro/d/"), *body = mem_strdup("");

	for (unsigned i = first; i < end; i += step) {
		char b64[BASE64_CAP(32)], *u, *b;
		uint8_t digest[32];

		micro_digest(digest, i);
		base64_encode(b64, digest, 32, false);
		u = mem_printf("%s%s%s", url, i == first ? "" : "-", b64);
		b = mem_printf("%s%s", body, micro_text[i]);
		free(url);
		free(body);
		url = u;
		body = b;
	}
	*ret_body = body;
	return url;
}

static void test_micros(void **state)
{
	struct dirserv *s = server_new();
	struct answer a = { 0 };
	char *url, *body, *twice;

	(void)state;
	url = micro_url(5, 1, 6, &body);
	check_body(s, url, body);
	twice = mem_printf("%s-%s", url, url + strlen("/tor/micro/d/"));
	check_body(s, twice, body);		/* named twice, sent once */
	free(twice);
	free(url);
	free(body);
	url = micro_url(1, 3, N_MICROS, &body);
	check_body(s, url, body);
	ask_with(&a, s, url, "Accept-Encoding: x-zstd\r\n");
	assert_string_equal(a.body, body);
	assert_true(a.wire_len < a.len / 2);
	assert_non_null(strstr(a.head, "Expires: Tue, 08 Nov 1994 08:59:37 GMT\r\n"));
	ask_with(&a, s, url, "Accept-Encoding: gzip\r\n");
	assert_string_equal(a.body, body);
	/* Unknown ones are left out. */
	memset(url + strlen("/tor/micro/d/"), 'w', 42);
	ask(&a, s, url);
	assert_string_equal(a.body, body + strlen(micro_text[1]));
	free(url);
	free(body);
	check_status(s, "/tor/micro/d/wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwA", 404);
	check_status(s, "/tor/micro/d/wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwB", 400);	/* stray bits */
	check_status(s, "/tor/micro/d/wwww", 400);
	check_status(s, "/tor/micro/d/", 400);
	check_status(s, "/tor/micro/d", 404);
	check_status(s, "/tor/micro/all", 404);
	answer_clear(&a);
	dirserv_free(s);
}

static void test_descriptors(void **state)
{
	struct dirserv *s = server_new();

	(void)state;
	check_body(s, "/tor/server/all", "router own, as an authority has it\nrouter one\nrouter two\n");
	check_body(s, "/tor/server/authority", own_server);
	check_body(s, "/tor/server/fp/" FP("22"), "router two\n");
	check_body(s, "/tor/server/fp/" FP("22") "+" FP("11") "+" FP("33"), "router two\nrouter one\n");
	check_body(s, "/tor/server/fp/" FP("0f"), own_server);	/* ours is newer than what an authority has */
	check_body(s, "/tor/server/d/" FP("d1") "+" FP("D2"), "router one\nrouter two\n");
	check_body(s, "/tor/extra/all", "extra-info one\n");
	check_body(s, "/tor/extra/authority", "extra-info own\n");
	check_body(s, "/tor/extra/fp/" FP("11") "+" FP("0F"), "extra-info one\nextra-info own\n");
	check_body(s, "/tor/extra/d/" FP("e1"), "extra-info one\n");
	check_status(s, "/tor/server/d/" FP("11"), 404);
	check_status(s, "/tor/server/fp/" FP("d1"), 404);
	check_status(s, "/tor/extra/fp/" FP("22"), 404);
	check_status(s, "/tor/server/fp/222222", 400);
	check_status(s, "/tor/server/fp/" FP("22") "-" FP("11"), 400);
	check_status(s, "/tor/server/fp/", 400);
	check_status(s, "/tor/server/fp", 404);
	check_status(s, "/tor/server/", 404);
	dirserv_free(s);
}

static void test_keys(void **state)
{
	struct dirserv *s = server_new();

	(void)state;
	check_body(s, "/tor/keys/all", "cert A1.1\ncert A1.2\ncert A2.3\n");
	check_body(s, "/tor/keys/fp/" FP("A1"), "cert A1.1\ncert A1.2\n");
	check_body(s, "/tor/keys/fp/" FP("a2") "+" FP("a1"), "cert A2.3\ncert A1.1\ncert A1.2\n");
	check_body(s, "/tor/keys/sk/" FP("02") "+" FP("03"), "cert A1.2\ncert A2.3\n");
	check_body(s, "/tor/keys/fp-sk/" FP("A2") "-" FP("03") "+" FP("A1") "-" FP("01"), "cert A2.3\ncert A1.1\n");
	check_status(s, "/tor/keys/fp/" FP("A3"), 404);
	check_status(s, "/tor/keys/sk/" FP("04"), 404);
	check_status(s, "/tor/keys/fp-sk/" FP("A2") "-" FP("01"), 404);
	check_status(s, "/tor/keys/fp-sk/" FP("A2"), 400);
	check_status(s, "/tor/keys/fp-sk/" FP("A2") "-", 400);
	check_status(s, "/tor/keys/fp-sk/" FP("A2") "-" FP("01") "-" FP("01"), 400);
	check_status(s, "/tor/keys/authority", 404);
	dirserv_free(s);
}

static void test_starting(void **state)
{
	struct dirserv *s = dirserv_new();
	const struct dir_entry certs[] = { cert(0xA1, 1, "cert A1.1\n") };

	(void)state;
	clock_set_manual(5000, VALID_AFTER + 600);
	check_status(s, "/tor/status-vote/current/consensus", 503);
	check_status(s, "/tor/status-vote/current/consensus-microdesc/A1A1A1.z", 503);
	check_status(s, "/tor/micro/d/wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwA", 503);
	check_status(s, "/tor/server/all", 503);
	check_status(s, "/tor/keys/all", 503);
	check_status(s, "/tor/keys/fp/zz", 400);
	check_status(s, "/tor/nothing", 404);
	check_status(s, "/tor/robots.txt", 200);
	set(s, DIR_DOC_CERTS, VALID_AFTER, certs, 1);
	check_body(s, "/tor/keys/all", "cert A1.1\n");
	set_consensus(s, DIR_DOC_CONSENSUS_MICRODESC, VALID_AFTER, 2);
	check_status(s, "/tor/status-vote/current/consensus", 404);
	check_status(s, "/tor/server/all", 404);
	dirserv_free(s);
}

static void test_malformed(void **state)
{
	static const struct { const char *text; int r; int status; } cases[] = {
		{ "HEAD /tor/keys/all HTTP/1.0\r\n\r\n", 0, 405 },
		{ "BREW /tor/keys/all HTTP/1.0\r\n\r\n", 0, 405 },
		{ "POST /tor/ HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 0, 400 },
		{ "GET /tor/keys/all HTTP/1.1\r\nHost: x\r\n\r\n", 0, 200 },
		{ "GET /tor/keys/all HTTP/1.0\r\nno colon\r\n\r\n", 0, 400 },
		{ "GET /tor/keys/all HTTP/1.0\r\nA: b\nC: d\r\n\r\n", 0, 400 },
		{ "GET /tor/keys/all HTTP/1.0\r\nA: \x01\r\n\r\n", 0, 400 },
		{ "GET /tor/keys/all HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", 0, 200 },
		{ "GET /tor/keys/all HTTP/2.0\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET /tor/keys/all HTTP/1.00\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET /tor/keys/all\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET  /tor/keys/all HTTP/1.0\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET /tor/keys/all HTTP/1.0 \r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET tor/keys/all HTTP/1.0\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET http://host HTTP/1.0\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET http:// HTTP/1.0\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET \x01 HTTP/1.0\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET / HTTP/1.0\r\n\r\n", 0, 404 },
		{ "GET .z HTTP/1.0\r\n\r\n", ERR_MALFORMED, 0 },
		{ "GET /.z HTTP/1.0\r\n\r\n", 0, 404 },
		{ "\r\n\r\n", ERR_MALFORMED, 0 },
		{ " ", ERR_MALFORMED, 0 }, { "get", ERR_MALFORMED, 0 }, { "\x16\x03\x01", ERR_MALFORMED, 0 },
		{ "ABCDEFGHIJKLMNOPQ", ERR_MALFORMED, 0 }, { "ABCDEFGHIJKLMNOP", ERR_AGAIN, 0 },
		{ "GET\n", ERR_MALFORMED, 0 }, { "", ERR_AGAIN, 0 },
	};
	struct dirserv *s = server_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text);
		char *exact = mem_dup(cases[i].text, len);
		struct dir_reply *reply = NULL;
		struct answer a = { 0 };

		if (dirserv_request(s, &reply, exact, len, &peer) != cases[i].r)
			fail_msg("not %d: %s", cases[i].r, cases[i].text);
		if (reply) {
			answer_read(&a, reply, 1000);
			if (a.status != cases[i].status)
				fail_msg("%d: %s", a.status, cases[i].text);
			assert_true((a.status == 405) == (strstr(a.head, "Allow: GET\r\n") != NULL));
			answer_clear(&a);
			dir_reply_free(reply);
		}
		free(exact);
	}
	dirserv_free(s);
}

static void test_long_request(void **state)
{
	char *request = mem_new(DIR_REQUEST_MAX + 10);
	struct dirserv *s = server_new();
	struct dir_reply *reply = NULL;

	(void)state;
	memset(request, 'a', DIR_REQUEST_MAX + 10);
	memcpy(request, "GET /tor/", 9);
	assert_int_equal(dirserv_request(s, &reply, request, DIR_REQUEST_MAX - 1, &peer), ERR_AGAIN);
	assert_int_equal(dirserv_request(s, &reply, request, DIR_REQUEST_MAX, &peer), ERR_TOO_LONG);
	/* An end that comes too late is not looked at; one that just fits is. */
	memcpy(request + DIR_REQUEST_MAX - 12, " HTTP/1.0\r\n\r\n", 13);
	assert_int_equal(dirserv_request(s, &reply, request, DIR_REQUEST_MAX + 10, &peer), ERR_TOO_LONG);
	memcpy(request + DIR_REQUEST_MAX - 13, " HTTP/1.0\r\n\r\n", 13);
	assert_int_equal(dirserv_request(s, &reply, request, DIR_REQUEST_MAX, &peer), 0);
	dir_reply_free(reply);
	dirserv_free(s);
	free(request);
}

static void test_replace(void **state)
{
	static const char request[] = "GET /tor/status-vote/current/consensus HTTP/1.0\r\n\r\n";
	struct dirserv *s = server_new();
	const struct dir_doc_meta meta = { .kind = DIR_DOC_CERTS };
	struct dir_entry e = entry("x", 1, "y");
	struct answer a = { 0 };
	struct dir_reply *reply;
	char first[600];
	int fd;

	(void)state;
	assert_int_equal(dirserv_request(s, &reply, request, strlen(request), &peer), 0);
	assert_int_equal(dir_reply_read(reply, (uint8_t *)first, 500), 500);
	set_consensus(s, DIR_DOC_CONSENSUS_NS, VALID_AFTER + 3600, 3);
	check_body(s, "/tor/status-vote/current/consensus", consensus_text[3]);
	/* Refused: another kind than it says, no text, no such kind, not a memfd. The old one stays. */
	assert_int_equal(dir_doc_build(&fd, &meta, &e, 1), 0);
	assert_int_equal(dirserv_set_document(s, DIR_DOC_CONSENSUS_NS, fd), ERR_MALFORMED);
	assert_int_equal(close(fd), -1);
	assert_int_equal(dir_doc_build(&fd, &(struct dir_doc_meta){ .kind = DIR_DOC_CONSENSUS_NS }, &e, 1), 0);
	assert_int_equal(dirserv_set_document(s, DIR_DOC_CONSENSUS_NS, fd), ERR_MALFORMED);
	assert_int_equal(dir_doc_build(&fd, &meta, &e, 1), 0);
	assert_int_equal(dirserv_set_document(s, DIR_DOC_KINDS, fd), ERR_RANGE);
	assert_int_equal(dirserv_set_document(s, DIR_DOC_CERTS, -1), ERR_MALFORMED);
	check_body(s, "/tor/status-vote/current/consensus", consensus_text[3]);
	dirserv_free(s);
	/* The one under way goes on with what it began with, even now. */
	memset(first, 0, sizeof(first));
	answer_clear(&a);
	a.body = mem_new(10000);
	a.len = dir_reply_read(reply, (uint8_t *)a.body, 10000);
	assert_int_equal(a.len % 10000, a.len);
	assert_memory_equal(a.body + a.len - 100, consensus_text[0] + strlen(consensus_text[0]) - 100, 100);
	dir_reply_free(reply);
	answer_clear(&a);
}

static void test_bytes(void **state)
{
	struct dirserv *s = server_new();
	struct dir_reply *reply;
	uint8_t out[600];
	char *url, *body, *request;

	(void)state;
	url = micro_url(0, 1, N_MICROS, &body);
	request = mem_printf("GET %s.z HTTP/1.0\r\n\r\n", url);
	assert_int_equal(dirserv_request(s, &reply, request, strlen(request), &peer), 0);
	assert_in_range(dir_reply_bytes(reply), 1000, 20000);
	assert_int_equal(dir_reply_read(reply, out, sizeof(out)), sizeof(out));
	assert_in_range(dir_reply_bytes(reply), 50000, 200000);		/* now with its compressor */
	dir_reply_free(reply);
	dir_reply_free(NULL);
	dirserv_free(s);
	dirserv_free(NULL);
	free(url);
	free(body);
	free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dates), cmocka_unit_test(test_head), cmocka_unit_test(test_peer),
		cmocka_unit_test(test_consensus), cmocka_unit_test(test_codings),
		cmocka_unit_test(test_consensus_plain_only), cmocka_unit_test(test_modified_since),
		cmocka_unit_test(test_micros), cmocka_unit_test(test_descriptors), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_starting), cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_long_request), cmocka_unit_test(test_replace), cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
