/*
 * The driver against itself and against a plain OpenSSL peer, in memory. The
 * peer is configured here as ours never is: other versions, other keys, other
 * habits. This is why this file alone of the tests includes the library.
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

/* The library has a type of the name of one of our errors. */
#define ERR_STATE openssl_err_state
#include <openssl/ssl.h>
#undef ERR_STATE

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/rand.h>
#include <nonos/tls.h>

enum { NOW = 1795000000, SINK_CAP = 65536 };

static struct tls_ctx *ctx;

/* -- two of ours --------------------------------------------------------- */

struct side {
	struct tls *t;
	struct tls_sink sink;
	uint8_t buf[SINK_CAP];
};

struct pair {
	struct side a, b;	/* client, server */
};

static void side_init(struct side *s, struct tls *t)
{
	s->t = t;
	s->sink = (struct tls_sink){ .buf = s->buf, .cap = sizeof(s->buf) };
	tls_set_sink(t, &s->sink);
}

static struct pair *pair_new(void)
{
	struct pair *p = mem_new(sizeof(*p));

	side_init(&p->a, tls_new_client(ctx));
	side_init(&p->b, tls_new_server(ctx));
	return p;
}

static void pair_free(struct pair *p)
{
	tls_free(p->a.t);
	tls_free(p->b.t);
	free(p);
}

/* Give what `from` wrote to `to` in pieces of `step`, as far as its handshake goes. */
static int handshake_step(struct side *to, struct side *from, size_t step)
{
	int r = tls_handshake(to->t);

	for (size_t at = 0; at < from->sink.len; at += step) {
		size_t left = from->sink.len - at;

		assert_true(r == ERR_AGAIN || r == 0);
		tls_feed(to->t, from->buf + at, left < step ? left : step);
		r = tls_handshake(to->t);
		if (r == 0) {
			uint8_t none[16];
			size_t n;

			assert_int_equal(tls_read(to->t, none, sizeof(none), &n), ERR_AGAIN);
		}
	}
	from->sink.len = 0;
	return r;
}

static void pair_open(struct pair *p, size_t step)
{
	for (int i = 0; i < 4; i++) {
		(void)handshake_step(&p->a, &p->b, step);
		(void)handshake_step(&p->b, &p->a, step);
	}
	assert_true(tls_is_open(p->a.t));
	assert_true(tls_is_open(p->b.t));
}

static void test_handshake(void **state)
{
	static const size_t steps[] = { 1, 7, 1000, SINK_CAP };
	uint8_t digest[32], x[32], y[32], z[32];

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct pair *p = pair_new();

		assert_false(tls_is_open(p->a.t));
		assert_int_equal(tls_export(p->a.t, x, 32, "L", NULL, 0), ERR_STATE);
		assert_int_equal(tls_peer_cert_sha256(p->a.t, digest), ERR_NOT_FOUND);
		pair_open(p, steps[i]);
		assert_string_equal(tls_version_str(p->a.t), "TLSv1.3");
		assert_int_equal(tls_peer_cert_sha256(p->a.t, digest), 0);
		assert_memory_equal(digest, tls_ctx_cert_sha256(ctx), 32);
		assert_int_equal(tls_peer_cert_sha256(p->b.t, digest), ERR_NOT_FOUND);

		assert_int_equal(tls_export(p->a.t, x, 32, "EXPORTER test", (const uint8_t *)"id", 2), 0);
		assert_int_equal(tls_export(p->b.t, y, 32, "EXPORTER test", (const uint8_t *)"id", 2), 0);
		assert_int_equal(tls_export(p->b.t, z, 32, "EXPORTER test", (const uint8_t *)"ie", 2), 0);
		assert_memory_equal(x, y, 32);
		assert_memory_not_equal(x, z, 32);
		pair_free(p);
	}
}

