/*
 * RLP, the serialization of Ethereum (Yellow Paper, appendix B). An item is a
 * string of bytes or a list of items and has exactly one encoding; the decoder
 * refuses every other one. Neither side allocates: items borrow from the
 * buffer that they were read from, and a list is written in place, its header
 * put before it when it is closed.
 */
#ifndef LEDGER_RLP_H
#define LEDGER_RLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/bytes.h>

enum {
	RLP_LEN_MAX = 1 << 20,		/* of an encoding that is decoded */
	RLP_DEPTH_MAX = 16,		/* of lists within lists */
};

struct rlp_item {
	const uint8_t *data;		/* the string, or the encodings of the list's items; borrowed */
	size_t len;
	bool is_list;
};

/*
 * Decode one item that fills `buf`, its lists checked to the last level.
 * ERR_MALFORMED for anything but the one encoding, ERR_TOO_LONG above
 * RLP_LEN_MAX, ERR_LIMIT for lists nested deeper than RLP_DEPTH_MAX.
 */
int rlp_decode(struct rlp_item *ret, const void *buf, size_t len);

/* A reader over the items of a list, for rlp_next(); a failed one for a string. */
struct rd rlp_items(const struct rlp_item *list);

/* Read the next item, not what is in it. ERR_MALFORMED, which also fails the reader. */
int rlp_next(struct rlp_item *ret, struct rd *r);

/* A number as `len` big-endian bytes. ERR_MALFORMED for a list or a leading zero, ERR_RANGE if it does not fit. */
int rlp_uint(uint8_t *ret, size_t len, const struct rlp_item *item);
int rlp_u64(uint64_t *ret, const struct rlp_item *item);

/* Write a string; a number, big-endian and with leading zeros dropped; check with wr_done(). */
void rlp_wr_bytes(struct wr *w, const void *data, size_t len);
void rlp_wr_uint(struct wr *w, const uint8_t *number, size_t len);
void rlp_wr_u64(struct wr *w, uint64_t v);

/* Write the header alone of a list whose items take `len` bytes. */
void rlp_wr_list(struct wr *w, size_t len);

/* Begin a list; give what is returned to rlp_wr_close() once its items are written. */
size_t rlp_wr_open(const struct wr *w);
void rlp_wr_close(struct wr *w, size_t opened);

#endif
