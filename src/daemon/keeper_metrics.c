/* The facts that metrics are made of, and the server that tells them. */
#include "config.h"

#include "keeper.h"

#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>

#include <nonos/clock.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "metrics.h"
#include "metrics_server.h"
#include "process.h"

static const char *const states[] = { "starting", "running", "draining", "stopping", NULL };

static void collect_processes(struct keeper *k, struct metrics_facts *f)
{
	int fd = process_files_open();

	f->keeper = (struct metrics_process){
		.resident_bytes = process_memory(), .cpu_us = process_cpu_us(),
		.open_files = process_open_files(fd),
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
		};
	}
}

static void format(void *arg, struct evbuffer *out)
{
	struct metrics_facts *f = mem_new(sizeof(*f));
	struct keeper *k = arg;

	f->version = PACKAGE_VERSION;
	f->states = states;
	f->state = keeper_state_str(k->state);
	f->now = clock_wall();
	f->started = f->now - (int64_t)((clock_now_ms() - k->started_ms) / 1000);
	f->reachable = k->reached;
	collect_processes(k, f);
	team_counters(k->team, &f->counters);
	f->max_memory = config_max_memory(k->config);
	if (k->directory) {
		directory_consensus(k->directory, &f->consensus);
		f->n_authorities = directory_status(k->directory, f->authorities, METRICS_AUTHORITIES_MAX);
	}
	f->signing_expires = keys_signing_expires(k->keys);
	f->onion_rotates = keys_onion_rotates(k->keys);
	metrics_format(out, f);
	free(f);
}

/* A socket that nobody asked for must not keep a relay from starting. */
int keeper_metrics_start(struct keeper *k, char *err, size_t err_cap)
{
	const struct config *c = k->config;
	char *path = config_metrics_socket(c);
	struct metrics_place place = {
		.addrs = c->metrics_listen.v, .n_addrs = c->metrics_listen.n,
		.path = path, .mode = (mode_t)c->metrics_socket_mode,
	};
	int r = 0;

	if (c->metrics)
		r = metrics_server_new(&k->metrics, k->base, &place, format, k, err, err_cap);
	if (r < 0 && !c->metrics_socket && !c->metrics_listen.n) {
		log_warn("%s The relay goes on without; \"metrics_socket\" in section [node] says where else, "
			 "\"metrics = no\" that none are wanted.", err);
		r = 0;
	}
	free(path);
	return r;
}