/* Many records in one feed come out one by one; then, and only then, ERR_AGAIN. */
static void test_many_records_per_feed(void **state)
{
	struct pair *p = pair_new();
	uint8_t in[514], out[TLS_RECORD_MAX];
	size_t n;

	(void)state;
	pair_open(p, SINK_CAP);
	rand_bytes(in, sizeof(in));
	for (int i = 0; i < 100; i++) {
		in[0] = (uint8_t)i;
		assert_int_equal(tls_write(p->a.t, in, sizeof(in)), 0);
	}
	tls_feed(p->b.t, p->a.buf, p->a.sink.len);
	for (int i = 0; i < 100; i++) {
		in[0] = (uint8_t)i;
		assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), 0);
		assert_int_equal(n, sizeof(in));
		assert_memory_equal(out, in, n);
	}
	assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), ERR_AGAIN);
	pair_free(p);
}

/* One record, a byte at a time: nothing until the last one. */
static void test_byte_by_byte(void **state)
{
	struct pair *p = pair_new();
	uint8_t in[1028], out[TLS_RECORD_MAX];
	size_t n;

	(void)state;
	pair_open(p, SINK_CAP);
	rand_bytes(in, sizeof(in));
	for (int i = 0; i < 3; i++) {
		p->b.sink.len = 0;
		assert_int_equal(tls_write(p->b.t, in, sizeof(in)), 0);
		for (size_t at = 0; at < p->b.sink.len; at++) {
			tls_feed(p->a.t, p->b.buf + at, 1);
			if (at + 1 < p->b.sink.len)
				assert_int_equal(tls_read(p->a.t, out, sizeof(out), &n), ERR_AGAIN);
		}
		assert_int_equal(tls_read(p->a.t, out, sizeof(out), &n), 0);
		assert_int_equal(n, sizeof(in));
		assert_memory_equal(out, in, n);
		assert_int_equal(tls_read(p->a.t, out, sizeof(out), &n), ERR_AGAIN);
	}
	pair_free(p);
}

/* 4 MB both ways, records and feeds of many sizes, a reader with little room. */
static void test_big_data(void **state)
{
	enum { TOTAL = 4 << 20 };
	uint8_t *data = mem_new(TOTAL), *got = mem_new(TOTAL);
	struct pair *p = pair_new();
	size_t sent = 0, read = 0, n;

	(void)state;
	pair_open(p, SINK_CAP);
	rand_bytes(data, TOTAL);
	while (sent < TOTAL) {
		p->a.sink.len = 0;
		for (int i = 0; i < 3 && sent < TOTAL; i++) {
			n = 1 + rand_below(TLS_RECORD_MAX);
			n = n < TOTAL - sent ? n : TOTAL - sent;
			assert_int_equal(tls_write(p->a.t, data + sent, n), 0);
			sent += n;
		}
		for (size_t at = 0; at < p->a.sink.len; at += n) {
			size_t left = p->a.sink.len - at, got_len;

			n = 1 + rand_below(40000);
			n = n < left ? n : left;
			tls_feed(p->b.t, p->a.buf + at, n);
			while (tls_read(p->b.t, got + read, 1 + rand_below(5000), &got_len) == 0)
				read += got_len;
		}
	}
	assert_int_equal(read, TOTAL);
	assert_memory_equal(got, data, TOTAL);
	pair_free(p);
	free(data);
	free(got);
}

/* The largest write is one record within the promised overhead; without that room it is refused whole. */
static void test_write_bounds(void **state)
{
	struct pair *p = pair_new();
	uint8_t data[TLS_RECORD_MAX + 1], out[TLS_RECORD_MAX];
	size_t n;

	(void)state;
	memset(data, 'x', sizeof(data));
	assert_int_equal(tls_write(p->a.t, data, 1), ERR_STATE);
	assert_int_equal(tls_read(p->a.t, out, 1, &n), ERR_STATE);
	pair_open(p, SINK_CAP);
	assert_int_equal(tls_write(p->a.t, data, 0), 0);
	assert_int_equal(p->a.sink.len, 0);
	assert_int_equal(tls_write(p->a.t, data, sizeof(data)), ERR_TOO_LONG);
	p->a.sink.cap = TLS_RECORD_MAX + TLS_RECORD_OVERHEAD - 1;
	assert_int_equal(tls_write(p->a.t, data, TLS_RECORD_MAX), ERR_TOO_LONG);
	tls_set_sink(p->a.t, NULL);
	assert_int_equal(tls_write(p->a.t, data, 1), ERR_TOO_LONG);
	tls_set_sink(p->a.t, &p->a.sink);
	p->a.sink.cap++;
	assert_int_equal(tls_write(p->a.t, data, TLS_RECORD_MAX), 0);
	assert_in_range(p->a.sink.len, TLS_RECORD_MAX + 1, TLS_RECORD_MAX + TLS_RECORD_OVERHEAD);
	tls_feed(p->b.t, p->a.buf, p->a.sink.len);
	assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), 0);
	assert_int_equal(n, TLS_RECORD_MAX);
	assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), ERR_AGAIN);
	pair_free(p);
}

