/* What the keeper sends its workers, and each worker's share of the limits. */
#include "config.h"

#include "keeper.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/log.h>
#include <nonos/rand.h>

enum {
	LINK_RENEW_MIN_S = 12 * 3600,
	LINK_RENEW_SPREAD_S = 12 * 3600,
	KEEPER_MEMORY_MIN = 32 << 20,
	KEEPER_MEMORY_MAX = 512 << 20,
};

/* To one worker, or to all when `index` is this. */
enum { EVERYBODY = -1 };

static void send_to(struct keeper *k, int index, enum message_type type, const struct wr *body, int fd)
{
	if (body && wr_done(body) < 0)
		log_error("A message to a worker does not fit. type=%d", (int)type);
	else if (index == EVERYBODY)
		team_send_all(k->team, type, body ? body->start : NULL, body ? wr_len(body) : 0, fd);
	else
		team_send(k->team, (unsigned)index, type, body ? body->start : NULL, body ? wr_len(body) : 0, fd);
}

/* -- limits ------------------------------------------------------------------ */

static uint32_t share_of(uint32_t total, unsigned n)
{
	return total / n ? total / n : 1;
}

/*
 * The links of one address spread over the workers by chance: a worker allows
 * twice its even share, so that an honest peer seldom meets a limit early.
 */
static uint32_t loose_share_of(uint32_t total, unsigned n)
{
	uint64_t share = (2 * (uint64_t)total + n - 1) / n;

	return share < total ? (uint32_t)share : total;
}

static uint64_t worker_memory(const struct config *c, unsigned n)
{
	uint64_t total = config_max_memory(c), own = total / 8;

	own = own < KEEPER_MEMORY_MIN ? KEEPER_MEMORY_MIN : own > KEEPER_MEMORY_MAX ? KEEPER_MEMORY_MAX : own;
	return (total - own) / n;
}

/* One worker's share of the limits, which are per daemon. */
static void share_limits(struct relay_limits *ret, const struct config *c, unsigned n)
{
	*ret = (struct relay_limits){
		.bandwidth_rate = c->bandwidth_rate / n,
		.bandwidth_burst = config_burst(c) / n,
		.max_memory = worker_memory(c, n),
		.links_per_addr = loose_share_of(c->links_per_address, n),
		.link_rate = loose_share_of(c->link_rate, n),
		.link_burst = loose_share_of(c->link_burst, n),
		.links_total = share_of(c->links_total, n),
		.circuits_per_link = c->circuits_per_link,
		.create_rate = loose_share_of(c->create_rate, n),
		.create_burst = loose_share_of(c->create_burst, n),
		.handshake_queue = c->handshake_queue,
		.cells_per_circuit = c->cells_per_circuit,
		.streams_per_circuit = c->streams_per_circuit,
	};
}

/* -- one message each ----------------------------------------------------------- */

static void feed_log(struct keeper *k, int index)
{
	struct message_log m = {
		.level = (uint8_t)k->config->log_level, .target = (uint8_t)k->config->log_target,
		.redact = k->config->log_redact,
	};
	uint8_t buf[8];
	struct wr body = wr_init(buf, sizeof(buf));

	message_log_write(&body, &m);
	send_to(k, index, MSG_LOG, &body, -1);
}

/* What all workers have together: two processes carry what one may. */
static void whole_rate(const struct keeper *k, uint64_t *ret_rate, uint64_t *ret_burst)
{
	config_rate(ret_rate, ret_burst, k->config, clock_wall());
	if (k->overlap || k->moved) {
		*ret_rate /= 2;
		*ret_burst /= 2;
	}
}

/* The part of one worker: of the rate as it was divided last, of the burst in proportion. */
static void part_of(const struct keeper *k, unsigned index, uint64_t *ret_rate, uint64_t *ret_burst)
{
	uint64_t rate, burst;

	whole_rate(k, &rate, &burst);
	*ret_rate = *ret_burst = 0;
	if (rate == 0)
		return;
	*ret_rate = k->shares[index].rate ? k->shares[index].rate : rate / team_size(k->team) + 1;
	*ret_burst = (uint64_t)((unsigned __int128)burst * *ret_rate / rate);
}

void keeper_share_rate(struct keeper *k)
{
	uint64_t rate, burst, before[SHARE_WORKERS_MAX];
	unsigned n = team_size(k->team);

	whole_rate(k, &rate, &burst);
	for (unsigned i = 0; i < n; i++) {
		struct member_status m;

		team_status(k->team, i, &m);
		before[i] = k->shares[i].rate;
		share_used(&k->shares[i], m.counters->read_bytes > m.counters->written_bytes ? m.counters->read_bytes
			   : m.counters->written_bytes);
	}
	if (rate == 0)
		return;
	shares_divide(k->shares, n, rate);
	for (unsigned i = 0; i < n; i++) {
		uint8_t buf[16];
		struct wr body = wr_init(buf, sizeof(buf));
		uint64_t part, part_burst;

		if (before[i] == k->shares[i].rate)
			continue;
		part_of(k, i, &part, &part_burst);
		wr_u64(&body, part);
		wr_u64(&body, part_burst);
		send_to(k, (int)i, MSG_RATE, &body, -1);
	}
}

