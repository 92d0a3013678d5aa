#include "config.h"

#include "rlp.h"

#include <string.h>

#include <nonos/err.h>

enum {
	STRING = 0x80,			/* first byte of a string, its length added */
	LIST = 0xc0,
	SHORT_MAX = 55,			/* longest payload whose length is in the first byte */
	HEADER_MAX = 9,
};

/* -- reading ------------------------------------------------------------------- */

/* A length of `n` bytes: no leading zero, and not one that fits the first byte. */
static int long_length(size_t *ret, struct rd *r, size_t n)
{
	const uint8_t *p = rd_take(r, n);
	size_t len = 0;

	if (!p || p[0] == 0 || n > sizeof(len))
		return ERR_MALFORMED;
	for (size_t i = 0; i < n; i++)
		len = len << 8 | p[i];
	if (len <= SHORT_MAX)
		return ERR_MALFORMED;
	*ret = len;
	return 0;
}

static int next(struct rlp_item *ret, struct rd *r)
{
	const uint8_t *first = rd_take(r, 1);
	struct rlp_item item = { 0 };
	size_t n;

	if (!first)
		return ERR_MALFORMED;
	if (*first < STRING) {
		*ret = (struct rlp_item){ .data = first, .len = 1 };
		return 0;
	}
	item.is_list = *first >= LIST;
	n = *first - (item.is_list ? LIST : STRING);
	item.len = n;
	if (n > SHORT_MAX && long_length(&item.len, r, n - SHORT_MAX) < 0)
		return ERR_MALFORMED;
	item.data = rd_take(r, item.len);
	if (!item.data)
		return ERR_MALFORMED;
	/* A small byte stands for itself. */
	if (!item.is_list && item.len == 1 && item.data[0] < STRING)
		return ERR_MALFORMED;
	*ret = item;
	return 0;
}

int rlp_next(struct rlp_item *ret, struct rd *r)
{
	int rc = next(ret, r);

	if (rc < 0)
		r->failed = true;
	return rc;
}

struct rd rlp_items(const struct rlp_item *list)
{
	struct rd r = rd_init(list->data, list->is_list ? list->len : 0);

	r.failed = !list->is_list;
	return r;
}

static int check_list(const struct rlp_item *list, unsigned depth)
{
	struct rd r = rlp_items(list);
	struct rlp_item item;

	if (depth > RLP_DEPTH_MAX)
		return ERR_LIMIT;
	while (rd_left(&r) > 0) {
		int rc = rlp_next(&item, &r);

		if (rc == 0 && item.is_list)
			rc = check_list(&item, depth + 1);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int rlp_decode(struct rlp_item *ret, const void *buf, size_t len)
{
	struct rd r = rd_init(buf, len);
	struct rlp_item item;
	int rc;

	if (len > RLP_LEN_MAX)
		return ERR_TOO_LONG;
	rc = rlp_next(&item, &r);
	if (rc == 0)
		rc = rd_done(&r);
	if (rc == 0 && item.is_list)
		rc = check_list(&item, 1);
	if (rc == 0)
		*ret = item;
	return rc;
}

int rlp_uint(uint8_t *ret, size_t len, const struct rlp_item *item)
{
	if (item->is_list || (item->len && item->data[0] == 0))
		return ERR_MALFORMED;
	if (item->len > len)
		return ERR_RANGE;
	memset(ret, 0, len - item->len);
	if (item->len)
		memcpy(ret + len - item->len, item->data, item->len);
	return 0;
}

int rlp_u64(uint64_t *ret, const struct rlp_item *item)
{
	uint8_t b[8];
	int rc = rlp_uint(b, sizeof(b), item);
	struct rd r = rd_init(b, sizeof(b));

	if (rc == 0)
		*ret = rd_u64(&r);
	return rc;
}

/* -- writing ------------------------------------------------------------------- */

static size_t make_header(uint8_t out[HEADER_MAX], uint8_t kind, size_t len)
{
	size_t n = 0;

	if (len <= SHORT_MAX) {
		out[0] = (uint8_t)(kind + len);
		return 1;
	}
	for (size_t rest = len; rest; rest >>= 8)
		n++;
	out[0] = (uint8_t)(kind + SHORT_MAX + n);
	for (size_t i = n; i > 0; i--, len >>= 8)
		out[i] = (uint8_t)len;
	return 1 + n;
}

void rlp_wr_bytes(struct wr *w, const void *data, size_t len)
{
	uint8_t header[HEADER_MAX];
	const uint8_t *p = data;

	if (len != 1 || p[0] >= STRING)
		wr_bytes(w, header, make_header(header, STRING, len));
	wr_bytes(w, data, len);
}

void rlp_wr_uint(struct wr *w, const uint8_t *number, size_t len)
{
	while (len > 0 && *number == 0) {
		number++;
		len--;
	}
	rlp_wr_bytes(w, number, len);
}

void rlp_wr_u64(struct wr *w, uint64_t v)
{
	uint8_t b[8];
	struct wr number = wr_init(b, sizeof(b));

	wr_u64(&number, v);
	rlp_wr_uint(w, b, sizeof(b));
}

void rlp_wr_list(struct wr *w, size_t len)
{
	uint8_t header[HEADER_MAX];

	wr_bytes(w, header, make_header(header, LIST, len));
}

size_t rlp_wr_open(const struct wr *w)
{
	return wr_len(w);
}

void rlp_wr_close(struct wr *w, size_t opened)
{
	uint8_t header[HEADER_MAX];
	size_t len = wr_len(w) - opened, n = make_header(header, LIST, len);

	if (!wr_reserve(w, n))
		return;
	memmove(w->start + opened + n, w->start + opened, len);
	memcpy(w->start + opened, header, n);
}
