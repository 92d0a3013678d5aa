/* The first bytes of a stranger's TLS connection, cut into pieces of the size the first byte says. */
#include "config.h"

#include <stdlib.h>

#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/tls.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct tls_ctx *make_ctx(void)
{
	uint8_t *key, *cert;
	size_t key_len, cert_len;
	struct tls_ctx *ctx;

	if (crypto_init() < 0 ||
	    x509_make_link_cert(&key, &key_len, &cert, &cert_len, 1795000000, 86400) < 0 ||
	    tls_ctx_new(&ctx, key, key_len, cert, cert_len) < 0)
		abort();
	free(key);
	free(cert);
	return ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct tls_ctx *ctx;
	static uint8_t buf[65536];
	struct tls_sink sink = { .buf = buf, .cap = sizeof(buf) };
	size_t step = len && data[0] ? (size_t)data[0] * 8 : 1;
	uint8_t out[16];
	struct tls *t;
	size_t n;
	int r = ERR_AGAIN;

	if (!ctx)
		ctx = make_ctx();
	t = tls_new_server(ctx);
	tls_set_sink(t, &sink);
	for (size_t at = 1; at < len && r == ERR_AGAIN; at += step) {
		tls_feed(t, data + at, len - at < step ? len - at : step);
		r = tls_handshake(t);
		/* Nobody finishes a handshake by guessing. */
		if (r == 0 || tls_read(t, out, sizeof(out), &n) == 0)
			abort();
	}
	tls_free(t);
	return 0;
}
