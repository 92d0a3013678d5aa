/*
 * An answer to a directory request. Nothing is buffered: each read continues
 * in the mapped documents where the last one stopped, through a compressor
 * where the client asked for one.
 */
#include "config.h"

#include "dir_reply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/addr.h>
#include <nonos/bytes.h>
#include <nonos/clock.h>
#include <nonos/dir_doc.h>
#include <nonos/mem.h>

#include "dirserv.h"
#include "http_date.h"

enum { HEAD_CAP = 512 };

/* Entries of a map that follow one another. */
struct part {
	struct dir_map *map;	/* referenced */
	size_t first, count;
};

struct dir_reply {
	uint8_t head[HEAD_CAP];
	size_t head_len, head_sent;
	struct part *parts;
	size_t n_parts, cap_parts;
	uint64_t total;			/* bytes of all parts */
	enum coding coding;		/* to be done while sending */
	struct compressor *compressor;	/* from the first byte of the body to the last */
	size_t part, entry;		/* the next one to be read */
	struct rd text;			/* rest of the one before it */
	bool ended;
	int status;
};

struct dir_reply *dir_reply_new(void)
{
	return mem_new(sizeof(struct dir_reply));
}

static void reply_drop_parts(struct dir_reply *r)
{
	for (size_t i = 0; i < r->n_parts; i++)
		dir_map_unref(r->parts[i].map);
	free(r->parts);
	r->parts = NULL;
	r->n_parts = r->cap_parts = 0;
	r->total = 0;
}

void dir_reply_free(struct dir_reply *r)
{
	if (!r)
		return;
	compress_free(r->compressor);
	reply_drop_parts(r);
	free(r);
}

bool dir_reply_is_empty(const struct dir_reply *r)
{
	return r->n_parts == 0;
}

/* True when a request names this twice: it is sent once, so that small requests stay small. */
static bool reply_has(const struct dir_reply *r, const struct dir_map *map, size_t first)
{
	for (size_t i = 0; i < r->n_parts; i++)
		if (r->parts[i].map == map && r->parts[i].first == first)
			return true;
	return false;
}

void dir_reply_add(struct dir_reply *r, struct dir_map *map, size_t first, size_t count)
{
	if (count == 0 || reply_has(r, map, first))
		return;
	if (r->n_parts == r->cap_parts) {
		r->cap_parts = r->cap_parts ? 2 * r->cap_parts : 4;
		r->parts = mem_resize(r->parts, r->cap_parts, sizeof(*r->parts));
	}
	r->parts[r->n_parts++] = (struct part){ dir_map_ref(map), first, count };
	for (size_t i = first; i < first + count; i++) {
		struct dir_entry e;

		dir_map_at(map, i, &e);
		r->total += e.len;
	}
}

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 304:
		return "Not Modified";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	default:
		return "Service Unavailable";
	}
}

/* What every answer begins with (dir-spec 6.1). */
static void head_write_common(struct wr *w, const struct dir_head *head)
{
	char date[HTTP_DATE_CAP], ip[ADDR_TEXT_CAP];

	wr_printf(w, "HTTP/1.0 %d %s\r\nDate: %s\r\n", head->status, status_text(head->status),
		  http_date_format(date, clock_wall()));
	if (head->peer && head->peer->family != ADDR_NONE)
		wr_printf(w, "X-Your-Address-Is: %s\r\n", addr_format_ip(ip, head->peer));
	if (head->status == 405)
		wr_printf(w, "Allow: GET\r\n");
}

static void head_write_document(struct wr *w, const struct dir_head *head)
{
	char date[HTTP_DATE_CAP];

	wr_printf(w, "Content-Type: text/plain\r\nContent-Encoding: %s\r\nVary: Accept-Encoding\r\nExpires: %s\r\n",
		  coding_name(head->coding), http_date_format(date, head->expires));
}

void dir_reply_begin(struct dir_reply *r, const struct dir_head *head)
{
	struct wr w = wr_init(r->head, sizeof(r->head));

	r->status = head->status;
	if (head->status != 200)
		reply_drop_parts(r);
	head_write_common(&w, head);
	if (head->status == 200)
		head_write_document(&w, head);
	r->coding = head->stored || head->status != 200 ? CODING_IDENTITY : head->coding;
	if (r->coding == CODING_IDENTITY)
		wr_printf(&w, "Content-Length: %" PRIu64 "\r\n", r->total);
	wr_printf(&w, "\r\n");
	r->head_len = wr_len(&w);
}

void dir_reply_begin_text(struct dir_reply *r, const struct dir_head *head, const char *text)
{
	reply_drop_parts(r);
	r->total = strlen(text);
	r->text = rd_init(text, strlen(text));
	dir_reply_begin(r, head);
}

static size_t reply_read_head(struct dir_reply *r, uint8_t *out, size_t cap)
{
	size_t n = r->head_len - r->head_sent;

	n = n < cap ? n : cap;
	memcpy(out, r->head + r->head_sent, n);
	r->head_sent += n;
	return n;
}

/* Go on to the next entry's text; false when there is none. */
static bool reply_next_text(struct dir_reply *r)
{
	struct dir_entry e;

	while (r->part < r->n_parts && r->entry == r->parts[r->part].count) {
		r->part++;
		r->entry = 0;
	}
	if (r->part == r->n_parts)
		return false;
	dir_map_at(r->parts[r->part].map, r->parts[r->part].first + r->entry++, &e);
	r->text = rd_init(e.data, e.len);
	return true;
}

static size_t reply_read_body(struct dir_reply *r, uint8_t *out, size_t cap)
{
	bool last = false;
	size_t n = 0;

	if (!r->compressor)
		r->compressor = compress_new(r->coding, EFFORT_STREAM, r->total);
	while (n < cap && !last) {
		last = rd_left(&r->text) == 0 && !reply_next_text(r);
		n += compress_run(r->compressor, out + n, cap - n, &r->text, last);
	}
	if (n < cap) {
		compress_free(r->compressor);
		r->compressor = NULL;
		r->ended = true;
	}
	return n;
}

size_t dir_reply_read(struct dir_reply *r, uint8_t *out, size_t cap)
{
	size_t n = reply_read_head(r, out, cap);

	if (n < cap && !r->ended)
		n += reply_read_body(r, out + n, cap - n);
	return n;
}

int dir_reply_status(const struct dir_reply *r)
{
	return r->status;
}

size_t dir_reply_bytes(const struct dir_reply *r)
{
	return sizeof(*r) + r->cap_parts * sizeof(*r->parts) + (r->compressor ? compress_bytes(r->compressor) : 0);
}
