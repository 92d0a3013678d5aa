#include "config.h"

#include "message.h"

#include <string.h>

#include <nonos/err.h>
#include <nonos/log.h>

#include "message_priv.h"

static const struct message_row rows[] = {
#define MESSAGE(label, number, dir, low, high, descriptors, flag) \
	{ #label, number, MSG_##dir, low, high, descriptors, flag },
#include <nonos/messages.def>
#undef MESSAGE
};

#define MESSAGE(name, number, direction, min, max, fds, flags) \
	_Static_assert((max) <= FRAME_PAYLOAD_MAX && (min) <= (max) && (fds) <= 1, #name);
#include <nonos/messages.def>
#undef MESSAGE

/* The sizes in the table that follow from other headers. */
_Static_assert(sizeof(struct relay_counters) == 1576, "COUNTERS in messages.def");
_Static_assert(sizeof(((struct net_params *)0)->cc) + 9 == 113, "PARAMS in messages.def");

const struct message_row *message_find(uint16_t type)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

int frame_parse(struct frame *ret, const uint8_t *buf, size_t len, enum message_direction direction,
		unsigned n_fds)
{
	struct rd r = rd_init(buf, len);
	uint32_t payload_len = rd_u32(&r);
	const struct message_row *row = message_find(rd_u16(&r));

	if (!rd_ok(&r) || rd_left(&r) != payload_len)
		return ERR_MALFORMED;
	if (!row || row->direction != direction || row->fds != n_fds)
		return ERR_MALFORMED;
	if (payload_len < row->min || payload_len > row->max)
		return ERR_MALFORMED;
	*ret = (struct frame){ .row = row, .payload = r };
	return 0;
}

void frame_header(uint8_t out[FRAME_HEADER_LEN], const struct message_row *row, uint32_t payload_len)
{
	struct wr w = wr_init(out, FRAME_HEADER_LEN);

	wr_u32(&w, payload_len);
	wr_u16(&w, row->type);
}

/* -- parts ----------------------------------------------------------------- */

void message_addr_write(struct wr *w, const struct addr *a)
{
	wr_u8(w, a->family);
	wr_u16(w, a->port);
	wr_bytes(w, a->ip, sizeof(a->ip));
}

bool message_addr_read(struct addr *a, struct rd *r)
{
	a->family = rd_u8(r);
	a->port = rd_u16(r);
	rd_copy(r, a->ip, sizeof(a->ip));
	return a->family == ADDR_NONE || a->family == ADDR_V4 || a->family == ADDR_V6;
}

static void text_write(struct wr *w, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	wr_u16(w, (uint16_t)len);
	wr_bytes(w, text, len);
}

static bool text_read(char *out, size_t max, struct rd *r)
{
	size_t len = rd_u16(r);
	const uint8_t *p = rd_take(r, len);

	if (!p || len > max || memchr(p, '\0', len))
		return false;
	memcpy(out, p, len);
	out[len] = '\0';
	return true;
}

bool message_flag_read(bool *ret, struct rd *r)
{
	uint8_t v = rd_u8(r);

	*ret = v == 1;
	return v <= 1;
}

static void blob_write(struct wr *w, const uint8_t *data, uint16_t len)
{
	wr_u16(w, len);
	wr_bytes(w, data, len);
}

static bool blob_read(uint8_t *out, size_t cap, uint16_t *ret_len, struct rd *r)
{
	uint16_t len = rd_u16(r);

	if (len > cap)
		return false;
	rd_copy(r, out, len);
	*ret_len = len;
	return true;
}

/* -- contents -------------------------------------------------------------- */

void message_log_write(struct wr *w, const struct message_log *m)
{
	wr_u8(w, m->level);
	wr_u8(w, m->target);
	wr_u8(w, m->redact);
}

int message_log_read(struct message_log *ret, struct rd *r)
{
	struct message_log m = { .level = rd_u8(r), .target = rd_u8(r) };

	if (!message_flag_read(&m.redact, r) || m.level > LOG_LEVEL_DEBUG || m.target > LOG_TO_SYSLOG ||
	    rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret = m;
	return 0;
}

static void limits_write(struct wr *w, const struct relay_limits *l)
{
	wr_u64(w, l->bandwidth_rate);
	wr_u64(w, l->bandwidth_burst);
	wr_u64(w, l->max_memory);
	wr_u32(w, l->links_per_addr);
	wr_u32(w, l->link_rate);
	wr_u32(w, l->link_burst);
	wr_u32(w, l->links_total);
	wr_u32(w, l->circuits_per_link);
	wr_u32(w, l->create_rate);
	wr_u32(w, l->create_burst);
	wr_u32(w, l->handshake_queue);
	wr_u32(w, l->cells_per_circuit);
	wr_u32(w, l->streams_per_circuit);
}

static void limits_read(struct relay_limits *l, struct rd *r)
{
	l->bandwidth_rate = rd_u64(r);
	l->bandwidth_burst = rd_u64(r);
	l->max_memory = rd_u64(r);
	l->links_per_addr = rd_u32(r);
	l->link_rate = rd_u32(r);
	l->link_burst = rd_u32(r);
	l->links_total = rd_u32(r);
	l->circuits_per_link = rd_u32(r);
	l->create_rate = rd_u32(r);
	l->create_burst = rd_u32(r);
	l->handshake_queue = rd_u32(r);
	l->cells_per_circuit = rd_u32(r);
	l->streams_per_circuit = rd_u32(r);
}

void message_config_write(struct wr *w, const struct relay_config *c)
{
	message_addr_write(w, &c->advertised_v4);
	message_addr_write(w, &c->advertised_v6);
	wr_u8(w, c->allow_private);
	wr_u8(w, c->dir_cache);
	limits_write(w, &c->limits);
	text_write(w, c->exit_policy);
	text_write(w, c->resolv_conf);
}

int message_config_read(struct relay_config *ret, struct message_config_text *text, struct rd *r)
{
	struct relay_config c = { 0 };

	if (!message_addr_read(&c.advertised_v4, r) || !message_addr_read(&c.advertised_v6, r) ||
	    !message_flag_read(&c.allow_private, r) || !message_flag_read(&c.dir_cache, r))
		return ERR_MALFORMED;
	limits_read(&c.limits, r);
	if (!text_read(text->exit_policy, CONFIG_POLICY_MAX, r) ||
	    !text_read(text->resolv_conf, CONFIG_PATH_MAX, r) || rd_done(r) < 0)
		return ERR_MALFORMED;
	c.exit_policy = text->exit_policy;
	c.resolv_conf = text->resolv_conf[0] ? text->resolv_conf : NULL;
	*ret = c;
	return 0;
}

void message_link_keys_write(struct wr *w, const struct link_keys *k)
{
	wr_bytes(w, k->rsa_id, sizeof(k->rsa_id));
	wr_bytes(w, k->rsa_id_sha256, sizeof(k->rsa_id_sha256));
	wr_bytes(w, k->ed_id, sizeof(k->ed_id));
	wr_bytes(w, k->auth_public, sizeof(k->auth_public));
	wr_bytes(w, k->auth_secret, sizeof(k->auth_secret));
	blob_write(w, k->tls_key, k->tls_key_len);
	blob_write(w, k->tls_cert, k->tls_cert_len);
	blob_write(w, k->responder_certs, k->responder_certs_len);
	blob_write(w, k->initiator_certs, k->initiator_certs_len);
}

int message_link_keys_read(struct link_keys *ret, struct rd *r)
{
	struct link_keys *k = ret;

	memset(k, 0, sizeof(*k));
	rd_copy(r, k->rsa_id, sizeof(k->rsa_id));
	rd_copy(r, k->rsa_id_sha256, sizeof(k->rsa_id_sha256));
	rd_copy(r, k->ed_id, sizeof(k->ed_id));
	rd_copy(r, k->auth_public, sizeof(k->auth_public));
	rd_copy(r, k->auth_secret, sizeof(k->auth_secret));
	if (!blob_read(k->tls_key, sizeof(k->tls_key), &k->tls_key_len, r) ||
	    !blob_read(k->tls_cert, sizeof(k->tls_cert), &k->tls_cert_len, r) ||
	    !blob_read(k->responder_certs, sizeof(k->responder_certs), &k->responder_certs_len, r) ||
	    !blob_read(k->initiator_certs, sizeof(k->initiator_certs), &k->initiator_certs_len, r))
		return ERR_MALFORMED;
	return rd_done(r);
}

void message_onion_keys_write(struct wr *w, const struct onion_keys *k)
{
	wr_u8(w, k->count);
	for (size_t i = 0; i < k->count && i < 2; i++)
		wr_bytes(w, k->secret[i], sizeof(k->secret[i]));
}

int message_onion_keys_read(struct onion_keys *ret, struct rd *r)
{
	struct onion_keys *k = ret;

	memset(k, 0, sizeof(*k));
	k->count = rd_u8(r);
	if (k->count < 1 || k->count > 2)
		return ERR_MALFORMED;
	for (size_t i = 0; i < k->count; i++)
		rd_copy(r, k->secret[i], sizeof(k->secret[i]));
	return rd_done(r);
}

enum { PARAMS_CC_COUNT = sizeof(((struct net_params *)0)->cc) / sizeof(uint32_t) };

void message_params_write(struct wr *w, const struct net_params *p)
{
	wr_u32(w, p->circ_max_cell_queue_size);
	wr_u16(w, p->nf_ito_low);
	wr_u16(w, p->nf_ito_high);
	wr_u8(w, p->cc_enabled);
	for (size_t i = 0; i < PARAMS_CC_COUNT; i++)
		wr_u32(w, p->cc[i]);
}

int message_params_read(struct net_params *ret, struct rd *r)
{
	struct net_params p = { .circ_max_cell_queue_size = rd_u32(r) };

	p.nf_ito_low = rd_u16(r);
	p.nf_ito_high = rd_u16(r);
	if (!message_flag_read(&p.cc_enabled, r))
		return ERR_MALFORMED;
	for (size_t i = 0; i < PARAMS_CC_COUNT; i++)
		p.cc[i] = rd_u32(r);
	if (rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret = p;
	return 0;
}

static void numbers_write(struct wr *w, const void *from, size_t n)
{
	const uint64_t *v = from;

	for (size_t i = 0; i < n; i++)
		wr_u64(w, v[i]);
}

static void numbers_read(void *to, size_t n, struct rd *r)
{
	uint64_t *v = to;

	for (size_t i = 0; i < n; i++)
		v[i] = rd_u64(r);
}

void message_counters_write(struct wr *w, const struct relay_counters *c)
{
#define FIELD(field, n, is_total) numbers_write(w, &c->field, n);
#include <nonos/metrics.def>
}

int message_counters_read(struct relay_counters *ret, struct rd *r)
{
	struct relay_counters c;

#define FIELD(field, n, is_total) numbers_read(&c.field, n, r);
#include <nonos/metrics.def>
	if (rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret = c;
	return 0;
}

void message_seen_write(struct wr *w, const struct message_seen *m)
{
	message_addr_write(w, &m->ours);
	wr_bytes(w, m->peer_rsa_id, sizeof(m->peer_rsa_id));
}

int message_seen_read(struct message_seen *ret, struct rd *r)
{
	struct message_seen m;

	if (!message_addr_read(&m.ours, r) || m.ours.family == ADDR_NONE)
		return ERR_MALFORMED;
	rd_copy(r, m.peer_rsa_id, sizeof(m.peer_rsa_id));
	if (rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret = m;
	return 0;
}

void message_skew_write(struct wr *w, const struct message_skew *m)
{
	wr_u64(w, (uint64_t)m->skew_s);
	wr_bytes(w, m->peer_rsa_id, sizeof(m->peer_rsa_id));
}

int message_skew_read(struct message_skew *ret, struct rd *r)
{
	struct message_skew m = { .skew_s = (int64_t)rd_u64(r) };

	rd_copy(r, m.peer_rsa_id, sizeof(m.peer_rsa_id));
	if (rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret = m;
	return 0;
}

void message_confined_write(struct wr *w, const struct sandbox_state *m)
{
	wr_u8(w, m->no_new_privs);
	wr_u8(w, m->landlock);
	wr_u8(w, m->seccomp);
}

int message_confined_read(struct sandbox_state *ret, struct rd *r)
{
	struct sandbox_state m;

	if (!message_flag_read(&m.no_new_privs, r))
		return ERR_MALFORMED;
	m.landlock = rd_u8(r);
	if (!message_flag_read(&m.seccomp, r) || rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret = m;
	return 0;
}

int message_drain_read(enum relay_drain *ret, struct rd *r)
{
	uint8_t how = rd_u8(r);

	if (rd_done(r) < 0 || how > RELAY_DRAIN_MOVED)
		return ERR_MALFORMED;
	*ret = (enum relay_drain)how;
	return 0;
}
