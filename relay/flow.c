/* Flow control of one circuit end; see flow.h. Owned by an edge, a `drain` by a stream. */
#include "config.h"

#include "flow.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "cc.h"
#include "relay_msg.h"

enum {
	BURST = 32,			/* cells of one stream before the next one's turn */
	RANDOM_LEN = 16,		/* random bytes in one cell of each increment */
	RANDOM_GAP = 4,			/* zeros before them (tor-spec 6.1) */
	DIGESTS_MIN = 10,		/* what fixed windows need at most */
	DRAIN_START = 32 * RELAY_DATA_MAX,	/* a queue this long means that the socket is slow */
};

void flow_init(struct flow *f, const struct cc_params *p, uint8_t sendme_inc)
{
	*f = (struct flow){ .inc = CIRC_WINDOW_INC, .window = CIRC_WINDOW };
	if (sendme_inc) {
		f->cc = cc_new(p, sendme_inc);
		f->inc = sendme_inc;
	}
	f->random_at = (uint8_t)rand_below(f->inc);
}

void flow_clear(struct flow *f)
{
	cc_free(f->cc);
	free(f->digests);
	*f = (struct flow){ 0 };
}

size_t flow_bytes(const struct flow *f)
{
	return (f->cc ? cc_bytes(f->cc) : 0) + f->digests_cap * sizeof(*f->digests);
}

uint32_t flow_room(const struct flow *f)
{
	return f->cc ? cc_room(f->cc) : f->window;
}

uint32_t flow_burst(const struct flow *f)
{
	uint32_t room = flow_room(f), left = (uint32_t)f->inc - f->sent;

	if (left > FLOW_BURST_MAX)
		left = BURST;
	return room < left ? room : left;
}

size_t flow_cell_max(const struct flow *f)
{
	return f->sent == f->random_at ? RELAY_DATA_MAX - RANDOM_GAP - RANDOM_LEN : RELAY_DATA_MAX;
}

size_t flow_burst_bytes(const struct flow *f, uint32_t cells)
{
	size_t bytes = (size_t)cells * RELAY_DATA_MAX;

	if (f->random_at >= f->sent && f->random_at - f->sent < (int64_t)cells)
		bytes -= RANDOM_GAP + RANDOM_LEN;
	return bytes;
}

static void digests_push(struct flow *f, const uint8_t *digest)
{
	if (f->digests_n == f->digests_cap) {
		uint32_t cap = f->digests_cap ? 2 * f->digests_cap : DIGESTS_MIN;
		uint8_t (*bigger)[SENDME_DIGEST_LEN] = mem_new_array(cap, sizeof(*bigger));

		for (uint32_t i = 0; i < f->digests_n; i++)
			memcpy(bigger[i], f->digests[(f->digests_head + i) % f->digests_cap], sizeof(*bigger));
		free(f->digests);
		f->digests = bigger;
		f->digests_cap = cap;
		f->digests_head = 0;
	}
	memcpy(f->digests[(f->digests_head + f->digests_n++) % f->digests_cap], digest, SENDME_DIGEST_LEN);
}

void flow_sent(struct flow *f, const uint8_t digest[SENDME_DIGEST_LEN], uint64_t now_us)
{
	if (f->cc)
		cc_sent(f->cc, now_us);
	else
		f->window--;
	if (++f->sent < f->inc)
		return;
	f->sent = 0;
	f->random_at = (uint8_t)rand_below(f->inc);
	digests_push(f, digest);
}

/* The digest in a SENDME, NULL when it has none; ERR_PROTOCOL (tor-spec 7.3.1). */
static int sendme_parse(const uint8_t **ret_digest, const uint8_t *body, size_t len)
{
	struct rd r = rd_init(body, len);
	uint8_t version;
	struct rd data;

	*ret_digest = NULL;
	if (len == 0)
		return 0;
	version = rd_u8(&r);
	if (version == 0)
		return 0;
	data = rd_sub(&r, rd_u16(&r));
	*ret_digest = rd_take(&data, SENDME_DIGEST_LEN);
	return version == 1 && *ret_digest ? 0 : ERR_PROTOCOL;
}

int flow_sendme(struct flow *f, const uint8_t *body, size_t len, bool allow_v0, bool blocked,
		uint64_t now_us)
{
	const uint8_t *digest;
	int r = sendme_parse(&digest, body, len);

	if (r < 0)
		return r;
	if (f->digests_n == 0 || (!digest && !allow_v0))
		return ERR_PROTOCOL;
	if (digest && !secret_eq(digest, f->digests[f->digests_head], SENDME_DIGEST_LEN))
		return ERR_PROTOCOL;
	f->digests_head = (f->digests_head + 1) % f->digests_cap;
	f->digests_n--;
	if (f->cc)
		return cc_sendme(f->cc, now_us, blocked);
	f->window = (uint16_t)(f->window + CIRC_WINDOW_INC);
	return 0;
}

