/* A writer that signs two histories, and a mirror that gives out other entries than were signed. */
#include "config.h"

#include "follow_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/file.h>
#include <nonos/log.h>
#include <nonos/mem.h>

json_t *follow_fork(const struct follow *f)
{
	if (!f->ours)
		return json_pack("{s:b}", "forked", 0);
	return json_pack("{s:b, s:I, s:s, s:s, s:s}", "forked", 1, "found", (json_int_t)f->fork_found, "ours", f->ours, "theirs",
			 f->theirs, "file", f->fork_path);
}

static void save_fork(const struct follow *f)
{
	json_t *o = follow_fork(f);
	char *text = json_dumps(o, JSON_INDENT(1) | JSON_ENSURE_ASCII), *slash = strrchr(f->fork_path, '/');
	char *dir_path = mem_strndup(f->fork_path, (size_t)(slash - f->fork_path));
	int dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!text || dir < 0 || file_replace_at(dir, slash + 1, text, strlen(text)) < 0)
		log_error("The two checkpoints cannot be kept in %s.", f->fork_path);
	if (dir >= 0)
		close(dir);
	free(dir_path);
	free(text);
	json_decref(o);
}

void follow_caught(struct follow *f)
{
	char *ours = NULL;

	if (ledger_checkpoint(f->ledger, &ours) < 0)
		ours = mem_strdup("");
	f->ours = ours;
	f->theirs = mem_strdup(f->note);
	f->fork_found = clock_wall();
	log_error("The writer of the journal has shown two histories: its checkpoint of %llu entries does not continue the one of "
		  "%llu that it signed before. Nothing more is taken from it. \"nonosctl ledger fork\" shows both. url=%s",
		  (unsigned long long)f->target.size, (unsigned long long)ledger_committed(f->ledger), f->url);
	save_fork(f);
	snprintf(f->problem, sizeof(f->problem), "the writer has shown two histories");
	follow_end_round(f);
}

void follow_load_fork(struct follow *f)
{
	json_t *o = json_load_file(f->fork_path, JSON_REJECT_DUPLICATES, NULL);
	const char *ours = json_string_value(json_object_get(o, "ours")), *theirs = json_string_value(json_object_get(o, "theirs"));

	if (ours && theirs) {
		f->ours = mem_strdup(ours);
		f->theirs = mem_strdup(theirs);
		f->fork_found = json_integer_value(json_object_get(o, "found"));
		snprintf(f->problem, sizeof(f->problem), "the writer has shown two histories");
	} else if (access(f->fork_path, F_OK) == 0) {
		log_warn("%s is not what was written there; it is passed over.", f->fork_path);
	}
	json_decref(o);
}

static void judge(struct follow *f);

static void on_tile(void *arg, const struct http_reply *reply)
{
	struct follow *f = arg;

	if (!follow_is_good(f, reply, "a tile of hashes"))
		return;
	if (tile_tree_add(f->tree, &f->tile, reply->body, reply->body_len) < 0)
		follow_fail(f, "a tile of hashes has %zu bytes, not %zu", reply->body_len, f->tile.width * (size_t)LEDGER_ROOT_LEN);
	else
		judge(f);
}

/* Whether the writer signed another history than ours: its root at our size, proven by what it signed now. */
static int judge_root(struct follow *f, bool *ret_forked)
{
	uint64_t ours = ledger_committed(f->ledger);
	uint8_t own[LEDGER_ROOT_LEN];
	struct merkle_hash theirs;
	int r;

	*ret_forked = false;
	if (ours == 0)
		return 0;
	r = tile_tree_root(f->tree, &theirs, &f->tile, &f->target.root, ours);
	if (r == 0)
		r = ledger_root_at(f->ledger, own, ours);
	if (r == 0)
		*ret_forked = memcmp(theirs.b, own, sizeof(own)) != 0;
	return r;
}

/* Whether it signed the entry that was refused, or the one who gave it to us made it up. */
static int judge_entry(struct follow *f, bool *ret_signed)
{
	struct merkle_hash leaf;
	int r;

	*ret_signed = false;
	if (!f->refused[0])
		return 0;
	r = tile_tree_leaf(f->tree, &leaf, &f->tile, &f->target.root, f->at);
	if (r == 0)
		*ret_signed = memcmp(leaf.b, f->refused_leaf.b, sizeof(leaf.b)) == 0;
	return r;
}

/* The entries do not lead to the checkpoint: another history, or a mirror that errs? Tiles of hashes tell. */
static void judge(struct follow *f)
{
	char path[TILE_PATH_CAP];
	bool forked = false, is_signed = false;
	int r = judge_root(f, &forked);

	if (r == 0 && !forked)
		r = judge_entry(f, &is_signed);
	if (r == ERR_AGAIN)
		follow_fetch(f, tile_path(path, &f->tile), TILE_HASHES_LEN, on_tile);
	else if (r == ERR_AUTH)
		follow_fail(f, "what the writer gives out does not add up to its checkpoint of %llu entries", (unsigned long long)f->target.size);
	else if (r < 0)
		follow_fail(f, "the ledger cannot be read: %s", ledger_error(f->ledger));
	else if (forked)
		follow_caught(f);
	else if (is_signed)
		follow_fail(f, "entry %llu, which the writer signed, is refused here: %s", (unsigned long long)f->at, f->refused);
	else
		follow_fail(f, "the entries from %llu on are given out otherwise than the writer signed them", (unsigned long long)
		     ledger_committed(f->ledger));
}

void follow_look_into(struct follow *f)
{
	follow_drop_entries(f);
	f->tree = tile_tree_new(f->target.size);
	judge(f);
}
