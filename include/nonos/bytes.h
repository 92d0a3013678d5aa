/*
 * Reader and writer over a caller's buffer, with a sticky error. Integers are
 * big-endian. Neither allocates. A short read yields zeros; check once, at the
 * end, with rd_done() or rd_ok().
 */
#ifndef NONOS_BYTES_H
#define NONOS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *p;	/* next byte */
	const uint8_t *end;
	bool failed;		/* a read went past the end */
};

struct wr {
	uint8_t *start;
	uint8_t *p;		/* next free byte */
	uint8_t *end;
	bool failed;		/* a write did not fit; nothing more is written */
};

static inline struct rd rd_init(const void *buf, size_t len)
{
	const uint8_t *p = buf;

	return (struct rd){ .p = p, .end = p ? p + len : p, .failed = false };
}

/* Number of bytes not yet read. */
static inline size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

/* Return the next `len` bytes, borrowed from the buffer, or NULL when short. */
static inline const uint8_t *rd_take(struct rd *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->failed || rd_left(r) < len) {
		r->failed = true;
		return NULL;
	}
	if (len)			/* an empty reader may stand at NULL */
		r->p += len;
	return p;
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_take(r, 1);

	return p ? p[0] : 0;
}

static inline uint16_t rd_u16(struct rd *r)
{
	const uint8_t *p = rd_take(r, 2);

	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t rd_u32(struct rd *r)
{
	const uint8_t *p = rd_take(r, 4);

	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t rd_u64(struct rd *r)
{
	uint64_t high = rd_u32(r);

	return high << 32 | rd_u32(r);
}

/* Copy the next `len` bytes to `out`; zeros when short. */
static inline void rd_copy(struct rd *r, void *out, size_t len)
{
	const uint8_t *p = rd_take(r, len);

	if (p)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}

/* Return a reader over the next `len` bytes; a failed one when short. */
static inline struct rd rd_sub(struct rd *r, size_t len)
{
	const uint8_t *p = rd_take(r, len);
	struct rd sub = rd_init(p, p ? len : 0);

	sub.failed = p == NULL;
	return sub;
}

static inline bool rd_ok(const struct rd *r)
{
	return !r->failed;
}

/* Return 0 when every byte was read and none was missing, else ERR_MALFORMED. */
int rd_done(const struct rd *r);

static inline struct wr wr_init(void *buf, size_t cap)
{
	uint8_t *p = buf;

	return (struct wr){ .start = p, .p = p, .end = p ? p + cap : p, .failed = false };
}

/* Number of bytes written so far. */
static inline size_t wr_len(const struct wr *w)
{
	return (size_t)(w->p - w->start);
}

/* Reserve `len` bytes and return where they start, or NULL when full. */
static inline uint8_t *wr_reserve(struct wr *w, size_t len)
{
	uint8_t *p = w->p;

	if (w->failed || (size_t)(w->end - w->p) < len) {
		w->failed = true;
		return NULL;
	}
	w->p += len;
	return p;
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *p = wr_reserve(w, 1);

	if (p)
		p[0] = v;
}

static inline void wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *p = wr_reserve(w, 2);

	if (p) {
		p[0] = (uint8_t)(v >> 8);
		p[1] = (uint8_t)v;
	}
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	wr_u16(w, (uint16_t)(v >> 16));
	wr_u16(w, (uint16_t)v);
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
	wr_u32(w, (uint32_t)(v >> 32));
	wr_u32(w, (uint32_t)v);
}

static inline void wr_bytes(struct wr *w, const void *data, size_t len)
{
	uint8_t *p = wr_reserve(w, len);

	if (p && len)
		memcpy(p, data, len);
}

static inline void wr_zero(struct wr *w, size_t len)
{
	uint8_t *p = wr_reserve(w, len);

	if (p)
		memset(p, 0, len);
}

/* Append a printf-formatted text without its terminating NUL. */
void wr_printf(struct wr *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Return 0 when everything fitted, else ERR_TOO_LONG. */
int wr_done(const struct wr *w);

#endif