bool flow_received(struct flow *f)
{
	if (++f->received < f->inc)
		return false;
	f->received = 0;
	return true;
}

void flow_sendme_build(uint8_t out[SENDME_V1_LEN], const uint8_t digest[SENDME_DIGEST_LEN])
{
	struct wr w = wr_init(out, SENDME_V1_LEN);

	wr_u8(&w, 1);
	wr_u16(&w, SENDME_DIGEST_LEN);
	wr_bytes(&w, digest, SENDME_DIGEST_LEN);
}

static size_t cells_bytes(uint32_t cells)
{
	return (size_t)cells * RELAY_DATA_MAX;
}

enum drain_action drain_queued(struct drain *d, const struct cc_params *p, size_t buffered, uint64_t now_us)
{
	if (buffered > DRAIN_START && d->since_us == 0) {
		d->since_us = now_us;
		d->bytes = 0;
	}
	if (d->xoff || buffered <= cells_bytes(p->xoff_exit))
		return DRAIN_NOTHING;
	d->xoff = true;
	d->rate_kbps = 0;
	return DRAIN_SEND_XOFF;
}

/* Take in a measurement of cc_xon_rate cells, and begin the next one. */
static void drain_measure(struct drain *d, const struct cc_params *p, uint64_t now_us)
{
	uint64_t us = now_us > d->since_us ? now_us - d->since_us : 0;
	uint64_t kbps = us ? (uint64_t)d->bytes * 1000 / us : 0;

	if (us) {
		kbps = kbps > UINT32_MAX ? UINT32_MAX : kbps ? kbps : 1;
		d->rate_kbps = (uint32_t)cc_n_ewma(kbps, d->rate_kbps, p->xon_ewma_cnt);
	}
	d->bytes = 0;
	d->since_us = now_us;
}

static enum drain_action drain_tell(struct drain *d)
{
	d->told_kbps = d->rate_kbps;
	d->xon_sent = true;
	return DRAIN_SEND_XON;
}

/* Whether the rate has moved more than cc_xon_change_pct from what the client knows. */
static bool drain_changed(const struct drain *d, const struct cc_params *p)
{
	uint64_t told = d->told_kbps, now = d->rate_kbps;

	if (!d->xon_sent || now == 0)
		return false;
	return now * 100 > told * (100 + p->xon_change_pct) || now * 100 < told * (100 - p->xon_change_pct);
}

/* The queue is empty: nothing can be measured, but the socket is faster than we know. */
static enum drain_action drain_empty(struct drain *d, const struct cc_params *p, size_t written)
{
	d->since_us = 0;
	d->bytes = 0;
	if (d->xoff) {
		d->xoff = false;
		d->bytes_empty = 0;
		return drain_tell(d);
	}
	if (d->rate_kbps == 0)
		return DRAIN_NOTHING;
	d->bytes_empty += (uint32_t)written;
	if (d->bytes_empty < cells_bytes(p->xon_rate))
		return DRAIN_NOTHING;
	d->bytes_empty = 0;
	d->rate_kbps = d->rate_kbps > UINT32_MAX / 2 ? UINT32_MAX : d->rate_kbps * 2;
	return drain_changed(d, p) ? drain_tell(d) : DRAIN_NOTHING;
}

enum drain_action drain_written(struct drain *d, const struct cc_params *p, size_t written,
				size_t buffered, uint64_t now_us)
{
	bool measured = false;

	if (d->since_us) {
		d->bytes += (uint32_t)written;
		measured = d->bytes >= cells_bytes(p->xon_rate);
		if (measured)
			drain_measure(d, p, now_us);
	}
	if (buffered == 0)
		return drain_empty(d, p, written);
	d->bytes_empty = 0;
	/* While the client is stopped, the XON that lets it go on tells it the rate. */
	return measured && !d->xoff && drain_changed(d, p) ? drain_tell(d) : DRAIN_NOTHING;
}

void xoff_build(uint8_t out[XOFF_LEN])
{
	out[0] = 0;
}

void xon_build(uint8_t out[XON_LEN], uint32_t kbps)
{
	struct wr w = wr_init(out, XON_LEN);

	wr_u8(&w, 0);
	wr_u32(&w, kbps);
}

int xoff_parse(const uint8_t *body, size_t len)
{
	struct rd r = rd_init(body, len);

	if (rd_u8(&r) != 0)
		return ERR_PROTOCOL;
	return rd_ok(&r) ? 0 : ERR_MALFORMED;
}

int xon_parse(uint32_t *ret_kbps, const uint8_t *body, size_t len)
{
	struct rd r = rd_init(body, len);
	uint32_t kbps;

	if (rd_u8(&r) != 0)
		return ERR_PROTOCOL;
	kbps = rd_u32(&r);
	if (!rd_ok(&r))
		return ERR_MALFORMED;
	*ret_kbps = kbps;
	return 0;
}
