/*
 * The memfd of directory documents. Layout, integers big-endian:
 *
 *   magic 8, kind 1, signers 1, zero 2, entries 4,
 *   valid-after 8, fresh-until 8, valid-until 8, last-modified 8,
 *   signers 16 * 20 (unused ones zero),
 *   entries * (key 40, offset 8, length 8), keys strictly ascending,
 *   texts; offsets count from the start of the file.
 *
 * The seals make the one check at opening hold for the life of the mapping:
 * nobody can change a byte of it, nor shorten it under a reader (SIGBUS).
 */
#include "config.h"

#include <nonos/dir_doc.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/mem.h>

static const uint8_t magic[8] = { 'n', 'o', 'n', 'o', 's', 'd', 'i', 'r' };

enum {
	SIGNERS_MAX = 16,
	HEADER_LEN = 8 + 8 + 4 * 8 + SIGNERS_MAX * 20,
	INDEX_LEN = DIR_KEY_LEN + 16,
	SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

/* The end of the year 9999: every time has an HTTP date. */
static const int64_t time_max = 253402300799;

struct dir_map {
	const uint8_t *base;
	size_t size;
	size_t count;
	unsigned refs;
	struct dir_doc_meta meta;
};

/* An entry while building: where its text goes. */
struct slot {
	const struct dir_entry *entry;
	uint64_t offset;
};

static int by_text(const void *va, const void *vb)
{
	const struct dir_entry *a = ((const struct slot *)va)->entry, *b = ((const struct slot *)vb)->entry;
	uintptr_t pa = (uintptr_t)a->data, pb = (uintptr_t)b->data;

	if (pa != pb)
		return pa < pb ? -1 : 1;
	return a->len < b->len ? -1 : a->len > b->len;
}

static int by_key(const void *va, const void *vb)
{
	const struct slot *a = va, *b = vb;

	return memcmp(a->entry->key, b->entry->key, DIR_KEY_LEN);
}

/* True when this slot's text is the one before it in by_text() order. */
static bool slot_shares(const struct slot *s, size_t i)
{
	return i > 0 && s[i].entry->data == s[i - 1].entry->data && s[i].entry->len == s[i - 1].entry->len;
}

/* Sort by text and give each different text its place. */
static int slots_place(struct slot *s, size_t n, size_t *ret_size)
{
	uint64_t size = HEADER_LEN + (uint64_t)n * INDEX_LEN;

	qsort(s, n, sizeof(*s), by_text);
	for (size_t i = 0; i < n; i++) {
		if (slot_shares(s, i)) {
			s[i].offset = s[i - 1].offset;
			continue;
		}
		s[i].offset = size;
		if (s[i].entry->len > DIR_DOC_SIZE_MAX || size + s[i].entry->len > DIR_DOC_SIZE_MAX)
			return ERR_TOO_LONG;
		size += s[i].entry->len;
	}
	*ret_size = (size_t)size;
	return 0;
}

/* Write the texts in the order of their places, then the index in that of the keys. */
static int slots_write(uint8_t *base, size_t size, const struct dir_doc_meta *meta, struct slot *s, size_t n)
{
	struct wr w = wr_init(base, size);

	wr_bytes(&w, magic, sizeof(magic));
	wr_u8(&w, meta->kind);
	wr_u8(&w, meta->n_signers);
	wr_u16(&w, 0);
	wr_u32(&w, (uint32_t)n);
	wr_u64(&w, (uint64_t)meta->valid_after);
	wr_u64(&w, (uint64_t)meta->fresh_until);
	wr_u64(&w, (uint64_t)meta->valid_until);
	wr_u64(&w, (uint64_t)meta->last_modified);
	wr_bytes(&w, meta->signers, meta->n_signers * sizeof(meta->signers[0]));
	wr_zero(&w, (SIGNERS_MAX - meta->n_signers) * sizeof(meta->signers[0]));
	for (size_t i = 0; i < n; i++)
		if (!slot_shares(s, i) && s[i].entry->len)
			memcpy(base + s[i].offset, s[i].entry->data, s[i].entry->len);
	qsort(s, n, sizeof(*s), by_key);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && by_key(&s[i - 1], &s[i]) == 0)
			return ERR_EXISTS;
		wr_bytes(&w, s[i].entry->key, DIR_KEY_LEN);
		wr_u64(&w, s[i].offset);
		wr_u64(&w, s[i].entry->len);
	}
	return wr_done(&w);
}

static bool time_is_good(int64_t t)
{
	return t >= 0 && t <= time_max;
}

static bool meta_is_good(const struct dir_doc_meta *m)
{
	return m->kind > 0 && m->kind < DIR_DOC_KINDS && m->n_signers <= SIGNERS_MAX &&
	       time_is_good(m->valid_after) && time_is_good(m->fresh_until) &&
	       time_is_good(m->valid_until) && time_is_good(m->last_modified);
}

