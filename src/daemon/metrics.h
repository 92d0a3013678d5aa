/*
 * Prometheus text (exposition format 0.0.4) of what metrics.def lists. Pure:
 * facts in, text out; keeper_metrics() in keeper_metrics.c collects the facts.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/directory.h>
#include <nonos/relay.h>

#include "sandbox.h"

struct evbuffer;

enum { METRICS_WORKERS_MAX = 64, METRICS_AUTHORITIES_MAX = 16, METRICS_LABEL_CAP = 128, METRICS_VERSION_CAP = 48 };

/* A fact that is not known. */
#define METRICS_NONE INT64_MIN

/* The first is the keeper; with --one-process there is no other. */
struct metrics_process {
	uint64_t resident_bytes, open_files, cpu_us;
	unsigned restarts;
	bool ready;
	struct sandbox_state sandbox;
};

/* The metric whose samples are being written. */
struct metrics_text {
	struct evbuffer *out;
	const char *name;
};

struct metrics_facts {
	const char *version, *openssl, *libevent;
	const char *const *states;	/* all there are, NULL-terminated */
	const char *state;
	struct metrics_process keeper, workers[METRICS_WORKERS_MAX];
	size_t n_workers;
	bool one_process;		/* the workers are inside the keeper */
	struct relay_counters counters;
	struct consensus_status consensus;
	struct authority_status authorities[METRICS_AUTHORITIES_MAX];
	size_t n_authorities;
	/* One for each FACT row of metrics.def. */
#define FACT(name, labels) int64_t name;
#include <nonos/metrics.def>
};

/* All empty, and no FACT known. */
void metrics_facts_init(struct metrics_facts *f);

/* Append the whole text. */
void metrics_format(struct evbuffer *out, const struct metrics_facts *f);

/*
 * A label's value between its quotes: backslash, quote and newline escaped, other
 * control characters and what is not ASCII replaced, cut to fit. Returns `out`.
 */
const char *metrics_label(char *out, size_t cap, const char *text);

#endif