static void test_close(void **state)
{
	struct pair *p = pair_new();
	uint8_t out[64];
	size_t n;

	(void)state;
	tls_shutdown(p->a.t);	/* nothing to close yet */
	pair_open(p, SINK_CAP);
	assert_int_equal(tls_write(p->a.t, (const uint8_t *)"bye", 3), 0);
	tls_shutdown(p->a.t);
	tls_feed(p->b.t, p->a.buf, p->a.sink.len);
	assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), ERR_CLOSED);
	tls_feed(p->b.t, out, sizeof(out));
	assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), ERR_CLOSED);
	pair_free(p);
}

/* Any bit of a record changed: nothing of it is given out, and the connection is over. */
static void test_tampering(void **state)
{
	uint8_t in[40], out[64];
	size_t n;

	(void)state;
	rand_bytes(in, sizeof(in));
	for (size_t i = 0; i < sizeof(in) + 22; i++) {
		struct pair *p = pair_new();
		int r;

		pair_open(p, SINK_CAP);
		assert_int_equal(tls_write(p->a.t, in, sizeof(in)), 0);
		assert_int_equal(p->a.sink.len, sizeof(in) + 22);
		p->a.buf[i] ^= 0x40;
		tls_feed(p->b.t, p->a.buf, p->a.sink.len);
		r = tls_read(p->b.t, out, sizeof(out), &n);
		/* Made longer, the record is not whole yet. */
		if ((i == 3 || i == 4) && r == ERR_AGAIN) {
			pair_free(p);
			continue;
		}
		assert_int_equal(r, ERR_CRYPTO);
		assert_false(tls_is_open(p->b.t));
		assert_true(strlen(tls_error_str()) > 0);
		tls_feed(p->b.t, p->a.buf, p->a.sink.len);
		assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), ERR_CRYPTO);
		assert_int_equal(tls_write(p->b.t, in, 1), ERR_CRYPTO);
		pair_free(p);
	}
}

static void test_garbage(void **state)
{
	static const char http[] = "GET / HTTP/1.0\r\n\r\n";
	struct pair *p = pair_new();

	(void)state;
	tls_feed(p->b.t, (const uint8_t *)http, sizeof(http) - 1);
	assert_int_equal(tls_handshake(p->b.t), ERR_CRYPTO);
	assert_int_equal(tls_handshake(p->b.t), ERR_CRYPTO);
	assert_false(tls_is_open(p->b.t));
	pair_free(p);
}

/* A handshake without room in the sink waits; with room it goes on. */
static void test_small_sink(void **state)
{
	struct pair *p = pair_new();

	(void)state;
	p->a.sink.cap = 20;
	assert_int_equal(tls_handshake(p->a.t), ERR_TOO_LONG);
	assert_int_equal(p->a.sink.len, 0);
	p->a.sink.cap = SINK_CAP;
	pair_open(p, SINK_CAP);
	pair_free(p);
}

/* A server's flight, an initiator's hello: within the 8 KiB that the header promises. */
static void test_flight_size(void **state)
{
	struct pair *p = pair_new();

	(void)state;
	assert_int_equal(tls_handshake(p->a.t), ERR_AGAIN);
	assert_in_range(p->a.sink.len, 100, 4096);
	tls_feed(p->b.t, p->a.buf, p->a.sink.len);
	assert_int_equal(tls_handshake(p->b.t), ERR_AGAIN);
	assert_in_range(p->b.sink.len, 500, 8192);
	pair_free(p);
}

