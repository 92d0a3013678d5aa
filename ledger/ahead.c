#include "config.h"

#include "ahead.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/mem.h>

enum {
	ITEMS = 1024, BYTES = 4 << 20,
	ITEMS_FIRST = 64,		/* as many at least, or no thread is made */
	THREADS_MAX = 8, STACK = 1 << 20,
};

struct ahead {
	const struct genesis *genesis;
	ahead_source_fn *source;
	void *ctx;
	struct ahead_limits limits;
	bool started, ended;		/* by now there are threads; the source has no more */

	/* A ring. Items are counted from the first of all, so that a count tells the place. */
	struct ahead_item *items;
	size_t cap, bytes;
	uint64_t first;			/* not taken back yet */
	uint64_t ready;			/* up to here they are known to be done */
	bool given;			/* `first` is with the caller */

	pthread_mutex_t lock;		/* of what follows, and of `done` in each item */
	pthread_cond_t work, done;
	uint64_t claimed, filled;	/* up to here somebody looks at them; they are there */
	bool waits, stop;		/* the caller waits for `first`; the threads are to end */
	pthread_t threads[THREADS_MAX];
	unsigned n_threads;
};

static struct ahead_item *item_at(const struct ahead *a, uint64_t n)
{
	return &a->items[n % a->cap];
}

/* -- looking at items, in any thread ------------------------------------------------------ */

static void read_entry(const struct ahead *a, struct ahead_item *item)
{
	const struct journal_line *j = &item->line;

	entry_read(&item->entry, a->genesis, j->entry, j->entry_len, j->evidence, j->evidence_len);
	item->has_entry = true;
}

static void look(const struct ahead *a, struct ahead_item *item)
{
	if (item->text && item->r == 0)
		item->r = journal_line_read(&item->line, item->text, item->len);
	if (item->r < 0 || !item->line.entry || item->skip)
		return;
	read_entry(a, item);
	if (!item->entry.refusal)
		object_look(&item->entry.object, item->entry.time);
}

/* Look at the first item that nobody has. The lock is held, but not meanwhile. False: there is none. */
static bool look_at_one(struct ahead *a)
{
	struct ahead_item *item;

	if (a->claimed == a->filled)
		return false;
	item = item_at(a, a->claimed++);
	pthread_mutex_unlock(&a->lock);
	look(a, item);
	pthread_mutex_lock(&a->lock);
	item->done = true;
	return true;
}

