/*
 * Link cells (tor-spec 3): commands, reasons, and the layout of link
 * protocol 4 and 5. A cell is handled as bytes on the wire: 4 bytes of
 * circuit id, 1 of command, then 509 of body, or a 2-byte length and a body
 * for the variable-length commands.
 */
#ifndef RELAY_CELL_H
#define RELAY_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CELL_BODY_LEN = 509,
	CELL_LEN = 514,			/* link protocol 4 and 5 */
	CELL_HEAD_LEN = 5,
	CELL_VAR_HEAD_LEN = 7,
	CELL_VERSIONS_HEAD_LEN = 5,	/* the first VERSIONS has a 2-byte circuit id */
	CELL_VAR_BODY_MAX = 65535,
	CELLS_PER_RECORD = 31,		/* 31 * 514 = 15934 <= 16384 */
};

enum cell_cmd {
	CELL_PADDING = 0,
	CELL_CREATE = 1,
	CELL_CREATED = 2,
	CELL_RELAY = 3,
	CELL_DESTROY = 4,
	CELL_CREATE_FAST = 5,
	CELL_CREATED_FAST = 6,
	CELL_VERSIONS = 7,
	CELL_NETINFO = 8,
	CELL_RELAY_EARLY = 9,
	CELL_CREATE2 = 10,
	CELL_CREATED2 = 11,
	CELL_PADDING_NEGOTIATE = 12,
	CELL_VPADDING = 128,
	CELL_CERTS = 129,
	CELL_AUTH_CHALLENGE = 130,
	CELL_AUTHENTICATE = 131,
	CELL_AUTHORIZE = 132,
};

/* Reasons in DESTROY and TRUNCATED (tor-spec 5.4). */
enum destroy_reason {
	DESTROY_NONE = 0,
	DESTROY_PROTOCOL = 1,
	DESTROY_INTERNAL = 2,
	DESTROY_REQUESTED = 3,
	DESTROY_HIBERNATING = 4,
	DESTROY_RESOURCELIMIT = 5,
	DESTROY_CONNECTFAILED = 6,
	DESTROY_OR_IDENTITY = 7,
	DESTROY_CHANNEL_CLOSED = 8,
	DESTROY_FINISHED = 9,
	DESTROY_TIMEOUT = 10,
	DESTROY_DESTROYED = 11,
	DESTROY_NOSUCHSERVICE = 12,
};

/* Handshake types in CREATE2 (tor-spec 5.1). */
enum handshake_type {
	HANDSHAKE_TAP = 0,
	HANDSHAKE_FAST = 1,		/* CREATE_FAST; never inside CREATE2 */
	HANDSHAKE_NTOR = 2,
	HANDSHAKE_NTOR3 = 3,
};

static inline bool cell_is_variable(uint8_t cmd)
{
	return cmd == CELL_VERSIONS || cmd >= 128;
}

/* One cell, borrowed from the buffer it was read into. */
struct cell {
	uint32_t circ_id;
	uint8_t cmd;
	uint16_t body_len;		/* 509 for fixed-length cells */
	uint8_t *body;			/* writable: onion layers are peeled in place */
};

/*
 * Open the cell at the start of `buf` (link protocol >= 4). Return the number
 * of bytes it takes, or 0 when it is not whole yet. Never fails: every byte
 * string is a sequence of cells.
 */
size_t cell_open(struct cell *ret, uint8_t *buf, size_t len);

/* Write the 5-byte head of a fixed-length cell. */
void cell_put_head(uint8_t *out, uint32_t circ_id, uint8_t cmd);

/* "RELAY", "CREATE2", ...; "unknown" otherwise. */
const char *cell_cmd_str(uint8_t cmd);
const char *destroy_reason_str(uint8_t reason);

/* CREATE2 body (tor-spec 5.1): type, length, data. `*ret_data` is borrowed. */
int create2_parse(uint16_t *ret_type, const uint8_t **ret_data, uint16_t *ret_len,
		  const uint8_t *body, size_t len);

/* CREATED2 body: length, data. */
int created2_parse(const uint8_t **ret_data, uint16_t *ret_len, const uint8_t *body, size_t len);

#endif
