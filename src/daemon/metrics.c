#include "config.h"

#include "metrics.h"

#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>

enum { LABELS_CAP = 256, PROCESS_LABEL_CAP = 40 };

const char *metrics_label(char *out, size_t cap, const char *text)
{
	size_t n = 0;

	for (const char *p = text; *p && n + 2 < cap; p++) {
		bool quoted = *p == '\\' || *p == '"' || *p == '\n';

		if (quoted)
			out[n++] = '\\';
		out[n++] = *p == '\n' ? 'n' : *p >= 0x20 && *p < 0x7f ? *p : '?';
	}
	out[n] = '\0';
	return out;
}

/* -- lines ------------------------------------------------------------------ */

static void open_metric(struct metrics_text *t, const char *name, const char *type, const char *sentence)
{
	t->name = name;
	evbuffer_add_printf(t->out, "# HELP %s %s\n# TYPE %s %s\n", name, sentence, name, type);
}

static void put_name(struct metrics_text *t, const char *suffix, const char *labels)
{
	bool any = labels[0] != '\0';

	evbuffer_add_printf(t->out, "%s%s%s%s%s ", t->name, suffix, any ? "{" : "", labels, any ? "}" : "");
}

static void put_sample(struct metrics_text *t, const char *labels, uint64_t v)
{
	put_name(t, "", labels);
	evbuffer_add_printf(t->out, "%llu\n", (unsigned long long)v);
}

static void put_signed(struct metrics_text *t, const char *labels, int64_t v)
{
	put_name(t, "", labels);
	evbuffer_add_printf(t->out, "%lld\n", (long long)v);
}

/* What the keeper does not know has no sample. */
static void put_fact(struct metrics_text *t, const char *labels, int64_t v)
{
	if (v != METRICS_NONE)
		put_signed(t, labels, v);
}

/* One label whose value may hold anything, and a number. */
static void put_labelled(struct metrics_text *t, const char *key, const char *value, int64_t v)
{
	char labels[LABELS_CAP], clean[METRICS_LABEL_CAP];

	snprintf(labels, sizeof(labels), "%s=\"%s\"", key, metrics_label(clean, sizeof(clean), value));
	put_signed(t, labels, v);
}

/* -- samples out of counters -------------------------------------------------- */

static void put_list(struct metrics_text *t, const uint64_t *values, enum count_list list, size_t n,
		     const char *labels, const char *key)
{
	char all[LABELS_CAP];

	for (size_t i = 0; i < n; i++) {
		snprintf(all, sizeof(all), "%s%s%s=\"%s\"", labels, labels[0] ? "," : "", key,
			 relay_count_name(list, i));
		put_sample(t, all, values[i]);
	}
}

static void put_histogram(struct metrics_text *t, const uint64_t *buckets, uint64_t sum_ms)
{
	uint64_t count = 0;

	for (size_t i = 0; i < COUNT_WAITS; i++) {
		count += buckets[i];
		evbuffer_add_printf(t->out, "%s_bucket{le=\"%s\"} %llu\n", t->name,
				    relay_count_name(LIST_WAITS, i), (unsigned long long)count);
	}
	evbuffer_add_printf(t->out, "%s_sum %llu.%03llu\n%s_count %llu\n", t->name,
			    (unsigned long long)sum_ms / 1000, (unsigned long long)sum_ms % 1000, t->name,
			    (unsigned long long)count);
}

/* -- samples out of other facts: the SOURCE rows ------------------------------ */

static void put_build_info(struct metrics_text *t, const struct metrics_facts *f)
{
	const char *const versions[] = { f->version, f->openssl, f->libevent };
	static const char *const keys[] = { "version", "openssl", "libevent" };
	char labels[LABELS_CAP], clean[METRICS_LABEL_CAP];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		n += (size_t)snprintf(labels + n, sizeof(labels) - n, "%s%s=\"%s\"", n ? "," : "", keys[i],
				      metrics_label(clean, METRICS_VERSION_CAP, versions[i]));
	put_sample(t, labels, 1);
}

static void put_state(struct metrics_text *t, const struct metrics_facts *f)
{
	for (size_t i = 0; f->states[i]; i++)
		put_labelled(t, "state", f->states[i], strcmp(f->states[i], f->state) == 0);
}

static const char *process_label(char out[PROCESS_LABEL_CAP], size_t worker)
{
	snprintf(out, PROCESS_LABEL_CAP, "process=\"worker-%zu\"", worker);
	return out;
}

/* Processes of their own; a worker inside the keeper is none. */
static size_t n_processes(const struct metrics_facts *f)
{
	return f->one_process ? 0 : f->n_workers;
}

