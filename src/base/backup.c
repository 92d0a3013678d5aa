/* The files of a backup, and their plaintext form. backup_seal.c encrypts it. */
#include "config.h"

#include <nonos/backup.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "backup_priv.h"

struct entry {
	char name[BACKUP_NAME_MAX + 1];
	unsigned mode;
	struct secret *data;
};

struct backup {
	struct entry *v;
	size_t n, cap, bytes;
};

struct backup *backup_new(void)
{
	return mem_new(sizeof(struct backup));
}

void backup_free(struct backup *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++)
		secret_free(b->v[i].data);
	free(b->v);
	free(b);
}

bool backup_name_is_good(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_@+";
	unsigned depth = 0;

	if (strlen(name) > BACKUP_NAME_MAX)
		return false;
	for (const char *part = name; ; part++) {
		size_t len = strspn(part, letters);

		if (len == 0 || part[0] == '.' || ++depth > BACKUP_DEPTH_MAX)
			return false;
		part += len;
		if (*part == '\0')
			return true;
		if (*part != '/')
			return false;
	}
}

/* A name that is a file must not be a directory too. */
static bool clashes(const char *a, const char *b)
{
	size_t len = strlen(a);

	return strncmp(a, b, len) == 0 && (b[len] == '\0' || b[len] == '/');
}

int backup_add(struct backup *b, const char *name, unsigned mode, const void *data, size_t len)
{
	struct entry *e;

	if (!backup_name_is_good(name) || mode > 0777)
		return ERR_MALFORMED;
	for (size_t i = 0; i < b->n; i++)
		if (clashes(b->v[i].name, name) || clashes(name, b->v[i].name))
			return ERR_EXISTS;
	if (b->n == BACKUP_FILES_MAX || len > BACKUP_BYTES_MAX - b->bytes)
		return ERR_LIMIT;
	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 16;
		b->v = mem_resize(b->v, b->cap, sizeof(*b->v));
	}
	e = &b->v[b->n++];
	memcpy(e->name, name, strlen(name) + 1);
	e->mode = mode;
	e->data = secret_new(data, len);
	b->bytes += len;
	return 0;
}

size_t backup_count(const struct backup *b)
{
	return b->n;
}

void backup_get(struct backup_file *ret, const struct backup *b, size_t i)
{
	const struct entry *e = &b->v[i];

	*ret = (struct backup_file){ .mode = e->mode, .data = secret_data(e->data), .len = secret_len(e->data) };
	memcpy(ret->name, e->name, sizeof(ret->name));
}

int backup_find(struct backup_file *ret, const struct backup *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->v[i].name, name) == 0) {
			backup_get(ret, b, i);
			return 0;
		}
	return ERR_NOT_FOUND;
}

/* -- plaintext -------------------------------------------------------------- */

struct secret *backup_text(const struct backup *b)
{
	size_t len = 2;
	struct secret *s;
	struct wr w;

	for (size_t i = 0; i < b->n; i++)
		len += 1 + strlen(b->v[i].name) + 2 + 4 + secret_len(b->v[i].data);
	s = secret_new(NULL, len);
	w = wr_init(secret_data_mut(s), len);
	wr_u16(&w, (uint16_t)b->n);
	for (size_t i = 0; i < b->n; i++) {
		const struct entry *e = &b->v[i];

		wr_u8(&w, (uint8_t)strlen(e->name));
		wr_bytes(&w, e->name, strlen(e->name));
		wr_u16(&w, (uint16_t)e->mode);
		wr_u32(&w, (uint32_t)secret_len(e->data));
		wr_bytes(&w, secret_data(e->data), secret_len(e->data));
	}
	return s;
}

static int parse_file(struct backup *b, struct rd *r)
{
	char name[BACKUP_NAME_MAX + 1];
	size_t name_len = rd_u8(r), len;
	const uint8_t *name_bytes = rd_take(r, name_len), *data;
	unsigned mode = rd_u16(r);

	len = rd_u32(r);
	data = rd_take(r, len);
	if (!data || name_len > BACKUP_NAME_MAX || memchr(name_bytes, '\0', name_len))
		return ERR_PROTOCOL;
	memcpy(name, name_bytes, name_len);
	name[name_len] = '\0';
	return backup_add(b, name, mode, data, len) < 0 ? ERR_PROTOCOL : 0;
}

int backup_parse(struct backup **ret, const uint8_t *data, size_t len)
{
	struct backup *b = backup_new();
	struct rd r = rd_init(data, len);
	size_t n = rd_u16(&r);
	int code = rd_ok(&r) && n <= BACKUP_FILES_MAX ? 0 : ERR_PROTOCOL;

	for (size_t i = 0; i < n && code == 0; i++)
		code = parse_file(b, &r);
	if (code == 0 && rd_done(&r) < 0)
		code = ERR_PROTOCOL;
	if (code == 0)
		*ret = b;
	else
		backup_free(b);
	return code;
}
