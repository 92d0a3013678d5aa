/*
 * TLS for relay links, without sockets: ciphertext goes in and comes out of
 * memory, so that the owner of the socket decides how much is read, sealed
 * and sent at once. TLS 1.2 and 1.3. Peers' certificates are not judged here:
 * the link handshake does that (tor-spec 4).
 */
#ifndef NONOS_TLS_H
#define NONOS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_ctx;		/* one per link certificate; refcounted by the connections made from it */
struct tls;		/* one connection */

enum { TLS_RECORD_MAX = 16384, TLS_RECORD_OVERHEAD = 256 };

/* `key_der` is the private key of `cert_der` (x509_make_link_cert()). */
int tls_ctx_new(struct tls_ctx **ret, const uint8_t *key_der, size_t key_len,
		const uint8_t *cert_der, size_t cert_len);
void tls_ctx_free(struct tls_ctx *ctx);

/* SHA-256 of the certificate's DER, 32 bytes, borrowed. */
const uint8_t *tls_ctx_cert_sha256(const struct tls_ctx *ctx);

/* Start as the side that was connected to, or as the side that connects (random SNI). */
struct tls *tls_new_server(struct tls_ctx *ctx);
struct tls *tls_new_client(struct tls_ctx *ctx);
void tls_free(struct tls *t);

/*
 * Give the connection ciphertext from the peer. The bytes are borrowed until
 * tls_handshake() or tls_read() has returned ERR_AGAIN, which consumes them
 * all; feed again only after that. (A handshake that returns 0 may have left
 * some: go on with tls_read().) A failed or closed connection takes nothing
 * more.
 */
void tls_feed(struct tls *t, const uint8_t *in, size_t len);

/*
 * Where ciphertext for the peer goes. The sink is borrowed and must have room
 * for what a call can produce: a whole handshake flight (at most 8 KiB) or
 * len + TLS_RECORD_OVERHEAD for tls_write(). The driver writes nothing
 * without a sink, and reports ERR_TOO_LONG when it is full; nothing is lost
 * then, call again with room. Reading can write too: a failure sends an
 * alert, and a TLS 1.3 peer may ask for new keys.
 */
struct tls_sink {
	uint8_t *buf;
	size_t cap;
	size_t len;		/* used; the driver adds to it */
};
void tls_set_sink(struct tls *t, struct tls_sink *sink);

/*
 * Go on with the handshake: 0 when done, ERR_AGAIN when it needs more bytes,
 * ERR_CRYPTO when it failed. It fails after 64 KiB from the peer.
 */
int tls_handshake(struct tls *t);
bool tls_is_open(const struct tls *t);

/*
 * Decrypt what was fed into `out`: at least one byte and 0, or ERR_AGAIN when
 * nothing whole is left, ERR_CLOSED after close_notify, ERR_CRYPTO on a bad
 * record or a peer that sends nothing but handshake messages, ERR_STATE before
 * the handshake is done. Records are read whole: a `cap` of TLS_RECORD_MAX or more never
 * splits one.
 */
int tls_read(struct tls *t, uint8_t *out, size_t cap, size_t *ret_len);

/* Seal `len` bytes, at most TLS_RECORD_MAX, as one record into the sink; 0 bytes make none. */
int tls_write(struct tls *t, const uint8_t *data, size_t len);

/* Put a close_notify into the sink. */
void tls_shutdown(struct tls *t);

/* SHA-256 of the peer's certificate (DER). ERR_NOT_FOUND when it showed none. */
int tls_peer_cert_sha256(const struct tls *t, uint8_t out[32]);

/* RFC 5705 exporter, with a context. */
int tls_export(const struct tls *t, uint8_t *out, size_t out_len, const char *label,
	       const uint8_t *context, size_t context_len);

/* "TLSv1.3", "TLSv1.2". */
const char *tls_version_str(const struct tls *t);

/* The reason of the last failure on this thread, for a log line. */
const char *tls_error_str(void);

#endif
