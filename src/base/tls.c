/*
 * TLS over memory. The library reads and writes through one BIO of our own:
 * reading takes straight from what was fed, writing appends straight to the
 * sink, so nothing is copied on the way and no socket is known here.
 */
#include "config.h"

#include <nonos/tls.h>

#include <stdlib.h>
#include <string.h>

#include "crypto_priv.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/mem.h>

enum {
	/* What a peer may make us read before the handshake is done. */
	HANDSHAKE_IN_MAX = 65536,
	CERT_LIST_MAX = 16384,
	/* Handshake messages and alerts in a row, with no data between, on an open connection. */
	CONTROL_MESSAGES_MAX = 64,
};

struct tls_ctx {
	SSL_CTX *ssl_ctx;	/* owned */
	uint8_t cert_sha256[SHA256_LEN];
	unsigned refs;
};

struct tls {
	SSL *ssl;		/* owned; owns the BIO */
	struct tls_ctx *ctx;	/* one reference */
	struct tls_sink *sink;	/* borrowed, may be NULL */
	const uint8_t *in;	/* borrowed: fed and not yet taken */
	size_t in_len;
	size_t handshake_in;	/* bytes taken before the connection was open */
	unsigned control_messages;
	bool open;
	bool closed;		/* the peer sent close_notify */
	bool failed;
};

static _Thread_local char last_error[160];

/* -- BIO ----------------------------------------------------------------- */

static BIO_METHOD *bio_method;

/* True when the peer made us work without getting anywhere. */
static bool over_limits(const struct tls *t)
{
	return (!t->open && t->handshake_in > HANDSHAKE_IN_MAX) ||
	       t->control_messages > CONTROL_MESSAGES_MAX;
}

static int feed_read(BIO *bio, char *out, size_t cap, size_t *ret_len)
{
	struct tls *t = BIO_get_data(bio);
	size_t n = t->in_len < cap ? t->in_len : cap;

	BIO_clear_retry_flags(bio);
	if (over_limits(t))
		return 0;
	if (n == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(out, t->in, n);
	t->in += n;
	t->in_len -= n;
	if (!t->open)
		t->handshake_in += n;
	*ret_len = n;
	return 1;
}

/* All or nothing, so that what is in the sink always ends with a whole write. */
static int sink_write(BIO *bio, const char *data, size_t len, size_t *ret_len)
{
	struct tls *t = BIO_get_data(bio);
	struct tls_sink *sink = t->sink;

	BIO_clear_retry_flags(bio);
	if (!sink || sink->cap - sink->len < len) {
		BIO_set_retry_write(bio);
		return 0;
	}
	memcpy(sink->buf + sink->len, data, len);
	sink->len += len;
	*ret_len = len;
	return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *p)
{
	(void)bio;
	(void)number;
	(void)p;
	return cmd == BIO_CTRL_FLUSH;
}

static int bio_method_init(void)
{
	BIO_METHOD *m;
	int type;

	if (bio_method)
		return 0;
	type = BIO_get_new_index();
	m = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "nonos memory");
	if (!m)
		return ERR_CRYPTO;
	if (!BIO_meth_set_read_ex(m, feed_read) || !BIO_meth_set_write_ex(m, sink_write) ||
	    !BIO_meth_set_ctrl(m, bio_ctrl)) {
		BIO_meth_free(m);
		return ERR_CRYPTO;
	}
	bio_method = m;
	return 0;
}

/* -- contexts ------------------------------------------------------------ */

/*
 * The certificate is judged by the link handshake, which has its digest
 * (tor-spec 4.2); building a chain is lost work.
 */
