/* The texts of consensuses, kept for other auditors; see measure.h. */
#include "config.h"

#include "measure.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/compress.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "measure_priv.h"

static bool has_document(struct measure *m, int64_t valid_after)
{
	sqlite3_stmt *s = measure_bind(m, GET_DOCUMENT, 1, &valid_after);
	int step = sqlite3_step(s);

	measure_end(s, step);
	return step == SQLITE_ROW;
}

static int add_document(struct measure *m, const struct consensus_facts *c)
{
	sqlite3_stmt *s = m->statements[ADD_DOCUMENT];
	uint8_t *packed;
	size_t len;
	int r;

	compress_all(&packed, &len, CODING_ZSTD, c->text, c->text_len);
	sqlite3_bind_int64(s, 1, c->valid_after);
	sqlite3_bind_blob64(s, 2, packed, len, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, MEASURE_DOCUMENTS_MAX);
	r = measure_done(m, s);
	free(packed);
	return r;
}

int measure_keep_document(struct measure *m, const struct consensus_facts *c, int64_t from)
{
	int r = measure_done(m, measure_bind(m, PRUNE_DOCUMENT, 1, &from));

	if (r < 0 || c->valid_after < from || !c->text || has_document(m, c->valid_after))
		return r;
	return add_document(m, c);
}

int measure_document(struct measure *m, uint8_t **ret, size_t *ret_len, int64_t valid_after)
{
	sqlite3_stmt *s = measure_bind(m, GET_DOCUMENT, 1, &valid_after);
	int step = sqlite3_step(s), r = step == SQLITE_DONE ? ERR_NOT_FOUND : 0;

	if (step == SQLITE_ROW) {
		*ret_len = (size_t)sqlite3_column_bytes(s, 0);
		*ret = mem_dup(*ret_len ? sqlite3_column_blob(s, 0) : "", *ret_len);
	}
	return measure_end(s, step) < 0 ? ERR_IO : r;
}

int measure_documents(struct measure *m, struct measured_consensus **ret, size_t *ret_n)
{
	struct measured_consensus *v = mem_new_array(MEASURE_DOCUMENTS_MAX, sizeof(*v));
	sqlite3_stmt *s = m->statements[LIST_DOCUMENTS];
	size_t n = 0;
	int step, r;

	while ((step = sqlite3_step(s)) == SQLITE_ROW && n < MEASURE_DOCUMENTS_MAX) {
		if (sqlite3_column_bytes(s, 1) != 32)
			continue;
		v[n].valid_after = sqlite3_column_int64(s, 0);
		memcpy(v[n++].digest, sqlite3_column_blob(s, 1), 32);
	}
	r = measure_end(s, step);
	if (r < 0) {
		free(v);
		return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}
