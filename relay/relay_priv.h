/*
 * The inside of struct relay, for the files of relay/: the root object of one
 * worker. It owns everything below; links and circuits are found by id.
 */
#ifndef RELAY_RELAY_PRIV_H
#define RELAY_RELAY_PRIV_H

#include <event2/event.h>

#include <nonos/policy.h>
#include <nonos/relay.h>
#include <nonos/tls.h>

#include "cc.h"
#include "circuit.h"
#include "handshake.h"
#include "pool.h"

struct link_table;
struct handshake_queue;
struct resolver;
struct dirserv;
struct limiter;
struct sched;

/* Our credentials on links; a link keeps the one it started with. */
struct link_creds {
	unsigned refs;
	struct tls_ctx *tls;
	struct link_keys keys;
};

struct relay {
	struct event_base *base;
	struct relay_hooks hooks;
	struct relay_config config;	/* exit_policy and resolv_conf are owned copies */
	struct policy *policy;		/* exit policy in force, private and own addresses rejected */
	struct net_params params;
	struct cc_params cc_params;
	struct link_creds *creds;	/* NULL until the first relay_set_link_keys() */
	struct handshake_keys hs_keys;
	struct pool *pool;
	struct link_table *links;
	struct sched *sched;
	struct handshake_queue *handshakes;
	struct limiter *limiter;
	struct resolver *resolver;
	struct dirserv *dirserv;
	struct circuit *circuits;	/* list by all_next */
	struct circuit *dead;		/* closed, to be freed at the end of the round */
	uint64_t next_circuit_id;
	bool draining;
	struct relay_counters counters;
	struct event *tick;		/* every second */
	struct event *reap;		/* end-of-round work */
	struct evconnlistener **listeners;
	size_t n_listeners;
};

#endif
