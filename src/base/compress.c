/*
 * Compression with zlib and zstd. With the arguments given here the
 * compressors fail for want of memory only, which ends the process.
 */
#include "config.h"

#include <nonos/compress.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>
#include <zstd.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/mem.h>

static const char *const names[CODINGS] = {
	[CODING_IDENTITY] = "identity", [CODING_GZIP] = "gzip",
	[CODING_DEFLATE] = "deflate", [CODING_ZSTD] = "x-zstd",
};

enum {
	GZIP_WRAP = 16,			/* added to zlib's window bits */
	ZSTD_WINDOW_STREAM = 14,	/* log2; about 150 KiB in all */
	ZSTD_WINDOW_MAX = 23,		/* what a sender may make us allocate: 8 MiB */
};

struct compressor {
	enum coding coding;
	bool done;		/* the end of the coded text is written */
	size_t zlib_bytes;
	z_stream zlib;
	ZSTD_CCtx *zstd;
};

const char *coding_name(enum coding c)
{
	return names[c];
}

int coding_parse(enum coding *ret, const char *name, size_t len)
{
	for (unsigned i = 0; i < CODINGS; i++) {
		if (strlen(names[i]) == len && strncasecmp(names[i], name, len) == 0) {
			*ret = (enum coding)i;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

/* zlib's memory, counted. Each block begins with its size. */
static void *zlib_alloc(void *arg, unsigned items, unsigned size)
{
	struct compressor *c = arg;
	size_t len = (size_t)items * size + sizeof(max_align_t);
	size_t *p = mem_new(len);

	*p = len;
	c->zlib_bytes += len;
	return (uint8_t *)p + sizeof(max_align_t);
}

static void zlib_release(void *arg, void *block)
{
	struct compressor *c = arg;
	void *p = (uint8_t *)block - sizeof(max_align_t);

	c->zlib_bytes -= *(size_t *)p;
	free(p);
}

/*
 * A window longer than the text is of no use; one longer than 16 KiB gains
 * little on directory texts and doubles the memory, here about 135 KiB.
 */
static void zlib_begin(struct compressor *c, enum effort effort, uint64_t total)
{
	int wrap = c->coding == CODING_GZIP ? GZIP_WRAP : 0, bits = 9, r;

	c->zlib.zalloc = zlib_alloc;
	c->zlib.zfree = zlib_release;
	c->zlib.opaque = c;
	while (bits < 14 && (1u << bits) < total)
		bits++;
	if (effort == EFFORT_STORE)
		r = deflateInit2(&c->zlib, 9, Z_DEFLATED, 15 + wrap, 9, Z_DEFAULT_STRATEGY);
	else
		r = deflateInit2(&c->zlib, 5, Z_DEFLATED, bits + wrap, bits / 2, Z_DEFAULT_STRATEGY);
	if (r != Z_OK)
		mem_fail();
}

static void zstd_begin(struct compressor *c, enum effort effort, uint64_t total)
{
	c->zstd = ZSTD_createCCtx();
	if (!c->zstd)
		mem_fail();
	/* Level 9 of a consensus takes 16 MB; level 15 takes 70 and saves two in a hundred. */
	ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, effort == EFFORT_STORE ? 9 : 2);
	if (effort == EFFORT_STREAM) {
		ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_STREAM);
		ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_hashLog, ZSTD_WINDOW_STREAM - 2);
		ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_chainLog, ZSTD_WINDOW_STREAM - 2);
	}
	ZSTD_CCtx_setPledgedSrcSize(c->zstd, total);
}

struct compressor *compress_new(enum coding coding, enum effort effort, uint64_t total)
{
	struct compressor *c = mem_new(sizeof(*c));

	c->coding = coding;
	switch (coding) {
	case CODING_GZIP:
	case CODING_DEFLATE:
		zlib_begin(c, effort, total);
		break;
	case CODING_ZSTD:
		zstd_begin(c, effort, total);
		break;
	case CODING_IDENTITY:
	case CODINGS:
		break;
	}
	return c;
}

void compress_free(struct compressor *c)
{
	if (!c)
		return;
	if (c->coding == CODING_GZIP || c->coding == CODING_DEFLATE)
		deflateEnd(&c->zlib);
	ZSTD_freeCCtx(c->zstd);
	free(c);
}

static size_t copy_run(uint8_t *out, size_t cap, struct rd *in)
{
	size_t n = rd_left(in) < cap ? rd_left(in) : cap;

	rd_copy(in, out, n);
	return n;
}

/* zlib counts in unsigned ints: a longer text goes in pieces. */
static const size_t zlib_piece = 1u << 30;

