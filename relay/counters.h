/*
 * Counting: what struct relay_counters needs beyond adding one. Cells are counted
 * where they come in and where they leave, a few instructions each.
 */
#ifndef RELAY_COUNTERS_H
#define RELAY_COUNTERS_H

#include <stdint.h>

#include <nonos/relay.h>

#include "cell.h"
#include "pool.h"

/* In the order of LIST_REFUSALS. */
enum refusal {
	REFUSED_LINKS_PER_ADDRESS,
	REFUSED_LINKS_TOTAL,
	REFUSED_CIRCUITS_PER_LINK,
	REFUSED_CREATE_RATE,
	REFUSED_HANDSHAKE_QUEUE,
	REFUSED_CELLS_PER_CIRCUIT,
	REFUSED_STREAMS_PER_CIRCUIT,
	REFUSED_MEMORY,
	REFUSED_LINK_RATE,
};

/* Place of a command in LIST_COMMANDS. */
static inline unsigned count_command(uint8_t cmd)
{
	if (cmd <= CELL_PADDING_NEGOTIATE)
		return cmd;
	if (cmd >= CELL_VPADDING && cmd <= CELL_AUTHENTICATE)
		return cmd - CELL_VPADDING + CELL_PADDING_NEGOTIATE + 1;
	return COUNT_COMMANDS - 1;
}

/* Place of a time in LIST_WAITS, whose buckets double: 0 ms, 1 ms, 2 to 3 ms, ... */
static inline unsigned count_wait(uint32_t ms)
{
	unsigned bits = ms ? 32 - (unsigned)__builtin_clz(ms) : 0;

	return bits < COUNT_WAITS ? bits : COUNT_WAITS - 1;
}

static inline void count_handshake_wait(struct relay_counters *c, uint64_t ms)
{
	c->handshake_waits[count_wait(ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX)]++;
	c->handshake_wait_ms += ms;
}

/* Place of a directory answer's status in LIST_DIR_REPLIES. */
static inline unsigned count_dir_reply(int status)
{
	switch (status) {
	case 200:
		return 0;
	case 304:
		return 1;
	case 400:
		return 2;
	case 404:
		return 3;
	case 405:
		return 4;
	default:
		return COUNT_DIR_REPLIES - 1;
	}
}

/* A queued cell leaves. `now_ms`: the clock that stamped it. */
static inline void count_cell_out(struct relay_counters *c, const struct pool_cell *cell, uint32_t now_ms)
{
	uint32_t ms = now_ms - cell->queued_ms;

	c->commands_out[count_command(cell->bytes[CELL_HEAD_LEN - 1])]++;
	c->cell_waits[count_wait(ms)]++;
	c->cell_wait_ms += ms;
}

/* Place of a CREATE cell's handshake in LIST_HANDSHAKES. `body` is CELL_BODY_LEN long. */
static inline unsigned count_handshake(uint8_t cmd, const uint8_t *body)
{
	if (cmd == CELL_CREATE_FAST)
		return 0;
	switch (body[0] << 8 | body[1]) {
	case HANDSHAKE_NTOR:
		return 1;
	case HANDSHAKE_NTOR3:
		return 2;
	default:
		return COUNT_HANDSHAKES - 1;
	}
}

/* Places of reasons, which peers may have made up. */
static inline unsigned count_destroy(uint8_t reason)
{
	return reason < COUNT_DESTROYS - 1 ? reason : COUNT_DESTROYS - 1;
}

static inline unsigned count_end(uint8_t reason)
{
	return reason < COUNT_ENDS - 1 ? reason : COUNT_ENDS - 1;
}

#endif
