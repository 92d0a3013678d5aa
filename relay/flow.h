/*
 * Flow control of one circuit end (tor-spec 7.3 and 7.4, proposals 289 and 324):
 * how many DATA cells may be sent, which digests the SENDMEs for them must
 * carry, when to send SENDMEs of our own, and when to say XOFF and XON on a
 * stream. Pure but for rand_below(): counts and times in, decisions out.
 */
#ifndef RELAY_FLOW_H
#define RELAY_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cc;
struct cc_params;

enum {
	CIRC_WINDOW = 1000,		/* without congestion control (7.3) */
	CIRC_WINDOW_INC = 100,
	STREAM_WINDOW = 500,		/* (7.4) */
	STREAM_WINDOW_INC = 50,
	SENDME_DIGEST_LEN = 20,
	SENDME_V1_LEN = 3 + SENDME_DIGEST_LEN,
	FLOW_BURST_MAX = 40,		/* cells that one stream sends in one go */
};

struct flow {
	struct cc *cc;			/* NULL: fixed windows */
	uint8_t inc;			/* cells per SENDME */
	uint8_t sent;			/* DATA cells sent since the last one a SENDME is due for */
	uint8_t random_at;		/* which cell of this increment carries random bytes */
	uint8_t received;		/* DATA cells received since our last SENDME */
	uint16_t window;		/* fixed windows: cells we may send */
	/* Digests that coming SENDMEs must carry, in order: a ring. */
	uint8_t (*digests)[SENDME_DIGEST_LEN];
	uint32_t digests_cap, digests_head, digests_n;
};

/* `sendme_inc` 0: fixed windows, and `p` is not looked at. */
void flow_init(struct flow *f, const struct cc_params *p, uint8_t sendme_inc);
void flow_clear(struct flow *f);
size_t flow_bytes(const struct flow *f);

/* DATA cells that may be sent now. */
uint32_t flow_room(const struct flow *f);

/*
 * How many cells, and then how many bytes in them, one stream may send in one go: what
 * there is room for, about 32, and no further than the end of an increment.
 */
uint32_t flow_burst(const struct flow *f);
size_t flow_burst_bytes(const struct flow *f, uint32_t cells);

/*
 * Bytes of data that go into the next DATA cell. One cell of each increment
 * stays short, so that its random padding makes the digest unpredictable
 * (proposal 289, 3.3).
 */
size_t flow_cell_max(const struct flow *f);

/* A DATA cell was sent, with this running digest. */
void flow_sent(struct flow *f, const uint8_t digest[SENDME_DIGEST_LEN], uint64_t now_us);

/*
 * A circuit-level SENDME came in. `allow_v0`: take one without a digest.
 * `blocked`: our queue towards the client is above its limit.
 * ERR_PROTOCOL: none was due, or its digest is wrong, or its version is.
 */
int flow_sendme(struct flow *f, const uint8_t *body, size_t len, bool allow_v0, bool blocked,
		uint64_t now_us);

/* A DATA cell came in: true when it is time to send a SENDME with its digest. */
bool flow_received(struct flow *f);
void flow_sendme_build(uint8_t out[SENDME_V1_LEN], const uint8_t digest[SENDME_DIGEST_LEN]);

/*
 * XOFF and XON towards the client for one stream (proposal 324, 4.1): `drain`
 * watches how fast the socket takes what the client sends.
 */
enum drain_action { DRAIN_NOTHING, DRAIN_SEND_XOFF, DRAIN_SEND_XON };

struct drain {
	uint64_t since_us;		/* start of the measurement; 0: none runs */
	uint32_t bytes;			/* written since then */
	uint32_t bytes_empty;		/* written with nothing left over */
	uint32_t rate_kbps;		/* smoothed, 1000 bytes/s; 0: not known */
	uint32_t told_kbps;		/* in the last XON */
	bool xoff;			/* the client was told to stop */
	bool xon_sent;
};

/* Data came and `buffered` bytes now wait for the socket. */
enum drain_action drain_queued(struct drain *d, const struct cc_params *p, size_t buffered, uint64_t now_us);

/* The socket took `written` bytes and `buffered` are left. XON is to carry d->told_kbps. */
enum drain_action drain_written(struct drain *d, const struct cc_params *p, size_t written,
				size_t buffered, uint64_t now_us);

enum { XOFF_LEN = 1, XON_LEN = 5 };
void xoff_build(uint8_t out[XOFF_LEN]);
void xon_build(uint8_t out[XON_LEN], uint32_t kbps);

/* ERR_PROTOCOL for a version that is not 0, ERR_MALFORMED when short. */
int xoff_parse(const uint8_t *body, size_t len);
int xon_parse(uint32_t *ret_kbps, const uint8_t *body, size_t len);

#endif