/* A context goes away when its last connection does. */
static void test_ctx_refs(void **state)
{
	uint8_t *key, *cert;
	size_t key_len, cert_len;
	struct tls_ctx *c;
	struct side *s = mem_new(sizeof(*s));

	(void)state;
	assert_int_equal(x509_make_link_cert(&key, &key_len, &cert, &cert_len, NOW, 86400), 0);
	assert_int_equal(tls_ctx_new(&c, key, key_len - 1, cert, cert_len), ERR_CRYPTO);
	assert_int_equal(tls_ctx_new(&c, key, key_len, cert, cert_len - 1), ERR_CRYPTO);
	assert_int_equal(tls_ctx_new(&c, key, key_len, cert, cert_len), 0);
	side_init(s, tls_new_client(c));
	tls_ctx_free(c);
	assert_int_equal(tls_handshake(s->t), ERR_AGAIN);
	tls_free(s->t);
	tls_free(NULL);
	tls_ctx_free(NULL);
	free(s);
	free(key);
	free(cert);
}

/* -- ours against OpenSSL as it comes ------------------------------------- */

struct foreign {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;		/* owned by ssl */
	struct side ours;
};

static struct foreign *foreign_new(bool ours_is_server, int version)
{
	struct foreign *f = mem_new(sizeof(*f));