static void *run_thread(void *arg)
{
	struct ahead *a = arg;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		if (!look_at_one(a))
			pthread_cond_wait(&a->work, &a->lock);
		else if (a->waits && item_at(a, a->first)->done)
			pthread_cond_signal(&a->done);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* -- the window, in the caller's thread --------------------------------------------------- */

static void item_free(struct ahead_item *item)
{
	if (item->has_entry)
		entry_free(&item->entry);
	journal_line_free(&item->line);
	free(item->text);
}

static void fill(struct ahead *a)
{
	uint64_t n = a->filled;

	while (!a->ended && n - a->first < a->cap && (n == a->first || a->bytes < a->limits.bytes)) {
		struct ahead_item *item = item_at(a, n);

		*item = (struct ahead_item){ .number = 0 };
		if (a->source(a->ctx, item)) {
			item->cost = item->len + item->line.entry_len + item->line.evidence_len;
			a->bytes += item->cost;
			n++;
		} else {
			a->ended = true;
		}
	}
	pthread_mutex_lock(&a->lock);
	a->filled = n;
	if (a->claimed < n && a->n_threads)
		pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
}

static void start_threads(struct ahead *a)
{
	sigset_t all, before;
	pthread_attr_t attr;

	a->items = mem_resize(a->items, a->limits.items, sizeof(*a->items));
	a->cap = a->limits.items;
	if (pthread_attr_init(&attr) != 0)
		return;
	pthread_attr_setstacksize(&attr, STACK);
	/* A signal is for the thread that folds. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (a->n_threads < a->limits.threads && pthread_create(&a->threads[a->n_threads], &attr, run_thread, a) == 0)
		a->n_threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

/* Fill it when half of it is empty: the threads are woken once for many items. */
static void refill(struct ahead *a)
{
	if (!a->started) {
		fill(a);
		a->started = true;
		if (!a->ended && a->limits.threads)
			start_threads(a);
	}
	if (a->filled - a->first <= a->cap / 2)
		fill(a);
}

static void take_back(struct ahead *a)
{
	struct ahead_item *item = item_at(a, a->first);

	a->bytes -= item->cost;
	item_free(item);
	a->first++;
	a->given = false;
}

/* Until the first item is done, do what else is to be done. */
static void wait_for_first(struct ahead *a)
{
	pthread_mutex_lock(&a->lock);
	while (!item_at(a, a->first)->done) {
		if (look_at_one(a))
			continue;
		a->waits = true;
		pthread_cond_wait(&a->done, &a->lock);
		a->waits = false;
	}
	for (a->ready = a->first; a->ready < a->filled && item_at(a, a->ready)->done; a->ready++)
		;
	pthread_mutex_unlock(&a->lock);
}

struct ahead_item *ahead_next(struct ahead *a)
{
	if (a->given)
		take_back(a);
	refill(a);
	if (a->first == a->filled)
		return NULL;
	if (a->first >= a->ready)
		wait_for_first(a);
	a->given = true;
	return item_at(a, a->first);
}

const struct entry *ahead_entry(const struct ahead *a, struct ahead_item *item)
{
	if (!item->has_entry)
		read_entry(a, item);
	return &item->entry;
}

/* -- life -------------------------------------------------------------------------------------- */

/* Cores that this process may use. */
static unsigned cores(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	/* A machine with more than the set has room for. */
	n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 1 ? (unsigned)n : 1;
}

struct ahead_limits ahead_limits(void)
{
	unsigned n = cores();

	if (n <= 1)
		return (struct ahead_limits){ .threads = 0, .items = 1, .bytes = BYTES };
	return (struct ahead_limits){ .threads = n - 1, .items = ITEMS, .bytes = BYTES };
}

struct ahead *ahead_new(const struct genesis *g, ahead_source_fn *source, void *ctx, const struct ahead_limits *limits)
{
	struct ahead *a = mem_new(sizeof(*a));

	a->genesis = g;
	a->source = source;
	a->ctx = ctx;
	a->limits = limits ? *limits : ahead_limits();
	if (a->limits.threads > THREADS_MAX)
		a->limits.threads = THREADS_MAX;
	a->cap = a->limits.items < ITEMS_FIRST ? a->limits.items : ITEMS_FIRST;
	a->items = mem_new_array(a->cap, sizeof(*a->items));
	if (pthread_mutex_init(&a->lock, NULL) != 0 || pthread_cond_init(&a->work, NULL) != 0 || pthread_cond_init(&a->done, NULL) != 0)
		mem_fail();
	/* Two threads must not find out at once that this was not done yet. */
	json_object_seed(0);
	return a;
}

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	for (unsigned i = 0; i < a->n_threads; i++)
		pthread_join(a->threads[i], NULL);
	for (; a->first < a->filled; a->first++)
		item_free(item_at(a, a->first));
	pthread_cond_destroy(&a->done);
	pthread_cond_destroy(&a->work);
	pthread_mutex_destroy(&a->lock);
	free(a->items);
	free(a);
}

/* -- lines ------------------------------------------------------------------------------------- */

bool ahead_line(void *ctx, struct ahead_item *ret)
{
	static const char entry[] = "{\"entry\":";
	struct ahead_lines *s = ctx;
	size_t cap = 0;

	if (s->bytes == 0)
		return false;
	ret->r = journal_line_next(&ret->text, &cap, &ret->len, s->in);
	if (ret->r == 0 && ret->len == 0) {
		free(ret->text);
		return false;
	}
	ret->number = ++s->lines;
	/* Behind one that has no end, nothing is a line. */
	s->bytes -= ret->r == 0 && ret->len < s->bytes ? ret->len : s->bytes;
	/* So begins each entry that we export. Of one that does not, the signatures are checked later. */
	if (ret->len >= sizeof(entry) && memcmp(ret->text, entry, sizeof(entry) - 1) == 0)
		s->entries++;
	ret->skip = s->entries <= s->had;
	return true;
}