static size_t zlib_run(struct compressor *c, uint8_t *out, size_t cap, struct rd *in, bool last)
{
	size_t written = 0;

	while (!c->done && written < cap) {
		size_t piece = rd_left(in) < zlib_piece ? rd_left(in) : zlib_piece;
		size_t room = cap - written < zlib_piece ? cap - written : zlib_piece;
		bool end = last && piece == rd_left(in);

		if (piece == 0 && !last)
			break;
		c->zlib.next_in = (Bytef *)in->p;
		c->zlib.avail_in = (unsigned)piece;
		c->zlib.next_out = out + written;
		c->zlib.avail_out = (unsigned)room;
		c->done = deflate(&c->zlib, end ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
		written += room - c->zlib.avail_out;
		(void)rd_take(in, piece - c->zlib.avail_in);
	}
	return written;
}

static size_t zstd_run(struct compressor *c, uint8_t *out, size_t cap, struct rd *in, bool last)
{
	ZSTD_inBuffer from = { .src = in->p, .size = rd_left(in), .pos = 0 };
	ZSTD_outBuffer to = { .dst = out, .size = cap, .pos = 0 };

	while (!c->done && to.pos < cap && (last || from.pos < from.size)) {
		size_t r = ZSTD_compressStream2(c->zstd, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);

		if (ZSTD_isError(r))
			mem_fail();
		c->done = last && r == 0;
	}
	(void)rd_take(in, from.pos);
	return to.pos;
}

size_t compress_run(struct compressor *c, uint8_t *out, size_t cap, struct rd *in, bool last)
{
	switch (c->coding) {
	case CODING_GZIP:
	case CODING_DEFLATE:
		return zlib_run(c, out, cap, in, last);
	case CODING_ZSTD:
		return zstd_run(c, out, cap, in, last);
	case CODING_IDENTITY:
	case CODINGS:
		break;
	}
	return copy_run(out, cap, in);
}

size_t compress_bytes(const struct compressor *c)
{
	return sizeof(*c) + c->zlib_bytes + (c->zstd ? ZSTD_sizeof_CCtx(c->zstd) : 0);
}

/*
 * A growing result. It may come to hold one byte more than `limit`, which is
 * how one that is too long is noticed.
 */
struct result {
	uint8_t *p;
	size_t len, cap, limit;
};

/* Return how much can be written behind what is there, at least one byte. */
static size_t result_room(struct result *r)
{
	size_t more = r->cap < 4096 ? 4096 : r->cap;

	if (r->len == r->cap) {
		r->cap = more > r->limit + 1 - r->cap ? r->limit + 1 : r->cap + more;
		r->p = mem_resize(r->p, r->cap + 1, 1);
	}
	return r->cap - r->len;
}

/* Hand the text over, with a NUL behind it. */
static void result_take(struct result *r, uint8_t **ret, size_t *ret_len)
{
	(void)result_room(r);
	r->p[r->len] = '\0';
	*ret = r->p;
	*ret_len = r->len;
}

void compress_all(uint8_t **ret, size_t *ret_len, enum coding coding, const void *data, size_t len)
{
	struct compressor *c = compress_new(coding, EFFORT_STORE, len);
	struct result out = { .limit = SIZE_MAX / 4 };
	struct rd in = rd_init(data, len);
	size_t room;

	do {
		room = result_room(&out);
		out.len += compress_run(c, out.p + out.len, room, &in, true);
	} while (out.len == out.cap);
	compress_free(c);
	result_take(&out, ret, ret_len);
}

static int zlib_undo(struct result *out, enum coding coding, const void *data, size_t len)
{
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (unsigned)len };
	int code;

	if (len > zlib_piece)
		return ERR_TOO_LONG;
	if (inflateInit2(&z, 15 + (coding == CODING_GZIP ? GZIP_WRAP : 0)) != Z_OK)
		mem_fail();
	do {
		size_t room = result_room(out);

		z.next_out = out->p + out->len;
		z.avail_out = (unsigned)(room < zlib_piece ? room : zlib_piece);
		code = inflate(&z, Z_NO_FLUSH);
		if (code == Z_MEM_ERROR)
			mem_fail();
		out->len = (size_t)(z.next_out - out->p);
		if (code == Z_STREAM_END && z.avail_in > 0)
			code = inflateReset(&z);
	} while (code == Z_OK && out->len <= out->limit);
	inflateEnd(&z);
	if (out->len > out->limit)
		return ERR_TOO_LONG;
	return code == Z_STREAM_END ? 0 : ERR_MALFORMED;
}

/* One step: *ret_end when all of the input is undone. */
static int zstd_step(bool *ret_end, struct result *out, ZSTD_DCtx *d, ZSTD_inBuffer *from)
{
	size_t room = result_room(out), r;
	ZSTD_outBuffer to = { .dst = out->p + out->len, .size = room, .pos = 0 };

	r = ZSTD_decompressStream(d, &to, from);
	if (ZSTD_isError(r))
		return ERR_MALFORMED;
	out->len += to.pos;
	if (out->len > out->limit)
		return ERR_TOO_LONG;
	*ret_end = r == 0 && from->pos == from->size;
	/* Nothing left to read or to write, and yet no end: cut off. */
	return !*ret_end && from->pos == from->size && to.pos < to.size ? ERR_MALFORMED : 0;
}

static int zstd_undo(struct result *out, const void *data, size_t len)
{
	ZSTD_inBuffer from = { .src = data, .size = len, .pos = 0 };
	ZSTD_DCtx *d = ZSTD_createDCtx();
	bool end = false;
	int r = 0;

	if (!d)
		mem_fail();
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, ZSTD_WINDOW_MAX);
	while (r == 0 && !end)
		r = zstd_step(&end, out, d, &from);
	ZSTD_freeDCtx(d);
	return r;
}

static int copy_undo(struct result *out, const void *data, size_t len)
{
	if (len > out->limit)
		return ERR_TOO_LONG;
	out->p = mem_new(len + 1);
	out->cap = out->len = len;
	if (len)
		memcpy(out->p, data, len);
	return 0;
}

int decompress_all(uint8_t **ret, size_t *ret_len, enum coding c, const void *data, size_t len,
		   size_t max)
{
	struct result out = { .limit = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4 };
	int r;

	if (c == CODING_IDENTITY)
		r = copy_undo(&out, data, len);
	else if (c == CODING_ZSTD)
		r = zstd_undo(&out, data, len);
	else
		r = zlib_undo(&out, c, data, len);
	if (r < 0)
		free(out.p);
	else
		result_take(&out, ret, ret_len);
	return r;
}