static void feed_config_one(struct keeper *k, unsigned index)
{
	const struct config *c = k->config;
	struct relay_config rc = {
		.advertised_v4 = k->v4, .advertised_v6 = k->v6,
		.allow_private = c->allow_private_addresses, .dir_cache = c->dir_cache,
		.exit_policy = c->exit_policy, .resolv_conf = c->resolv_conf,
	};
	uint8_t buf[FRAME_PAYLOAD_MAX];
	struct wr body = wr_init(buf, sizeof(buf));

	share_limits(&rc.limits, c, team_size(k->team));
	part_of(k, index, &rc.limits.bandwidth_rate, &rc.limits.bandwidth_burst);
	message_config_write(&body, &rc);
	send_to(k, (int)index, MSG_CONFIG, &body, -1);
}

static void feed_config(struct keeper *k, int index)
{
	uint64_t rate, burst;

	if (index != EVERYBODY) {
		feed_config_one(k, (unsigned)index);
		return;
	}
	/* The whole may be another than the parts add up to. */
	whole_rate(k, &rate, &burst);
	if (rate)
		shares_divide(k->shares, team_size(k->team), rate);
	for (unsigned i = 0; i < team_size(k->team); i++)
		feed_config_one(k, i);
}

static void feed_link_keys(struct keeper *k, int index)
{
	uint8_t buf[FRAME_PAYLOAD_MAX];
	struct wr body = wr_init(buf, sizeof(buf));

	message_link_keys_write(&body, (const struct link_keys *)secret_data(k->link));
	send_to(k, index, MSG_LINK_KEYS, &body, -1);
	secret_wipe(buf, sizeof(buf));
}

static void feed_onion_keys(struct keeper *k, int index)
{
	struct onion_keys onion;
	uint8_t buf[128];
	struct wr body = wr_init(buf, sizeof(buf));

	keys_onion(&onion, k->keys);
	message_onion_keys_write(&body, &onion);
	send_to(k, index, MSG_ONION_KEYS, &body, -1);
	secret_wipe(&onion, sizeof(onion));
	secret_wipe(buf, sizeof(buf));
}

static void feed_params(struct keeper *k, int index)
{
	uint8_t buf[256];
	struct wr body = wr_init(buf, sizeof(buf));

	message_params_write(&body, &k->params);
	send_to(k, index, MSG_PARAMS, &body, -1);
}

static void feed_document(struct keeper *k, int index, enum dir_doc kind)
{
	uint8_t buf[1];
	struct wr body = wr_init(buf, sizeof(buf));

	wr_u8(&body, (uint8_t)kind);
	send_to(k, index, MSG_DOCUMENT, &body, k->documents[kind]);
}

/* The last one says that no more follow, and the worker answers READY. */
static void feed_listeners(struct keeper *k, unsigned index)
{
	int *fds;
	size_t n = listeners_of(&fds, &k->listeners, index, team_size(k->team));

	for (size_t i = 0; i < n; i++) {
		uint8_t more = i + 1 < n;

		team_send(k->team, index, MSG_LISTEN, &more, 1, fds[i]);
	}
	free(fds);
}

void keeper_open_listeners(struct keeper *k)
{
	for (unsigned i = 0; i < team_size(k->team); i++)
		feed_listeners(k, i);
}

void keeper_greet(void *arg, unsigned index)
{
	struct keeper *k = arg;
	int i = (int)index;

	if (!k->link)
		return;
	feed_log(k, i);
	feed_config(k, i);
	if (k->config->sandbox && !k->one_process)
		send_to(k, i, MSG_CONFINE, NULL, -1);
	feed_link_keys(k, i);
	feed_onion_keys(k, i);
	if (k->have_params)
		feed_params(k, i);
	if (k->withdrawn != RELAY_DRAIN_NONE) {
		uint8_t how = (uint8_t)k->withdrawn;

		team_send(k->team, index, MSG_DRAIN, &how, 1, -1);
	}
	for (int kind = 1; kind < DIR_DOC_KINDS; kind++)
		if (k->documents[kind] >= 0)
			feed_document(k, i, (enum dir_doc)kind);
	if (k->taking)
		send_to(k, i, MSG_WAIT, NULL, -1);
	else
		feed_listeners(k, index);
}

void keeper_feed_log(struct keeper *k)
{
	feed_log(k, EVERYBODY);
}

void keeper_feed_config(struct keeper *k)
{
	feed_config(k, EVERYBODY);
}

void keeper_feed_onion_keys(struct keeper *k)
{
	feed_onion_keys(k, EVERYBODY);
}

void keeper_feed_params(struct keeper *k)
{
	feed_params(k, EVERYBODY);
}

void keeper_feed_document(struct keeper *k, enum dir_doc kind)
{
	feed_document(k, EVERYBODY, kind);
}

int keeper_renew_link(struct keeper *k)
{
	struct secret *fresh = secret_new(NULL, sizeof(struct link_keys));
	int r = keys_make_link((struct link_keys *)secret_data_mut(fresh), k->keys, clock_wall());

	if (r < 0) {
		secret_free(fresh);
		return r;
	}
	secret_free(k->link);
	k->link = fresh;
	/* At a time an observer cannot foretell. */
	k->link_renew_ms = clock_now_ms() + 1000 * (uint64_t)(LINK_RENEW_MIN_S + rand_below(LINK_RENEW_SPREAD_S));
	feed_link_keys(k, EVERYBODY);
	return 0;
}
