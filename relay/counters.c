/* The words of counters in a row, and the picture of all counters at one moment. */
#include "config.h"

#include "counters.h"

#include <assert.h>

#include "handshake_queue.h"
#include "link.h"
#include "memory.h"
#include "relay_priv.h"
#include "resolve.h"

static const char *const commands[COUNT_COMMANDS] = {
	"padding", "create", "created", "relay", "destroy", "create_fast", "created_fast", "versions", "netinfo",
	"relay_early", "create2", "created2", "padding_negotiate", "vpadding", "certs", "auth_challenge",
	"authenticate", "other",
};

static const char *const handshakes[COUNT_HANDSHAKES] = { "fast", "ntor", "ntor3", "other" };

static const char *const destroys[COUNT_DESTROYS] = {
	"none", "protocol", "internal", "requested", "hibernating", "resource_limit", "connect_failed",
	"or_identity", "channel_closed", "finished", "timeout", "destroyed", "no_such_service", "other",
};

static const char *const ends[COUNT_ENDS] = {
	"none", "misc", "resolve_failed", "connect_refused", "exit_policy", "destroy", "done", "timeout",
	"no_route", "hibernating", "internal", "resource_limit", "connection_reset", "tor_protocol",
	"not_directory", "other",
};

static const char *const refusals[COUNT_REFUSALS] = {
	[REFUSED_LINKS_PER_ADDRESS] = "links_per_address", [REFUSED_LINKS_TOTAL] = "links_total",
	[REFUSED_CIRCUITS_PER_LINK] = "circuits_per_link", [REFUSED_CREATE_RATE] = "create_rate",
	[REFUSED_HANDSHAKE_QUEUE] = "handshake_queue", [REFUSED_CELLS_PER_CIRCUIT] = "cells_per_circuit",
	[REFUSED_STREAMS_PER_CIRCUIT] = "streams_per_circuit", [REFUSED_MEMORY] = "max_memory",
	[REFUSED_LINK_RATE] = "link_rate",
};

static const char *const states[COUNT_STATES] = { "connecting", "tls", "versions", "auth", "open" };
static const char *const versions[COUNT_VERSIONS] = { "4", "5" };

/* Upper ends in seconds: the bucket of n bits holds what is below 2^n ms. */
static const char *const waits[COUNT_WAITS] = {
	"0.001", "0.002", "0.004", "0.008", "0.016", "0.032", "0.064", "0.128", "0.256", "0.512", "1.024",
	"2.048", "4.096", "8.192", "16.384", "+Inf",
};

static const char *const dir_replies[COUNT_DIR_REPLIES] = { "200", "304", "400", "404", "405", "503" };

static_assert(COUNT_STATES == (int)LINK_CLOSED, "links have other states now");

const char *relay_count_name(enum count_list list, size_t i)
{
	static const char *const *const lists[COUNT_LISTS] = {
		[LIST_COMMANDS] = commands, [LIST_HANDSHAKES] = handshakes, [LIST_DESTROYS] = destroys,
		[LIST_ENDS] = ends, [LIST_REFUSALS] = refusals, [LIST_STATES] = states,
		[LIST_VERSIONS] = versions, [LIST_WAITS] = waits, [LIST_DIR_REPLIES] = dir_replies,
	};

	return lists[list][i];
}

/* -- a picture of now ------------------------------------------------------ */

static uint64_t sum(const uint64_t *v, size_t n)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += v[i];
	return total;
}

static void add_parts(struct relay_counters *c)
{
	c->cells_in = sum(c->commands_in, COUNT_COMMANDS);
	c->cells_out = sum(c->commands_out, COUNT_COMMANDS);
	c->handshakes_fast = c->handshakes_ok[0];
	c->handshakes_ntor = c->handshakes_ok[1];
	c->handshakes_ntor3 = c->handshakes_ok[2];
	c->handshakes_failed = sum(c->handshakes_bad, COUNT_HANDSHAKES);
	c->handshakes_dropped = sum(c->handshakes_lost, COUNT_HANDSHAKES);
	c->dir_requests = sum(c->dir_replies, COUNT_DIR_REPLIES);
	c->circuits_destroyed = sum(c->circuits_ended, COUNT_DESTROYS);
}

static void count_links(const struct relay *r, struct relay_counters *c)
{
	for (const struct link *l = NULL; (l = link_next(r, l));) {
		uint64_t *by_version = l->authenticated ? c->open_relays : c->open_clients;

		if (l->state == LINK_CLOSED)
			continue;
		(l->initiator ? c->links_out : c->links_in)[l->state]++;
		if (l->state == LINK_OPEN)
			by_version[l->version > 4]++;
	}
}

void relay_counters(const struct relay *r, struct relay_counters *ret)
{
	struct resolver_counts dns = { 0 };

	*ret = r->counters;
	add_parts(ret);
	count_links(r, ret);
	ret->handshakes_waiting = handshake_queue_len(r->handshakes);
	ret->links = link_count(r);
	relay_held_bytes(r, ret);
	ret->queued_bytes = ret->cell_bytes + ret->stream_bytes + ret->unsent_bytes;
	ret->memory_bytes = memory_process_bytes(r->memory);
	if (r->resolver)
		resolver_counts(r->resolver, &dns);
	ret->dns_queries = dns.queries;
	ret->dns_hits = dns.hits;
	ret->dns_not_found = dns.not_found;
	ret->dns_no_answer = dns.no_answer;
}
