/* Lines of the stream that ledger_export() writes: one JSON object each, in canonical form. */
#include "config.h"

#include "ledger_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/jcs.h>
#include <nonos/mem.h>

/* `head` text `middle` text2 `tail`, with its line end. */
static char *join(size_t *ret_len, const char *head, const char *text, size_t len, const char *middle, const char *text2, size_t len2)
{
	size_t n = strlen(head), m = strlen(middle);
	char *out = mem_new(n + len + m + len2 + 3), *p = out;

	memcpy(p, head, n);
	memcpy(p += n, text, len);
	memcpy(p += len, middle, m);
	p += m;
	if (len2)
		memcpy(p, text2, len2);
	memcpy(p + len2, "}\n", 3);
	*ret_len = n + len + m + len2 + 2;
	return out;
}

char *journal_line_entry(size_t *ret_len, const char *entry, size_t entry_len, const char *evidence, size_t evidence_len)
{
	if (!evidence)
		return join(ret_len, "{\"entry\":", entry, entry_len, "", NULL, 0);
	return join(ret_len, "{\"entry\":", entry, entry_len, ",\"evidence\":", evidence, evidence_len);
}

char *journal_line_genesis(size_t *ret_len, const struct genesis *g)
{
	return join(ret_len, "{\"genesis\":", g->text, g->text_len, "", NULL, 0);
}

char *journal_line_note(size_t *ret_len, const char *note)
{
	json_t *text = json_string(note);
	size_t len;
	char *quoted, *out;

	/* A note of ours is ASCII but for its dashes. */
	if (!text || jcs_write(&quoted, &len, text) < 0)
		abort();
	out = join(ret_len, "{\"checkpoint\":", quoted, len, "", NULL, 0);
	free(quoted);
	json_decref(text);
	return out;
}

static int take(char **ret, size_t *ret_len, const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return v ? jcs_write(ret, ret_len, v) : 0;
}

static bool is_known(const json_t *doc)
{
	size_t n = json_object_size(doc);

	if (n == 1)
		return json_is_object(json_object_get(doc, "genesis")) || json_is_object(json_object_get(doc, "entry")) ||
		       json_is_string(json_object_get(doc, "checkpoint"));
	return n == 2 && json_is_object(json_object_get(doc, "entry")) && json_is_object(json_object_get(doc, "evidence"));
}

/* The file is a stranger's. */
int journal_line_next(char **text, size_t *cap, size_t *ret_len, FILE *in)
{
	size_t len = 0;
	int c = 0;

	while (c != '\n' && (c = getc_unlocked(in)) != EOF) {
		if (len == LEDGER_OBJECT_MAX)
			return ERR_TOO_LONG;
		if (len == *cap) {
			*cap = *cap ? 2 * *cap : 1024;
			*text = mem_resize(*text, *cap, 1);
		}
		(*text)[len++] = (char)c;
	}
	*ret_len = len;
	return 0;
}

int journal_line_read(struct journal_line *ret, const char *text, size_t len)
{
	struct journal_line j = { .genesis = NULL };
	const json_t *note;
	json_t *doc;
	int r = jcs_read(&doc, text, len);

	if (r < 0)
		return ERR_MALFORMED;
	r = is_known(doc) ? 0 : ERR_MALFORMED;
	if (r == 0)
		r = take(&j.genesis, &j.genesis_len, doc, "genesis");
	if (r == 0)
		r = take(&j.entry, &j.entry_len, doc, "entry");
	if (r == 0)
		r = take(&j.evidence, &j.evidence_len, doc, "evidence");
	note = json_object_get(doc, "checkpoint");
	if (r == 0 && note) {
		j.note_len = json_string_length(note);
		j.note = mem_strndup(json_string_value(note), j.note_len);
		if (strlen(j.note) != j.note_len)
			r = ERR_MALFORMED;
	}
	json_decref(doc);
	if (r < 0)
		journal_line_free(&j);
	else
		*ret = j;
	return r;
}

void journal_line_free(struct journal_line *j)
{
	free(j->genesis);
	free(j->entry);
	free(j->evidence);
	free(j->note);
}