	f->ctx = SSL_CTX_new(TLS_method());
	SSL_CTX_set_security_level(f->ctx, 0);
	assert_int_equal(SSL_CTX_set_min_proto_version(f->ctx, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(f->ctx, version), 1);
	SSL_CTX_set_verify(f->ctx, SSL_VERIFY_NONE, NULL);
	side_init(&f->ours, ours_is_server ? tls_new_server(ctx) : tls_new_client(ctx));
	return f;
}

/* Give the foreign side a self-signed certificate over an RSA key of `bits`. */
static void foreign_rsa_cert(struct foreign *f, unsigned bits)
{
	uint8_t *cert, key[2400];
	size_t cert_len, key_len;
	struct rsa_key *k;

	assert_int_equal(rsa_generate(&k, bits), 0);
	assert_int_equal(x509_make_rsa_id_cert(&cert, &cert_len, k, NOW - 10 * 86400, 1), 0);	/* expired too */
	assert_int_equal(rsa_private_der(key, sizeof(key), &key_len, k), 0);
	assert_int_equal(SSL_CTX_use_certificate_ASN1(f->ctx, (int)cert_len, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_RSA, f->ctx, key, (long)key_len), 1);
	free(cert);
	rsa_free(k);
}

static void foreign_start(struct foreign *f, bool foreign_is_server)
{
	f->ssl = SSL_new(f->ctx);
	f->in = BIO_new(BIO_s_mem());
	f->out = BIO_new(BIO_s_mem());
	SSL_set_bio(f->ssl, f->in, f->out);
	if (foreign_is_server)
		SSL_set_accept_state(f->ssl);
	else
		SSL_set_connect_state(f->ssl);
}

static void foreign_free(struct foreign *f)
{
	SSL_free(f->ssl);
	SSL_CTX_free(f->ctx);
	tls_free(f->ours.t);
	free(f);
}

/* Carry what each side wrote to the other. The result is that of our last read. */
static int foreign_exchange(struct foreign *f, uint8_t *out, size_t cap, size_t *ret_len)
{
	static uint8_t wire[1 << 18];
	int n, r;

	if (f->ours.sink.len)
		assert_int_equal(BIO_write(f->in, f->ours.buf, (int)f->ours.sink.len), f->ours.sink.len);
	f->ours.sink.len = 0;
	n = BIO_read(f->out, wire, sizeof(wire));
	tls_feed(f->ours.t, wire, n > 0 ? (size_t)n : 0);
	r = tls_handshake(f->ours.t);
	*ret_len = 0;
	while (r == 0) {
		size_t got;

		r = tls_read(f->ours.t, out + *ret_len, cap - *ret_len, &got);
		if (r == 0)
			*ret_len += got;
	}
	return r;
}

/* Return what the last exchange of our side returned. */
static int foreign_handshake(struct foreign *f)
{
	uint8_t out[16];
	size_t n;
	int r = ERR_AGAIN;

	for (int i = 0; i < 5 && r == ERR_AGAIN; i++) {
		(void)SSL_do_handshake(f->ssl);
		r = foreign_exchange(f, out, sizeof(out), &n);
	}
	return r;
}

static void foreign_talk(struct foreign *f)
{
	uint8_t in[5000], out[6000], x[32], y[32];
	size_t n;

	rand_bytes(in, sizeof(in));
	assert_int_equal(SSL_write(f->ssl, in, sizeof(in)), sizeof(in));
	assert_int_equal(foreign_exchange(f, out, sizeof(out), &n), ERR_AGAIN);
	assert_int_equal(n, sizeof(in));
	assert_memory_equal(in, out, n);
	assert_int_equal(tls_write(f->ours.t, in, sizeof(in)), 0);
	assert_int_equal(foreign_exchange(f, out, sizeof(out), &n), ERR_AGAIN);
	memset(out, 0, sizeof(out));
	assert_int_equal(SSL_read(f->ssl, out, sizeof(out)), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(tls_export(f->ours.t, x, 32, "EXPORTER x", in, 32), 0);
	assert_int_equal(SSL_export_keying_material(f->ssl, y, 32, "EXPORTER x", 10, in, 32, 1), 1);
	assert_memory_equal(x, y, 32);
}

static int sessions_seen;

static int count_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	sessions_seen += SSL_SESSION_is_resumable(session);
	return 0;
}

/* Nothing that a client could be known again by: no ticket, no session to come back to. */
static void test_no_resumption(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct foreign *f = foreign_new(true, versions[i]);

		sessions_seen = 0;
		SSL_CTX_set_session_cache_mode(f->ctx, SSL_SESS_CACHE_CLIENT);
		SSL_CTX_sess_set_new_cb(f->ctx, count_session);
		foreign_start(f, false);
		assert_int_equal(foreign_handshake(f), ERR_AGAIN);
		foreign_talk(f);
		foreign_talk(f);
		assert_int_equal(sessions_seen, 0);
		foreign_free(f);
	}
}

/* The client names a host, another one each time. */
static void test_random_sni(void **state)
{
	char names[2][64];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct foreign *f = foreign_new(false, TLS1_3_VERSION);

		foreign_rsa_cert(f, 1024);
		foreign_start(f, true);
		assert_int_equal(foreign_handshake(f), ERR_AGAIN);
		assert_non_null(SSL_get_servername(f->ssl, TLSEXT_NAMETYPE_host_name));
		snprintf(names[i], sizeof(names[i]), "%s", SSL_get_servername(f->ssl, TLSEXT_NAMETYPE_host_name));
		assert_int_equal(strncmp(names[i], "www.", 4), 0);
		foreign_free(f);
	}
	assert_string_not_equal(names[0], names[1]);
}

/* No cipher without authentication of records or without forward secrecy. */
static void test_weak_ciphers_refused(void **state)
{
	static const char *const weak[] = { "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "aNULL", "eNULL" };

	(void)state;
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
		struct foreign *f = foreign_new(true, TLS1_2_VERSION);

		assert_int_equal(SSL_CTX_set_cipher_list(f->ctx, weak[i]), 1);
		foreign_start(f, false);
		assert_int_equal(foreign_handshake(f), ERR_CRYPTO);
		foreign_free(f);
	}
}