static int accept_any_chain(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

/* Count what a peer can send without end on an open connection: KeyUpdate, tickets, renegotiation. */
static void on_info(const SSL *ssl, int where, int value)
{
	struct tls *t = SSL_get_app_data(ssl);

	(void)value;
	if (t && t->open && where & (SSL_CB_LOOP | SSL_CB_ALERT))
		t->control_messages++;
}

/* Hybrid post-quantum where the library has it (3.5; the stars ask for both key shares at once). */
static bool set_groups(SSL_CTX *c)
{
	if (SSL_CTX_set1_groups_list(c, "*X25519MLKEM768:*P-256:X25519"))
		return true;
	ERR_clear_error();
	return SSL_CTX_set1_groups_list(c, "P-256:X25519");
}

/*
 * Level 0, so that no policy of the system refuses a peer's key (RSA-1024 is met); these lists
 * are what keeps weak ciphers and digests out.
 */
static bool set_algorithms(SSL_CTX *c)
{
	SSL_CTX_set_security_level(c, 0);
	return SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) &&
	       SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:"
					   "TLS_CHACHA20_POLY1305_SHA256") &&
	       SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
					  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
					  "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305") &&
	       SSL_CTX_set1_sigalgs_list(c, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:"
					    "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
					    "RSA+SHA256:RSA+SHA384:RSA+SHA512") &&
	       set_groups(c);
}

/*
 * Read-ahead stays off: our BIO is no system call, and the library would move
 * all that it has read ahead once for each record (a quarter slower at 514 bytes).
 */
static SSL_CTX *ssl_ctx_new(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_method());

	if (!c || !set_algorithms(c) || !SSL_CTX_set_num_tickets(c, 0)) {
		SSL_CTX_free(c);
		return NULL;
	}
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(c, CERT_LIST_MAX);
	SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(c, accept_any_chain, NULL);
	SSL_CTX_set_info_callback(c, on_info);
	return c;
}

static bool use_key(SSL_CTX *c, const uint8_t *key_der, size_t key_len,
		    const uint8_t *cert_der, size_t cert_len)
{
	const uint8_t *key_p = key_der, *cert_p = cert_der;
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &key_p, (long)key_len);
	X509 *cert = d2i_X509(NULL, &cert_p, (long)cert_len);
	bool ok = pkey && cert && key_p == key_der + key_len && cert_p == cert_der + cert_len &&
		  SSL_CTX_use_certificate(c, cert) == 1 && SSL_CTX_use_PrivateKey(c, pkey) == 1 &&
		  SSL_CTX_check_private_key(c) == 1;

	X509_free(cert);
	EVP_PKEY_free(pkey);
	return ok;
}

int tls_ctx_new(struct tls_ctx **ret, const uint8_t *key_der, size_t key_len,
		const uint8_t *cert_der, size_t cert_len)
{
	struct tls_ctx *ctx;
	SSL_CTX *c;

	if (bio_method_init() < 0)
		return ERR_CRYPTO;
	c = ssl_ctx_new();
	if (!c || !use_key(c, key_der, key_len, cert_der, cert_len)) {
		SSL_CTX_free(c);
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	ctx = mem_new(sizeof(*ctx));
	ctx->ssl_ctx = c;
	ctx->refs = 1;
	sha256(ctx->cert_sha256, cert_der, cert_len);
	*ret = ctx;
	return 0;
}

void tls_ctx_free(struct tls_ctx *ctx)
{
	if (!ctx || --ctx->refs)
		return;
	SSL_CTX_free(ctx->ssl_ctx);
	free(ctx);
}

const uint8_t *tls_ctx_cert_sha256(const struct tls_ctx *ctx)
{
	return ctx->cert_sha256;
}

/* -- connections --------------------------------------------------------- */

static struct tls *tls_new(struct tls_ctx *ctx)
{
	struct tls *t = mem_new(sizeof(*t));
	BIO *bio = BIO_new(bio_method);

	t->ssl = SSL_new(ctx->ssl_ctx);
	if (!t->ssl || !bio)
		crypto_die("TLS connection");
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	t->ctx = ctx;
	ctx->refs++;
	return t;
}

struct tls *tls_new_server(struct tls_ctx *ctx)
{
	struct tls *t = tls_new(ctx);

	SSL_set_accept_state(t->ssl);
	return t;
}

struct tls *tls_new_client(struct tls_ctx *ctx)
{
	struct tls *t = tls_new(ctx);
	char host[CRYPTO_HOSTNAME_CAP];

	SSL_set_connect_state(t->ssl);
	/* Asked for a certificate we show none: who we are is said in the link handshake. */
	SSL_certs_clear(t->ssl);
	if (!SSL_set_tlsext_host_name(t->ssl, crypto_random_hostname(host, "com")))
		crypto_die("TLS host name");
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	tls_ctx_free(t->ctx);
	free(t);
}

static int tls_fail(struct tls *t, const char *why)
{
	t->failed = true;
	t->in = NULL;
	t->in_len = 0;
	memset(last_error, 0, sizeof(last_error));
	strncpy(last_error, why, sizeof(last_error) - 1);
	ERR_clear_error();
	return ERR_CRYPTO;
}

void tls_feed(struct tls *t, const uint8_t *in, size_t len)
{
	if (t->failed || t->closed)
		return;
	if (t->in_len) {
		/* Bytes would be lost. An error of ours, but what a peer sends decides when it shows. */
		tls_fail(t, "fed again too early");
		return;
	}
	t->in = in;
	t->in_len = len;
}

void tls_set_sink(struct tls *t, struct tls_sink *sink)
{
	t->sink = sink;
}

/* What a call that did not succeed means for our caller. */
static int tls_result(struct tls *t, int result)
{
	const char *why;

	if (over_limits(t))
		return tls_fail(t, "the peer sends without getting anywhere");
	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return ERR_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		return ERR_TOO_LONG;
	case SSL_ERROR_ZERO_RETURN:
		t->closed = true;
		t->in = NULL;
		t->in_len = 0;
		return ERR_CLOSED;
	default:
		why = ERR_reason_error_string(ERR_peek_last_error());
		return tls_fail(t, why ? why : "unknown");
	}
}