/* Fill a new memfd through a mapping, which must be gone before it can be sealed. */
static int memfd_build(int *ret_fd, size_t size, const struct dir_doc_meta *meta, struct slot *s, size_t n)
{
	int r = ERR_SYSTEM, fd = memfd_create("nonos-dir", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *base = MAP_FAILED;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		goto out;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		goto out;
	r = slots_write(base, size, meta, s, n);
	munmap(base, size);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0)
		r = ERR_SYSTEM;
out:
	if (r == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return r;
}

int dir_doc_build(int *ret_fd, const struct dir_doc_meta *meta, const struct dir_entry *entries, size_t n)
{
	struct slot *s;
	size_t size;
	int r;

	if (!meta_is_good(meta))
		return ERR_RANGE;
	if (n > DIR_DOC_SIZE_MAX / INDEX_LEN)
		return ERR_TOO_LONG;
	s = mem_new_array(n, sizeof(*s));
	for (size_t i = 0; i < n; i++)
		s[i].entry = &entries[i];
	r = slots_place(s, n, &size);
	if (r == 0)
		r = memfd_build(ret_fd, size, meta, s, n);
	free(s);
	return r;
}

/* The record of entry `i` in the index. */
static const uint8_t *map_record(const struct dir_map *m, size_t i)
{
	return m->base + HEADER_LEN + i * INDEX_LEN;
}

static int map_check_header(struct dir_map *m)
{
	struct rd r = rd_init(m->base, m->size);
	const uint8_t *start = rd_take(&r, sizeof(magic));
	uint16_t zero;

	if (!start || memcmp(start, magic, sizeof(magic)) != 0)
		return ERR_MALFORMED;
	m->meta.kind = rd_u8(&r);
	m->meta.n_signers = rd_u8(&r);
	zero = rd_u16(&r);
	m->count = rd_u32(&r);
	m->meta.valid_after = (int64_t)rd_u64(&r);
	m->meta.fresh_until = (int64_t)rd_u64(&r);
	m->meta.valid_until = (int64_t)rd_u64(&r);
	m->meta.last_modified = (int64_t)rd_u64(&r);
	rd_copy(&r, m->meta.signers, sizeof(m->meta.signers));
	if (!rd_ok(&r) || zero != 0 || !meta_is_good(&m->meta) || rd_left(&r) / INDEX_LEN < m->count)
		return ERR_MALFORMED;
	return 0;
}

static int map_check_index(const struct dir_map *m)
{
	size_t texts = HEADER_LEN + m->count * INDEX_LEN;

	for (size_t i = 0; i < m->count; i++) {
		struct rd r = rd_init(map_record(m, i), INDEX_LEN);
		const uint8_t *key = rd_take(&r, DIR_KEY_LEN);
		uint64_t offset = rd_u64(&r), len = rd_u64(&r);

		if (offset < texts || offset > m->size || len > m->size - offset)
			return ERR_MALFORMED;
		if (i > 0 && memcmp(map_record(m, i - 1), key, DIR_KEY_LEN) >= 0)
			return ERR_MALFORMED;
	}
	return 0;
}

int dir_map_open(struct dir_map **ret, int fd)
{
	struct dir_map *m;
	struct stat st;
	void *base;
	int r, seals = fcntl(fd, F_GET_SEALS);

	/* Asked first: what is sealed has the size that fstat() says for good. */
	if (seals < 0 || (seals & SEALS) != SEALS)
		return ERR_MALFORMED;
	if (fstat(fd, &st) < 0)
		return ERR_SYSTEM;
	if (st.st_size < HEADER_LEN || st.st_size > DIR_DOC_SIZE_MAX)
		return ERR_MALFORMED;
	/* Private, as Linux before 6.7 refuses shared mappings of a write-sealed file. */
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (base == MAP_FAILED)
		return ERR_SYSTEM;
	m = mem_new(sizeof(*m));
	m->base = base;
	m->size = (size_t)st.st_size;
	m->refs = 1;
	r = map_check_header(m);
	if (r == 0)
		r = map_check_index(m);
	if (r == 0)
		*ret = m;
	else
		dir_map_unref(m);
	return r;
}

struct dir_map *dir_map_ref(struct dir_map *m)
{
	m->refs++;
	return m;
}

void dir_map_unref(struct dir_map *m)
{
	if (!m || --m->refs > 0)
		return;
	munmap((void *)m->base, m->size);
	free(m);
}

const struct dir_doc_meta *dir_map_meta(const struct dir_map *m)
{
	return &m->meta;
}

size_t dir_map_count(const struct dir_map *m)
{
	return m->count;
}

void dir_map_at(const struct dir_map *m, size_t i, struct dir_entry *ret)
{
	struct rd r = rd_init(map_record(m, i), INDEX_LEN);

	rd_copy(&r, ret->key, DIR_KEY_LEN);
	ret->data = m->base + rd_u64(&r);
	ret->len = (size_t)rd_u64(&r);
}

/* The first entry whose key is not below `key`; the number of entries when there is none. */
static size_t map_lower_bound(const struct dir_map *m, const uint8_t key[DIR_KEY_LEN])
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(map_record(m, mid), key, DIR_KEY_LEN) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int dir_map_find(const struct dir_map *m, const void *key, size_t key_len, struct dir_entry *ret)
{
	uint8_t padded[DIR_KEY_LEN] = { 0 };
	size_t i;

	if (key_len > DIR_KEY_LEN)
		return ERR_NOT_FOUND;
	memcpy(padded, key, key_len);
	i = map_lower_bound(m, padded);
	if (i == m->count || memcmp(map_record(m, i), padded, DIR_KEY_LEN) != 0)
		return ERR_NOT_FOUND;
	dir_map_at(m, i, ret);
	return 0;
}

int dir_map_find_prefix(const struct dir_map *m, const void *prefix, size_t prefix_len, size_t *ret_i)
{
	uint8_t padded[DIR_KEY_LEN] = { 0 };
	size_t i;

	if (prefix_len > DIR_KEY_LEN)
		return ERR_NOT_FOUND;
	memcpy(padded, prefix, prefix_len);
	i = map_lower_bound(m, padded);
	if (i == m->count || memcmp(map_record(m, i), prefix, prefix_len) != 0)
		return ERR_NOT_FOUND;
	*ret_i = i;
	return 0;
}
