/*
 * Sockets under links: non-blocking TCP, TLS through memory, one read and one
 * send for many cells. The only file that moves a link's bytes; it knows
 * nothing of cells but where they start.
 */
#ifndef RELAY_LINK_IO_H
#define RELAY_LINK_IO_H

#include <stddef.h>
#include <stdint.h>

struct relay;
struct link;
struct link_io;
struct link_scratch;

/* Buffers that all links of a relay share, because no callback keeps bytes in them. */
struct link_scratch *link_scratch_new(void);
void link_scratch_free(struct link_scratch *s);

/* Listen on `fd` (non-blocking; owned from now on). */
int link_io_listen(struct relay *r, int fd);
void link_io_close_listeners(struct relay *r);

/* Each second: let listeners accept again that ran out of file descriptors. */
void link_io_wake_listeners(struct relay *r);

/* Start to connect l->peer. Result later: link_hs_start() or link_close(). */
int link_io_connect(struct link *l);

/* Send what waits: handshake bytes, then cells as far as socket and limits allow. */
void link_io_flush(struct link *l);

/* Send bytes of the handshake (cells of any length), sealed as they come. */
void link_io_send_raw(struct link *l, const uint8_t *data, size_t len);

/* Let links read and write again that waited for a token bucket. */
void link_io_unthrottle(struct relay *r);

/* Stop events and close the socket; close_notify is tried once. */
void link_io_close(struct link *l);
void link_io_free(struct link_io *io);

/* The digest of the TLS certificate of the responder. ERR_STATE without a socket. */
int link_io_responder_cert(const struct link *l, uint8_t out[32]);

/* RFC 5705 keying material for AUTHENTICATE; its context is CID, the initiator's RSA identity by SHA-256. */
int link_io_export(const struct link *l, uint8_t out[32], const uint8_t cid[32]);

/* Ciphertext that waits for the socket, in bytes. */
size_t link_io_pending(const struct link *l);

#endif
