/* The extension list inside ntor-v3; see handshake.h. Pure. */
#include "config.h"

#include "handshake.h"

#include <nonos/bytes.h>
#include <nonos/err.h>

enum ext_type {
	EXT_CC_REQUEST = 1,		/* empty */
	EXT_CC_RESPONSE = 2,		/* sendme_inc, 1 byte */
	EXT_SUBPROTO_REQUEST = 3,	/* pairs of protocol and version */
	EXT_TYPES = 256,
};

/*
 * The `proto` line of our descriptor, with the numbers that tor-spec 9 gives
 * the protocols: what a client may demand of us by extension 3.
 */
static const struct {
	uint8_t id, low, high;
} our_protocols[] = {
	{ 0, 4, 5 },	/* Link */
	{ 1, 3, 3 },	/* LinkAuth */
	{ 2, 2, 4 },	/* Relay */
	{ 3, 2, 2 },	/* DirCache */
	{ 7, 1, 2 },	/* Desc */
	{ 8, 1, 2 },	/* Microdesc */
	{ 9, 1, 2 },	/* Cons */
	{ 11, 1, 2 },	/* FlowCtrl */
};

static bool protocol_is_ours(uint8_t id, uint8_t version)
{
	for (size_t i = 0; i < sizeof(our_protocols) / sizeof(our_protocols[0]); i++)
		if (our_protocols[i].id == id)
			return version >= our_protocols[i].low && version <= our_protocols[i].high;
	return false;
}

static int check_subprotocols(struct rd body)
{
	int r = 0;

	while (rd_left(&body) >= 2) {
		uint8_t id = rd_u8(&body);

		if (!protocol_is_ours(id, rd_u8(&body)))
			r = ERR_UNSUPPORTED;
	}
	return rd_done(&body) < 0 ? ERR_MALFORMED : r;
}

/* Reads one list; `seen` tells the first of a type, which counts, from repeats. */
struct ext_reader {
	struct rd rd;
	unsigned left;
	uint8_t seen[EXT_TYPES / 8];
};

static struct ext_reader ext_begin(const uint8_t *msg, size_t len)
{
	struct ext_reader e = { .rd = rd_init(msg, len) };

	e.left = rd_u8(&e.rd);
	return e;
}

/* Give the next extension whose type did not occur before; false at the end of the list. */
static bool ext_next(struct ext_reader *e, uint8_t *ret_type, struct rd *ret_body)
{
	while (e->left && rd_ok(&e->rd)) {
		uint8_t type = rd_u8(&e->rd), bit = (uint8_t)(1 << type % 8);
		struct rd body = rd_sub(&e->rd, rd_u8(&e->rd));
		bool repeated = e->seen[type / 8] & bit;

		e->left--;
		e->seen[type / 8] |= bit;
		if (repeated || !rd_ok(&body))
			continue;
		*ret_type = type;
		*ret_body = body;
		return true;
	}
	return false;
}

int ntor3_ext_parse_request(struct circuit_params *ret, const uint8_t *msg, size_t len)
{
	struct ext_reader e = ext_begin(msg, len);
	struct circuit_params p = { .congestion_control = false };
	int unsupported = 0;
	struct rd body;
	uint8_t type;

	while (ext_next(&e, &type, &body)) {
		if (type == EXT_CC_REQUEST) {
			if (rd_done(&body) < 0)
				return ERR_MALFORMED;
			p.congestion_control = true;
		} else if (type == EXT_SUBPROTO_REQUEST) {
			unsupported = check_subprotocols(body);
			if (unsupported == ERR_MALFORMED)
				return ERR_MALFORMED;
		}
	}
	if (rd_done(&e.rd) < 0)
		return ERR_MALFORMED;
	if (unsupported < 0)
		return unsupported;
	*ret = p;
	return 0;
}

int ntor3_ext_build_request(uint8_t *out, size_t cap, size_t *ret_len, bool congestion_control)
{
	struct wr w = wr_init(out, cap);

	wr_u8(&w, congestion_control ? 1 : 0);
	if (congestion_control) {
		wr_u8(&w, EXT_CC_REQUEST);
		wr_u8(&w, 0);
	}
	if (wr_done(&w) < 0)
		return ERR_TOO_LONG;
	*ret_len = wr_len(&w);
	return 0;
}

int ntor3_ext_parse_response(struct circuit_params *ret, const uint8_t *msg, size_t len)
{
	struct ext_reader e = ext_begin(msg, len);
	struct circuit_params p = { .congestion_control = false };
	struct rd body;
	uint8_t type;

	while (ext_next(&e, &type, &body)) {
		if (type != EXT_CC_RESPONSE)
			continue;
		p.congestion_control = true;
		p.sendme_inc = rd_u8(&body);
		if (rd_done(&body) < 0 || p.sendme_inc == 0)
			return ERR_MALFORMED;
	}
	if (rd_done(&e.rd) < 0)
		return ERR_MALFORMED;
	*ret = p;
	return 0;
}

int ntor3_ext_build_response(uint8_t *out, size_t cap, size_t *ret_len,
			     const struct circuit_params *params)
{
	struct wr w = wr_init(out, cap);

	wr_u8(&w, params->congestion_control ? 1 : 0);
	if (params->congestion_control) {
		wr_u8(&w, EXT_CC_RESPONSE);
		wr_u8(&w, 1);
		wr_u8(&w, params->sendme_inc);
	}
	if (wr_done(&w) < 0)
		return ERR_TOO_LONG;
	*ret_len = wr_len(&w);
	return 0;
}