int tls_handshake(struct tls *t)
{
	int result;

	if (t->open)
		return 0;
	if (t->failed)
		return ERR_CRYPTO;
	ERR_clear_error();
	result = SSL_do_handshake(t->ssl);
	if (result != 1)
		return tls_result(t, result);
	/* Such a peer would make many records of one tls_write(), more than its sink can hold. */
	if (SSL_SESSION_get_max_fragment_length(SSL_get0_session(t->ssl)) != TLSEXT_max_fragment_length_DISABLED)
		return tls_fail(t, "the peer wants short records");
	t->open = true;
	return 0;
}

bool tls_is_open(const struct tls *t)
{
	return t->open && !t->failed;
}

int tls_read(struct tls *t, uint8_t *out, size_t cap, size_t *ret_len)
{
	int result;

	if (t->failed)
		return ERR_CRYPTO;
	if (t->closed)
		return ERR_CLOSED;
	if (!t->open)
		return ERR_STATE;
	if (cap == 0)
		return ERR_RANGE;
	ERR_clear_error();
	result = SSL_read_ex(t->ssl, out, cap, ret_len);
	if (result != 1)
		return tls_result(t, result);
	t->control_messages = 0;
	return 0;
}

int tls_write(struct tls *t, const uint8_t *data, size_t len)
{
	size_t written;
	int result;

	if (t->failed)
		return ERR_CRYPTO;
	if (!t->open)
		return ERR_STATE;
	if (len == 0)
		return 0;
	/* Seen to beforehand: a record half made could not be taken back. */
	if (len > TLS_RECORD_MAX || !t->sink || t->sink->cap - t->sink->len < len + TLS_RECORD_OVERHEAD)
		return ERR_TOO_LONG;
	ERR_clear_error();
	result = SSL_write_ex(t->ssl, data, len, &written);
	return result == 1 ? 0 : tls_result(t, result);
}

void tls_shutdown(struct tls *t)
{
	if (!tls_is_open(t))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

int tls_peer_cert_sha256(const struct tls *t, uint8_t out[SHA256_LEN])
{
	const X509 *cert = SSL_get0_peer_certificate(t->ssl);
	uint8_t *der = NULL;
	int len;

	if (!cert)
		return ERR_NOT_FOUND;
	len = i2d_X509(cert, &der);
	if (len <= 0)
		return ERR_CRYPTO;
	sha256(out, der, (size_t)len);
	OPENSSL_free(der);
	return 0;
}

int tls_export(const struct tls *t, uint8_t *out, size_t out_len, const char *label,
	       const uint8_t *context, size_t context_len)
{
	if (!tls_is_open(t))
		return ERR_STATE;
	ERR_clear_error();
	return SSL_export_keying_material(t->ssl, out, out_len, label, strlen(label),
					  context, context_len, 1) == 1 ? 0 : ERR_CRYPTO;
}

const char *tls_version_str(const struct tls *t)
{
	return SSL_get_version(t->ssl);
}

const char *tls_error_str(void)
{
	return last_error;
}
