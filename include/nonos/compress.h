/*
 * HTTP content codings of directory documents (dir-spec 6.1): streaming
 * compression in bounded memory, and decompression that never makes more than
 * it is allowed to.
 */
#ifndef NONOS_COMPRESS_H
#define NONOS_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rd;
struct compressor;

/* In ascending order of preference for a server that compresses as it sends. */
enum coding { CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE, CODING_ZSTD, CODINGS };

/* The name in Content-Encoding: "identity", "gzip", "deflate" (which is zlib's format), "x-zstd". */
const char *coding_name(enum coding c);

/* Find a coding by its name, in either case. ERR_NOT_FOUND. */
int coding_parse(enum coding *ret, const char *name, size_t len);

enum effort {
	EFFORT_STREAM,		/* little memory and time: for one receiver */
	EFFORT_STORE,		/* small result: compressed once, sent to many */
};

/* A compressor of exactly `total` bytes, by which it chooses its buffers. */
struct compressor *compress_new(enum coding c, enum effort effort, uint64_t total);
void compress_free(struct compressor *c);	/* NULL is fine */

/*
 * Read from `in`, write to `out`; return how much was written. `last`: nothing follows what is in
 * `in`. Returns less than `cap` only when `in` is used up, and, if that was the last, at the end.
 */
size_t compress_run(struct compressor *c, uint8_t *out, size_t cap, struct rd *in, bool last);

/* Memory in use. */
size_t compress_bytes(const struct compressor *c);

/* Compress the whole; *ret is malloc()ed. */
void compress_all(uint8_t **ret, size_t *ret_len, enum coding c, const void *data, size_t len);

/*
 * Undo a coding, also of several compressed texts one after the other. *ret is malloc()ed and has a
 * NUL behind its last byte. ERR_TOO_LONG: more than `max` bytes. ERR_MALFORMED: corrupt or cut off.
 */
int decompress_all(uint8_t **ret, size_t *ret_len, enum coding c, const void *data, size_t len,
		   size_t max);

#endif
