/*
 * The inside of struct relay, for the files of relay/: the root object of one
 * worker. It owns everything below; links and circuits are found by id.
 */
#ifndef RELAY_RELAY_PRIV_H
#define RELAY_RELAY_PRIV_H

#include <event2/event.h>

#include <nonos/limit.h>
#include <nonos/policy.h>
#include <nonos/relay.h>
#include <nonos/tls.h>

#include "cc.h"
#include "circuit.h"
#include "counters.h"
#include "handshake.h"
#include "pool.h"

struct link_table;
struct handshake_queue;
struct resolver;
struct dirserv;
struct limiter;
struct memory;
struct link_scratch;

/* Our credentials on links; a link keeps the one it started with. */
struct link_creds {
	unsigned refs;
	struct tls_ctx *tls;
	struct link_keys keys;
};

void link_creds_unref(struct link_creds *c);		/* NULL is fine */

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
	struct handshake_queue *handshakes;
	struct limiter *limiter;
	struct resolver *resolver;
	struct dirserv *dirserv;
	struct bucket read_bucket, write_bucket;
	uint64_t read_turn, write_turn;	/* links that found them empty first, since they were filled */
	struct memory *memory;
	struct link_scratch *scratch;	/* buffers of link_io.c */
	struct circuit *circuits;	/* list by all_next */
	struct circuit *writable;	/* edges to wake, by writable_next */
	struct circuit *dead_circuits;	/* closed, freed at the end of the round */
	struct link *flush_first, *flush_last;	/* links to flush, by flush_next */
	struct link *dead_links;
	size_t links_dialled;		/* ours, on their way to LINK_OPEN */
	uint64_t next_circuit_id;
	uint64_t shown_min;		/* minute for which links were last pictured */
	enum relay_drain draining;
	bool drained;
	struct relay_counters counters;
	struct event *tick;		/* every second */
	struct event *round;		/* end-of-round work; active while there is some */
	struct event *throttle;		/* refills the buckets while links wait for them */
	struct event **listeners;
	size_t n_listeners;
	/* Start a transport for a new outgoing link; link_io_connect() outside simulations. */
	int (*dial)(struct link *l);
	/* Bring what waits on a link to its transport; link_io_flush() outside simulations. */
	void (*flush)(struct link *l);
};

/* Bytes that peers made this relay hold: cell_bytes, stream_bytes and unsent_bytes of `ret`. */
void relay_held_bytes(const struct relay *r, struct relay_counters *ret);

/* Each second (by hand in simulations): timeouts, expiry, limits. */
void relay_tick(struct relay *r);

/* Close the biggest consumers when cells alone hold too much (memory.h). */
void relay_relieve_memory(struct relay *r);

#endif