static void put_sandbox_of(struct metrics_text *t, const char *process, const struct sandbox_state *s)
{
	const struct {
		const char *part;
		bool in_force;
	} rows[] = { { "no_new_privs", s->no_new_privs }, { "landlock", s->landlock }, { "seccomp", s->seccomp } };
	char labels[LABELS_CAP];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(labels, sizeof(labels), "%s,part=\"%s\"", process, rows[i].part);
		put_sample(t, labels, rows[i].in_force);
	}
}

static void put_sandbox(struct metrics_text *t, const struct metrics_facts *f)
{
	char label[PROCESS_LABEL_CAP];

	put_sandbox_of(t, "process=\"keeper\"", &f->keeper.sandbox);
	for (size_t i = 0; i < n_processes(f); i++)
		if (f->workers[i].ready)
			put_sandbox_of(t, process_label(label, i), &f->workers[i].sandbox);
}

static void put_process_memory(struct metrics_text *t, const struct metrics_facts *f)
{
	char label[PROCESS_LABEL_CAP];

	put_sample(t, "process=\"keeper\"", f->keeper.resident_bytes);
	for (size_t i = 0; i < n_processes(f); i++)
		put_sample(t, process_label(label, i), f->workers[i].resident_bytes);
}

static void put_process_files(struct metrics_text *t, const struct metrics_facts *f)
{
	char label[PROCESS_LABEL_CAP];

	if (f->keeper.open_files)
		put_sample(t, "process=\"keeper\"", f->keeper.open_files);
	for (size_t i = 0; i < n_processes(f); i++)
		if (f->workers[i].open_files)
			put_sample(t, process_label(label, i), f->workers[i].open_files);
}

static void put_seconds(struct metrics_text *t, const char *labels, uint64_t us)
{
	put_name(t, "", labels);
	evbuffer_add_printf(t->out, "%llu.%06llu\n", (unsigned long long)us / 1000000,
			    (unsigned long long)us % 1000000);
}

static void put_process_cpu(struct metrics_text *t, const struct metrics_facts *f)
{
	char label[PROCESS_LABEL_CAP];

	put_seconds(t, "process=\"keeper\"", f->keeper.cpu_us);
	for (size_t i = 0; i < n_processes(f); i++)
		put_seconds(t, process_label(label, i), f->workers[i].cpu_us);
}

static void put_worker_restarts(struct metrics_text *t, const struct metrics_facts *f)
{
	char label[PROCESS_LABEL_CAP];

	for (size_t i = 0; i < f->n_workers; i++)
		put_sample(t, process_label(label, i), f->workers[i].restarts);
}

static void put_worker_ready(struct metrics_text *t, const struct metrics_facts *f)
{
	char label[PROCESS_LABEL_CAP];

	for (size_t i = 0; i < f->n_workers; i++)
		put_sample(t, process_label(label, i), f->workers[i].ready);
}

static void put_flags(struct metrics_text *t, const struct metrics_facts *f)
{
	uint32_t have = f->consensus.listed ? f->consensus.flags : 0;
	char name[32];

	for (uint32_t flag = FLAG_AUTHORITY; flag <= FLAG_VALID; flag <<= 1)
		put_labelled(t, "flag", relay_flags_str(name, sizeof(name), flag), (have & flag) != 0);
}

static void put_upload_status(struct metrics_text *t, const struct metrics_facts *f)
{
	for (size_t i = 0; i < f->n_authorities; i++)
		put_labelled(t, "authority", f->authorities[i].authority->name, f->authorities[i].http_status);
}

static void put_upload_time(struct metrics_text *t, const struct metrics_facts *f)
{
	for (size_t i = 0; i < f->n_authorities; i++)
		if (f->authorities[i].last_upload)
			put_labelled(t, "authority", f->authorities[i].authority->name,
				     f->authorities[i].last_upload);
}

void metrics_facts_init(struct metrics_facts *f)
{
	memset(f, 0, sizeof(*f));
#define FACT(name, labels) f->name = METRICS_NONE;
#include <nonos/metrics.def>
}

/* -- all ---------------------------------------------------------------------- */

void metrics_format(struct evbuffer *out, const struct metrics_facts *f)
{
	const struct relay_counters *c = &f->counters;
	struct metrics_text t = { .out = out };

#define METRIC(name, type, labels, sentence) open_metric(&t, #name, #type, sentence);
#define TOTAL(field, labels) put_sample(&t, labels, c->field);
#define TOTALS(field, list, labels, key) put_list(&t, c->field, LIST_##list, COUNT_##list, labels, #key);
#define GAUGE(field, labels) TOTAL(field, labels)
#define GAUGES(field, list, labels, key) TOTALS(field, list, labels, key)
#define HISTOGRAM(field, sum_ms) put_histogram(&t, c->field, c->sum_ms);
#define FACT(name, labels) put_fact(&t, labels, f->name);
#define SOURCE(function) put_##function(&t, f);
#include <nonos/metrics.def>
}
