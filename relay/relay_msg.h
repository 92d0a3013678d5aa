/*
 * Relay messages: what is inside RELAY and RELAY_EARLY cells once the last
 * onion layer is off (tor-spec 6.1). Header of 11 bytes: command, recognized,
 * stream id, digest, length; then 498 bytes of data and padding.
 */
#ifndef RELAY_RELAY_MSG_H
#define RELAY_RELAY_MSG_H

#include <stddef.h>
#include <stdint.h>

enum {
	RELAY_HEAD_LEN = 11,
	RELAY_DATA_MAX = 498,
	RELAY_RECOGNIZED_AT = 1,	/* offset of the 2-byte field in the body */
	RELAY_DIGEST_AT = 5,		/* offset of the 4-byte field in the body */
};

enum relay_cmd {
	RELAY_BEGIN = 1,
	RELAY_DATA = 2,
	RELAY_END = 3,
	RELAY_CONNECTED = 4,
	RELAY_SENDME = 5,
	RELAY_EXTEND = 6,
	RELAY_EXTENDED = 7,
	RELAY_TRUNCATE = 8,
	RELAY_TRUNCATED = 9,
	RELAY_DROP = 10,
	RELAY_RESOLVE = 11,
	RELAY_RESOLVED = 12,
	RELAY_BEGIN_DIR = 13,
	RELAY_EXTEND2 = 14,
	RELAY_EXTENDED2 = 15,
	RELAY_PADDING_NEGOTIATE = 41,
	RELAY_PADDING_NEGOTIATED = 42,
	RELAY_XOFF = 43,
	RELAY_XON = 44,
};

/* Reasons in END (tor-spec 6.3). */
enum end_reason {
	END_MISC = 1,
	END_RESOLVEFAILED = 2,
	END_CONNECTREFUSED = 3,
	END_EXITPOLICY = 4,
	END_DESTROY = 5,
	END_DONE = 6,
	END_TIMEOUT = 7,
	END_NOROUTE = 8,
	END_HIBERNATING = 9,
	END_INTERNAL = 10,
	END_RESOURCELIMIT = 11,
	END_CONNRESET = 12,
	END_TORPROTOCOL = 13,
	END_NOTDIRECTORY = 14,
};

/* One opened message, borrowed from the cell it came in. */
struct relay_msg {
	uint8_t cmd;
	uint16_t stream_id;
	uint16_t len;			/* <= RELAY_DATA_MAX */
	const uint8_t *data;
	const uint8_t *digest;		/* 20 bytes: running digest with this cell in it (SENDME v1) */
};

/*
 * Read a message out of a recognised 509-byte body. ERR_MALFORMED when the
 * length field exceeds 498. `digest` is left alone.
 */
int relay_msg_parse(struct relay_msg *ret, const uint8_t *body);

/*
 * Lay a message into a 509-byte body: recognized and digest zero, padding of
 * four zeros, then random bytes (tor-spec 6.1; prop 289). len <= 498.
 */
void relay_msg_build(uint8_t *body, uint8_t cmd, uint16_t stream_id, const uint8_t *data, size_t len);

const char *relay_cmd_str(uint8_t cmd);
const char *end_reason_str(uint8_t reason);

#endif