/* Fed while something is still unread: an error, not lost bytes. */
static void test_fed_too_early(void **state)
{
	struct pair *p = pair_new();
	uint8_t out[64];
	size_t n;

	(void)state;
	pair_open(p, SINK_CAP);
	assert_int_equal(tls_write(p->a.t, (const uint8_t *)"one", 3), 0);
	tls_feed(p->b.t, p->a.buf, p->a.sink.len);
	assert_int_equal(tls_read(p->b.t, out, 0, &n), ERR_RANGE);
	tls_feed(p->b.t, p->a.buf, 1);
	assert_int_equal(tls_read(p->b.t, out, sizeof(out), &n), ERR_CRYPTO);
	pair_free(p);
}

static void test_versions_both_roles(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (int i = 0; i < 4; i++) {
		bool ours_is_server = i & 1;
		int version = versions[i >> 1];
		struct foreign *f = foreign_new(ours_is_server, version);

		if (!ours_is_server)
			foreign_rsa_cert(f, 1024);
		foreign_start(f, !ours_is_server);
		assert_int_equal(foreign_handshake(f), ERR_AGAIN);
		assert_true(tls_is_open(f->ours.t));
		assert_string_equal(tls_version_str(f->ours.t), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
		foreign_talk(f);
		foreign_free(f);
	}
}

static void test_old_versions_refused(void **state)
{
	(void)state;
	for (int ours_is_server = 0; ours_is_server < 2; ours_is_server++) {
		struct foreign *f = foreign_new(ours_is_server, TLS1_1_VERSION);

		assert_int_equal(SSL_CTX_set_cipher_list(f->ctx, "ALL:@SECLEVEL=0"), 1);
		foreign_rsa_cert(f, 2048);
		foreign_start(f, !ours_is_server);
		if (ours_is_server)
			assert_int_equal(foreign_handshake(f), ERR_CRYPTO);
		else
			(void)foreign_handshake(f);
		assert_false(tls_is_open(f->ours.t));
		foreign_free(f);
	}
}

/* Asked for a client certificate, we show none and get in all the same. */
static void test_no_client_certificate(void **state)
{
	struct foreign *f = foreign_new(false, TLS1_3_VERSION);

	(void)state;
	foreign_rsa_cert(f, 2048);
	SSL_CTX_set_verify(f->ctx, SSL_VERIFY_PEER, NULL);
	foreign_start(f, true);
	assert_int_equal(foreign_handshake(f), ERR_AGAIN);
	assert_true(SSL_is_init_finished(f->ssl));
	assert_null(SSL_get0_peer_certificate(f->ssl));
	foreign_talk(f);
	foreign_free(f);
}

/* New keys are taken and given; asking for them over and over ends the connection. */
static void test_key_update(void **state)
{
	struct foreign *f = foreign_new(true, TLS1_3_VERSION);
	uint8_t out[16];
	int r = ERR_AGAIN;
	size_t n;

	(void)state;
	foreign_start(f, false);
	assert_int_equal(foreign_handshake(f), ERR_AGAIN);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(SSL_key_update(f->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		foreign_talk(f);
	}
	for (int i = 0; i < 200 && r == ERR_AGAIN; i++) {
		assert_int_equal(SSL_key_update(f->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(f->ssl), 1);
		r = foreign_exchange(f, out, sizeof(out), &n);
	}
	assert_int_equal(r, ERR_CRYPTO);
	foreign_free(f);
}

/* Whoever asks: no second handshake is made, seen in that no new Finished comes. */
static void test_renegotiation_refused(void **state)
{
	uint8_t first[64], last[64], out[16];
	size_t n, first_len;

	(void)state;
	for (int ours_is_server = 0; ours_is_server < 2; ours_is_server++) {
		struct foreign *f = foreign_new(ours_is_server, TLS1_2_VERSION);
		int r = ERR_AGAIN;

		if (!ours_is_server)
			foreign_rsa_cert(f, 2048);
		foreign_start(f, !ours_is_server);
		assert_int_equal(foreign_handshake(f), ERR_AGAIN);
		foreign_talk(f);
		first_len = SSL_get_peer_finished(f->ssl, first, sizeof(first));
		assert_true(first_len > 0);
		assert_int_equal(SSL_renegotiate(f->ssl), 1);
		for (int i = 0; i < 6 && r == ERR_AGAIN; i++) {
			(void)SSL_do_handshake(f->ssl);
			(void)SSL_read(f->ssl, out, sizeof(out));
			r = foreign_exchange(f, out, sizeof(out), &n);
		}
		assert_int_equal(SSL_get_peer_finished(f->ssl, last, sizeof(last)), first_len);
		assert_memory_equal(first, last, first_len);
		foreign_free(f);
	}
}

static void test_short_records_refused(void **state)
{
	struct foreign *f = foreign_new(true, TLS1_3_VERSION);

	(void)state;
	assert_int_equal(SSL_CTX_set_tlsext_max_fragment_length(f->ctx, TLSEXT_max_fragment_length_512), 1);
	foreign_start(f, false);
	assert_int_equal(foreign_handshake(f), ERR_CRYPTO);
	foreign_free(f);
}

/* A chain beyond what anybody needs ends the handshake. */
static void test_long_chain_refused(void **state)
{
	struct foreign *f = foreign_new(false, TLS1_3_VERSION);
	uint8_t *key, *der;
	size_t key_len, len;

	(void)state;
	foreign_rsa_cert(f, 1024);
	for (int i = 0; i < 60; i++) {
		const uint8_t *p;
		X509 *extra;

		assert_int_equal(x509_make_link_cert(&key, &key_len, &der, &len, NOW, 86400), 0);
		p = der;
		extra = d2i_X509(NULL, &p, (long)len);
		assert_int_equal(SSL_CTX_add_extra_chain_cert(f->ctx, extra), 1);
		free(key);
		free(der);
	}
	foreign_start(f, true);
	assert_int_equal(foreign_handshake(f), ERR_CRYPTO);
	foreign_free(f);
}

/* A hello that promises 128 KiB and goes on and on is cut off. */
static void test_endless_handshake(void **state)
{
	struct pair *p = pair_new();
	uint8_t record[5 + 4096] = { 22, 3, 1, 16, 0, 1, 2, 0, 0 };	/* client_hello of 128 KiB */
	size_t fed = 0;
	int r = ERR_AGAIN;

	(void)state;
	while (r == ERR_AGAIN && fed < (1 << 20)) {
		tls_feed(p->b.t, record, sizeof(record));
		r = tls_handshake(p->b.t);
		fed += sizeof(record);
		memset(record + 5, 0, sizeof(record) - 5);
	}
	assert_int_equal(r, ERR_CRYPTO);
	assert_true(fed <= 65536 + 2 * sizeof(record));
	pair_free(p);
}

static int setup(void **state)
{
	uint8_t *key, *cert;
	size_t key_len, cert_len;
	int r;

	(void)state;
	if (crypto_init() < 0 || x509_make_link_cert(&key, &key_len, &cert, &cert_len, NOW, 86400) < 0)
		return -1;
	r = tls_ctx_new(&ctx, key, key_len, cert, cert_len);
	free(key);
	free(cert);
	return r;
}

static int teardown(void **state)
{
	(void)state;
	tls_ctx_free(ctx);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake), cmocka_unit_test(test_many_records_per_feed),
		cmocka_unit_test(test_byte_by_byte), cmocka_unit_test(test_big_data),
		cmocka_unit_test(test_write_bounds), cmocka_unit_test(test_close),
		cmocka_unit_test(test_tampering), cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_small_sink), cmocka_unit_test(test_flight_size),
		cmocka_unit_test(test_ctx_refs), cmocka_unit_test(test_versions_both_roles),
		cmocka_unit_test(test_old_versions_refused), cmocka_unit_test(test_no_client_certificate),
		cmocka_unit_test(test_key_update), cmocka_unit_test(test_renegotiation_refused),
		cmocka_unit_test(test_short_records_refused), cmocka_unit_test(test_long_chain_refused),
		cmocka_unit_test(test_endless_handshake), cmocka_unit_test(test_no_resumption),
		cmocka_unit_test(test_random_sni), cmocka_unit_test(test_weak_ciphers_refused),
		cmocka_unit_test(test_fed_too_early),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
