/*
 * Verified documents on disk, so that a restart does not ask the authorities
 * for everything again. What is read back is verified like what comes from a
 * stranger; a file that is bad, or too old, is as good as none.
 *
 * Files are replaced whole (temporary file, fsync, rename). That blocks the
 * keeper's loop for as long as the disk takes, which delays no cell: those are
 * in other processes. It happens about twice in each consensus interval.
 */
#include "config.h"

#include "directory_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

enum {
	SAVE_DELAY_MS = 3000,
	DOCS_PER_STEP = 200,		/* verified in one turn of the loop while loading */
	CERTS_FILE_MAX = DIRCERTS_MAX * DIRCERT_LEN_MAX,
};

static const char *const file_names[DIR_DOC_KINDS] = {
	[DIR_DOC_CONSENSUS_NS] = "cached-consensus",
	[DIR_DOC_CONSENSUS_MICRODESC] = "cached-microdesc-consensus",
	[DIR_DOC_MICRODESCS] = "cached-microdescs",
	[DIR_DOC_DESCRIPTORS] = "cached-descriptors",
	[DIR_DOC_CERTS] = "cached-certs",
};

static const size_t file_max[DIR_DOC_KINDS] = {
	[DIR_DOC_CONSENSUS_NS] = CONSENSUS_LEN_MAX,
	[DIR_DOC_CONSENSUS_MICRODESC] = CONSENSUS_LEN_MAX,
	[DIR_DOC_MICRODESCS] = DOCSET_BYTES_MAX,
	[DIR_DOC_DESCRIPTORS] = DOCSET_BYTES_MAX,
	[DIR_DOC_CERTS] = CERTS_FILE_MAX,
};

/* What is being loaded, a part in each turn of the loop. */
struct loading {
	enum consensus_flavour flavour;
	char *text;
	struct dirtext rest;
	struct dircache_taken got;
};

/* -- reading -------------------------------------------------------------- */

static int read_whole(int fd, char **ret, size_t *ret_len, size_t max)
{
	struct stat st;
	char *text;
	size_t at = 0;

	if (fstat(fd, &st) < 0)
		return ERR_SYSTEM;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
		return ERR_TOO_LONG;
	text = mem_new((size_t)st.st_size + 1);
	while (at < (size_t)st.st_size) {
		ssize_t n = read(fd, text + at, (size_t)st.st_size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(text);
			return ERR_IO;
		}
		at += (size_t)n;
	}
	*ret = text;
	*ret_len = at;
	return 0;
}

static int read_file(const struct directory *d, enum dir_doc kind, char **ret, size_t *ret_len)
{
	char *path = mem_printf("%s/%s", d->cache_dir, file_names[kind]);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r = ERR_NOT_FOUND;

	if (fd >= 0) {
		r = read_whole(fd, ret, ret_len, file_max[kind]);
		close(fd);
	}
	if (r < 0 && r != ERR_NOT_FOUND)
		log_warn("A cache file cannot be read. path=%s error=\"%s\"", path, err_str(r));
	free(path);
	return r;
}

static void load_certs(struct directory *d)
{
	size_t len, bad;
	char *text;

	if (read_file(d, DIR_DOC_CERTS, &text, &len) < 0)
		return;
	if (dircerts_add(&d->docs.certs, d->authorities, d->n, text, len, clock_wall(), &bad))
		offer_changed(d, DIR_DOC_CERTS);
	free(text);
}

static void load_consensus(struct directory *d, enum consensus_flavour flavour)
{
	struct consensus_verdict v;
	struct consensus *c = NULL;
	size_t len;
	char *text;
	int r;

	if (read_file(d, consensus_kind(flavour), &text, &len) < 0)
		return;
	r = consensus_parse(&c, text, len);
	if (r == 0 && c->flavour != flavour)
		r = ERR_MISMATCH;
	if (r == 0)
		r = dircache_accept(&d->docs, c, clock_wall(), &v);
	free(text);
	if (r == 0) {
		directory_new_consensus(d, c);
		return;
	}
	consensus_unref(c);
	log_info("A cached consensus is of no use. file=%s error=\"%s\"", file_names[consensus_kind(flavour)], err_str(r));
}

void store_load(struct directory *d)
{
	if (!d->cache_dir)
		return;
	if (mkdir(d->cache_dir, 0700) < 0 && errno != EEXIST)
		log_warn("The cache directory cannot be made. path=%s error=\"%s\"", d->cache_dir, strerror(errno));
	load_certs(d);
	load_consensus(d, FLAVOUR_MICRODESC);
	if (d->cache)
		load_consensus(d, FLAVOUR_NS);
	if (d->microdescs)
		d->loading = mem_new(sizeof(*d->loading));
	d->unsaved = 0;
}

static void end_flavour(struct directory *d, struct loading *l)
{
	log_info("Documents were read from the cache. taken=%zu listed=%zu file=%s", l->got.added,
		 d->docs.docs[l->flavour].n_listed, file_names[docs_kind(l->flavour)]);
	if (l->got.added)
		offer_changed(d, docs_kind(l->flavour));
	free(l->text);
	l->text = NULL;
	l->got = (struct dircache_taken){ 0 };
	l->flavour++;
}

