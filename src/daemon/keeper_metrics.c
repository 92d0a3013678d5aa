/* The facts that metrics are made of, and the server that tells them. */
#include "config.h"

#include "keeper.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/process.h>

#include "http_server.h"
#include "metrics.h"

static const char *const states[] = { "starting", "running", "draining", "stopping", NULL };

static void collect_processes(struct keeper *k, struct metrics_facts *f)
{
	int fd = process_files_open();

	f->keeper = (struct metrics_process){
		.resident_bytes = process_memory(), .cpu_us = process_cpu_us(),
		.open_files = process_open_files(fd), .sandbox = k->sandbox,
	};
	if (fd >= 0)
		close(fd);
	f->one_process = k->one_process;
	for (unsigned i = 0; i < team_size(k->team) && i < METRICS_WORKERS_MAX; i++) {
		struct member_status m;

		team_status(k->team, i, &m);
		f->workers[f->n_workers++] = (struct metrics_process){
			.resident_bytes = m.counters->memory_bytes, .open_files = m.counters->open_files,
			.cpu_us = m.cpu_us, .restarts = m.restarts, .ready = m.state == MEMBER_READY,
			.sandbox = m.sandbox,
		};
	}
	keeper_counters(k, &f->counters);
}

static void collect_consensus(struct keeper *k, struct metrics_facts *f)
{
	struct consensus_status *c = &f->consensus;

	if (!k->directory)
		return;
	f->n_authorities = directory_status(k->directory, f->authorities, METRICS_AUTHORITIES_MAX);
	directory_consensus(k->directory, c);
	if (!c->valid_after)
		return;
	f->consensus_valid_after = c->valid_after;
	f->consensus_age = clock_wall() - c->valid_after;
	f->consensus_valid_until = c->valid_until;
	f->consensus_relays = c->n_relays;
	if (c->listed)
		f->weight = (int64_t)c->weight;
	if (k->config->dir_cache) {
		f->microdescs_held = c->n_microdescs;
		f->microdescs_missing = c->n_microdescs_missing;
	}
}

static void collect_limits(struct keeper *k, struct metrics_facts *f)
{
	const struct config *c = k->config;

	f->memory_limit = (int64_t)config_max_memory(c);
	f->links_limit = c->links_total;
	f->files_limit = (int64_t)process_files_limit();
	if (k->rate)
		f->bandwidth_rate = (int64_t)k->rate;
}

/* Each FACT row of metrics.def gets its value here or above. */
static void collect(struct keeper *k, struct metrics_facts *f)
{
	metrics_facts_init(f);
	f->version = PACKAGE_VERSION;
	f->openssl = crypto_version();
	f->libevent = event_get_version();
	f->states = states;
	f->state = keeper_state_str(k->state);
	f->started = clock_wall() - (int64_t)((clock_now_ms() - k->started_ms) / 1000);
	f->reachable = k->reached;
	f->weight = 0;
	collect_processes(k, f);
	collect_consensus(k, f);
	collect_limits(k, f);
	f->listed = f->consensus.listed;
	if (k->keys) {
		f->signing_expires = keys_signing_expires(k->keys);
		f->master_offline = keys_master_is_offline(k->keys);
		f->onion_rotates = keys_onion_rotates(k->keys);
	}
}

static void collect_ledger(struct keeper *k, struct metrics_facts *f)
{
	struct settle_numbers n;

	if (!k->settle || !settle_numbers(k->settle, &n))
		return;
	f->ledger_problem = n.problem;
	if (n.is_open)
		f->ledger_height = (int64_t)n.height;
	if (n.has_epochs) {
		f->epochs_closed = (int64_t)n.epochs_closed;
		f->epochs_behind = (int64_t)n.epochs_behind;
	}
	if (n.follows)
		f->ledger_forked = n.forked;
}

void keeper_metrics_text(struct keeper *k, struct evbuffer *out)
{
	struct metrics_facts *f = mem_new(sizeof(*f));

	collect(k, f);
	collect_ledger(k, f);
	metrics_format(out, f);
	free(f);
}

static void on_request(void *arg, struct http_exchange *x)
{
	struct evbuffer *body = evbuffer_new();
	bool found = strcmp(x->path, "/metrics") == 0;

	if (!body)
		mem_fail();
	if (found)
		keeper_metrics_text(arg, body);
	else
		evbuffer_add_printf(body, "Metrics are at /metrics.\n");
	http_answer(x, found ? 200 : 404, found ? "text/plain; version=0.0.4; charset=utf-8" : NULL, body);
	evbuffer_free(body);
}

/* A socket that nobody asked for must not keep a relay from starting. */
int keeper_metrics_start(struct keeper *k, char *err, size_t err_cap)
{
	const struct config *c = k->config;
	char *path = config_metrics_socket(c);
	struct http_place place = {
		.name = "Metrics", .connections_max = 16, .time_s = 10,
		.addrs = c->metrics_listen.v, .n_addrs = c->metrics_listen.n,
		.path = path, .mode = (mode_t)c->metrics_socket_mode,
	};
	int r = 0;

	if (c->metrics)
		r = http_server_new(&k->metrics, k->base, &place, on_request, k, err, err_cap);
	if (r < 0 && !c->metrics_socket && !c->metrics_listen.n) {
		log_warn("%s The relay goes on without; \"metrics_socket\" in section [node] says where else, "
			 "\"metrics = no\" that none are wanted.", err);
		r = 0;
	}
	free(path);
	return r;
}