bool store_load_step(struct directory *d)
{
	struct loading *l = d->loading;
	size_t len;

	if (l->flavour == FLAVOURS) {
		d->loading = NULL;
		free(l);
		return true;
	}
	if (!l->text) {
		if (read_file(d, docs_kind(l->flavour), &l->text, &len) < 0) {
			l->flavour++;
			return false;
		}
		l->rest = dirtext_init(l->text, len);
	}
	if (!dircache_take_docs(&d->docs, l->flavour, &l->rest, DOCS_PER_STEP, &l->got))
		end_flavour(d, l);
	return false;
}

/* -- writing -------------------------------------------------------------- */

struct out {
	int fd;
	char buf[65536];
	size_t n;
	bool failed;
};

static void out_flush(struct out *o)
{
	size_t at = 0;

	while (at < o->n && !o->failed) {
		ssize_t n = write(o->fd, o->buf + at, o->n - at);

		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			o->failed = true;
	}
	o->n = 0;
}

static void out_add(struct out *o, const char *text, size_t len)
{
	while (len) {
		size_t room = sizeof(o->buf) - o->n, n = len < room ? len : room;

		memcpy(o->buf + o->n, text, n);
		o->n += n;
		text += n;
		len -= n;
		if (o->n == sizeof(o->buf))
			out_flush(o);
	}
}

static void write_docs(struct out *o, const struct docset *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->docs[i].listed && set->docs[i].text)
			out_add(o, set->docs[i].text, set->docs[i].len);
}

static void write_kind(struct out *o, const struct directory *d, enum dir_doc kind)
{
	const struct dircache *dc = &d->docs;

	switch (kind) {
	case DIR_DOC_CONSENSUS_NS:
		out_add(o, dc->consensus[FLAVOUR_NS]->text, dc->consensus[FLAVOUR_NS]->len);
		break;
	case DIR_DOC_CONSENSUS_MICRODESC:
		out_add(o, dc->consensus[FLAVOUR_MICRODESC]->text, dc->consensus[FLAVOUR_MICRODESC]->len);
		break;
	case DIR_DOC_MICRODESCS:
		write_docs(o, &dc->docs[FLAVOUR_MICRODESC]);
		break;
	case DIR_DOC_DESCRIPTORS:
		write_docs(o, &dc->docs[FLAVOUR_NS]);
		break;
	case DIR_DOC_CERTS:
		for (size_t i = 0; i < dc->certs.n; i++)
			out_add(o, dc->certs.certs[i]->text, dc->certs.certs[i]->len);
		break;
	case DIR_DOC_OWN:
	case DIR_DOC_RELAYS:
	case DIR_DOC_KINDS:
		break;
	}
}

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return ERR_SYSTEM;
	if (fsync(fd) < 0)
		r = ERR_IO;
	close(fd);
	return r;
}

static int replace_file(const struct directory *d, enum dir_doc kind, const char *temp, const char *path)
{
	struct out *o = mem_new(sizeof(*o));
	int r = 0;

	o->fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->fd < 0) {
		free(o);
		return ERR_SYSTEM;
	}
	write_kind(o, d, kind);
	out_flush(o);
	if (o->failed || fsync(o->fd) < 0)
		r = ERR_IO;
	if (close(o->fd) < 0)
		r = ERR_IO;
	free(o);
	if (r == 0 && rename(temp, path) < 0)
		r = ERR_SYSTEM;
	if (r < 0)
		unlink(temp);
	return r < 0 ? r : sync_dir(d->cache_dir);
}

static void save(const struct directory *d, enum dir_doc kind)
{
	char *path = mem_printf("%s/%s", d->cache_dir, file_names[kind]), *temp = mem_printf("%s.new", path);
	int r;

	errno = 0;
	r = replace_file(d, kind, temp, path);
	if (r < 0)
		log_limited(LOG_LEVEL_WARN, "A cache file cannot be written. path=%s error=\"%s\"", path, strerror(errno));
	free(temp);
	free(path);
}

void store_changed(struct directory *d, enum dir_doc kind)
{
	if (!d->cache_dir || !file_names[kind])
		return;
	if (!d->unsaved)
		d->save_ms = clock_now_ms() + SAVE_DELAY_MS;
	d->unsaved |= 1u << kind;
}

void store_step(struct directory *d)
{
	if (!d->unsaved || clock_now_ms() < d->save_ms)
		return;
	for (int kind = 0; kind < DIR_DOC_KINDS; kind++) {
		enum consensus_flavour f = kind == DIR_DOC_DESCRIPTORS ? FLAVOUR_NS : FLAVOUR_MICRODESC;

		if (!(d->unsaved & 1u << kind))
			continue;
		/* Not over and over while batches come in. */
		if ((kind == DIR_DOC_DESCRIPTORS || kind == DIR_DOC_MICRODESCS) && fetch_docs_busy(d, f))
			continue;
		save(d, (enum dir_doc)kind);
		d->unsaved &= ~(1u << kind);
	}
}

void store_stop(struct directory *d)
{
	if (d->loading)
		free(d->loading->text);
	free(d->loading);
	/* What has not been saved yet can be fetched again. */
}
