#include "config.h"

#include "sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <nonos/bytes.h>
#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "../../relay/circuit.h"
#include "../../relay/linkspec.h"
#include "../../relay/relay_priv.h"
#include "../../relay/sched.h"

enum { CLIENT_CIRC_ID = 0x80000001, WIRE_CAP = 4 << 20 };

/* One direction: what `from` sends, on its way to `to`, or to a client when that is NULL. */
struct sim_wire {
	struct sim_wire *next;
	struct link *from;
	uint64_t to_id;
	struct relay *to;
	struct sim *sim;
	uint8_t *bytes;
	size_t len;
	bool opening;
};

static struct sim *current;	/* relays have no pointer back to their simulation */

static struct sim_wire *wire_add(struct sim *s, struct link *from, struct link *to)
{
	struct sim_wire *w = mem_new(sizeof(*w));

	w->from = from;
	w->to = to ? to->relay : NULL;
	w->to_id = to ? to->id : 0;
	w->sim = s;
	w->bytes = mem_new(WIRE_CAP);
	w->next = s->wires;
	s->wires = w;
	return w;
}

static struct sim_wire *wire_of(const struct link *l)
{
	for (struct sim_wire *w = current->wires; w; w = w->next)
		if (w->from == l)
			return w;
	return NULL;
}

static void sim_flush(struct link *l)
{
	struct sim_wire *w = wire_of(l);
	size_t n;

	if (!w)
		return;
	l->active_ms = clock_now_ms();
	while (w->len + CELLS_PER_RECORD * CELL_LEN <= WIRE_CAP &&
	       (n = sched_fill(l, w->bytes + w->len, CELLS_PER_RECORD)))
		w->len += n * CELL_LEN;
}

static int sim_dial(struct link *l)
{
	for (size_t i = 0; i < SIM_NODES; i++) {
		struct sim_node *n = &current->node[i];
		struct link *other;

		if (n->addr.port != l->peer.port)
			continue;
		if (current->hold_links)
			return 0;
		other = link_new(n->relay, false, &n->addr);
		wire_add(current, l, other)->opening = true;
		wire_add(current, other, l)->opening = true;
		return 0;
	}
	return ERR_NETWORK;
}

static void open_link(struct link *l, const struct sim_node *peer)
{
	if (l->state == LINK_CONNECTING)
		link_set_state(l, LINK_CONNECTING, LINK_TLS, "simulated");
	link_set_state(l, LINK_TLS, LINK_VERSIONS, "simulated");
	link_set_state(l, LINK_VERSIONS, LINK_AUTH, "simulated");
	l->version = 5;
	if (peer) {
		memcpy(l->peer_id.rsa_id, peer->keys.rsa_id, 20);
		memcpy(l->peer_id.ed_id, peer->keys.ed_id, 32);
		l->authenticated = l->canonical = true;
	}
	link_opened(l);
}

static struct sim_node *node_of(struct sim *s, const struct relay *r)
{
	for (size_t i = 0; i < SIM_NODES; i++)
		if (s->node[i].relay == r)
			return &s->node[i];
	return NULL;
}

static bool deliver(struct sim *s, struct sim_wire *w)
{
	struct link *to = w->to ? link_by_id(w->to, w->to_id) : NULL;
	size_t used;

	if (w->opening) {
		w->opening = false;
		open_link(w->from, node_of(s, w->to));
		return true;
	}
	if (!w->to || !w->len)
		return false;
	used = to ? link_open_cells(to, w->bytes, w->len) : w->len;
	memmove(w->bytes, w->bytes + used, w->len - used);
	w->len -= used;
	return used > 0;
}

/* Forget wires of links that are gone, before their memory is used again. */
static void sweep(struct sim *s)
{
	for (struct sim_wire **p = &s->wires; *p;) {
		struct sim_wire *w = *p;

		if (w->from && w->from->state != LINK_CLOSED) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		free(w->bytes);
		free(w);
	}
}

void sim_settle(struct sim *s)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < SIM_NODES; i++) {
			struct relay *r = s->node[i].relay;

			moved |= r->flush_first || r->writable;
			sweep(s);
			sched_round(r);
		}
		for (struct sim_wire *w = s->wires; w; w = w->next)
			moved |= deliver(s, w);
	}
}

void sim_wait(struct sim *s, unsigned seconds)
{
	while (seconds--) {
		clock_advance_ms(1000);
		for (size_t i = 0; i < SIM_NODES; i++)
			relay_tick(s->node[i].relay);
		sim_settle(s);
	}
}

/* One certificate for all: no simulated link shows it, and an RSA key takes its time. */
static void make_tls_cert(struct link_keys *ret)
{
	static struct link_keys made;
	struct link_keys *k = &made;
	uint8_t *key, *cert;
	size_t key_len, cert_len;

	if (made.tls_key_len)
		goto out;
	assert_int_equal(x509_make_link_cert(&key, &key_len, &cert, &cert_len, clock_wall(), 86400), 0);
	assert_true(key_len <= sizeof(k->tls_key) && cert_len <= sizeof(k->tls_cert));
	memcpy(k->tls_key, key, key_len);
	memcpy(k->tls_cert, cert, cert_len);
	k->tls_key_len = (uint16_t)key_len;
	k->tls_cert_len = (uint16_t)cert_len;
	secret_wipe(key, key_len);
	free(key);
	free(cert);
out:
	memcpy(ret->tls_key, made.tls_key, sizeof(made.tls_key));
	memcpy(ret->tls_cert, made.tls_cert, sizeof(made.tls_cert));
	ret->tls_key_len = made.tls_key_len;
	ret->tls_cert_len = made.tls_cert_len;
}

static void start_node(struct sim_node *n, size_t i)
{
	struct relay_config config = {
		.allow_private = true, .dir_cache = true, .exit_policy = "reject *:*",
		.limits = {
			.max_memory = 1 << 30, .links_per_addr = 100, .links_total = 100, .circuits_per_link = 1000,
			.handshake_queue = 100, .cells_per_circuit = 3000, .streams_per_circuit = 100,
		},
	};
	struct onion_keys onion = { .count = 1 };

	memset(n, 0, sizeof(*n));
	n->addr = (struct addr){ .family = ADDR_V4, .ip = { 127, 0, 0, (uint8_t)(i + 1) }, .port = (uint16_t)(9000 + i) };
	config.advertised_v4 = n->addr;
	rand_bytes(n->keys.rsa_id, 20);
	rand_bytes(n->keys.ed_id, 32);
	make_tls_cert(&n->keys);
	x25519_keygen(n->onion_secret, n->onion_public);
	memcpy(onion.secret[0], n->onion_secret, 32);
	n->relay = relay_new(NULL, NULL);
	n->relay->dial = sim_dial;
	n->relay->flush = sim_flush;
	assert_int_equal(relay_set_config(n->relay, &config), 0);
	assert_int_equal(relay_set_link_keys(n->relay, &n->keys), 0);
	assert_int_equal(relay_set_onion_keys(n->relay, &onion), 0);
}

void sim_start(struct sim *s)
{
	assert_int_equal(crypto_init(), 0);
	clock_set_manual(1000000, 1790000000);
	memset(s, 0, sizeof(*s));
	current = s;
	for (size_t i = 0; i < SIM_NODES; i++)
		start_node(&s->node[i], i);
}

void sim_stop(struct sim *s)
{
	for (size_t i = 0; i < SIM_NODES; i++)
		relay_free(s->node[i].relay);
	while (s->wires) {
		struct sim_wire *w = s->wires;

		s->wires = w->next;
		free(w->bytes);
		free(w);
	}
	current = NULL;
}

/* -- the client ---------------------------------------------------------- */

void sim_client_open(struct sim_client *c, struct sim *s)
{
	struct addr peer = { .family = ADDR_V4, .ip = { 127, 0, 0, 99 }, .port = 40000 };

	memset(c, 0, sizeof(*c));
	c->sim = s;
	c->circ_id = CLIENT_CIRC_ID;
	c->link = link_new(s->node[0].relay, false, &peer);
	wire_add(s, c->link, NULL);
	open_link(c->link, NULL);
}

void sim_client_close(struct sim_client *c)
{
	for (size_t i = 0; i < c->hops; i++)
		onion_clear(&c->hop[i]);
	c->hops = 0;
}

void sim_client_cell(struct sim_client *c, uint8_t cmd, const uint8_t *body, size_t len)
{
	uint8_t cell[CELL_LEN] = { 0 };

	cell_put_head(cell, c->circ_id, cmd);
	memcpy(cell + CELL_HEAD_LEN, body, len);
	assert_int_equal(link_open_cells(c->link, cell, sizeof(cell)), sizeof(cell));
	sim_settle(c->sim);
}

static void open_relay_cell(struct sim_client *c, const uint8_t *body, struct sim_msg *ret)
{
	struct relay_msg m;
	uint8_t plain[CELL_BODY_LEN];

	memcpy(plain, body, sizeof(plain));
	for (size_t i = 0; i < c->hops; i++) {
		if (!onion_client_peel(&c->hop[i], plain))
			continue;
		assert_int_equal(relay_msg_parse(&m, plain), 0);
		*ret = (struct sim_msg){ .is_relay = true, .cmd = m.cmd, .stream_id = m.stream_id, .len = m.len, .hop = i };
		memcpy(ret->data, m.data, m.len);
		sha1_run_peek(&c->hop[i].backward_digest, ret->digest);
		return;
	}
	fail_msg("a cell reached the client that no hop has sent");
}

bool sim_client_recv(struct sim_client *c, struct sim_msg *ret)
{
	struct sim_wire *w = wire_of(c->link);
	uint8_t cell[CELL_LEN];
	struct rd r;
	uint32_t circ_id;
	uint8_t cmd;

	if (!w || w->len < CELL_LEN)
		return false;
	memcpy(cell, w->bytes, CELL_LEN);
	memmove(w->bytes, w->bytes + CELL_LEN, w->len - CELL_LEN);
	w->len -= CELL_LEN;
	r = rd_init(cell, CELL_LEN);
	circ_id = rd_u32(&r);
	cmd = rd_u8(&r);
	assert_int_equal(circ_id, c->circ_id);
	if (cmd == CELL_RELAY) {
		open_relay_cell(c, cell + CELL_HEAD_LEN, ret);
		return true;
	}
	*ret = (struct sim_msg){ .cmd = cmd, .len = CELL_BODY_LEN };
	memcpy(ret->data, cell + CELL_HEAD_LEN, CELL_BODY_LEN);
	if (cmd == CELL_DESTROY) {
		c->destroyed = true;
		c->destroy_reason = ret->data[0];
	}
	return true;
}

void sim_send(struct sim_client *c, size_t hop, uint8_t cmd, uint16_t stream_id, const void *data, size_t len)
{
	uint8_t body[CELL_BODY_LEN];

	relay_msg_build(body, cmd, stream_id, data, len);
	onion_client_send(&c->hop[hop], body);
	for (size_t i = hop; i-- > 0;)
		onion_client_layer(&c->hop[i], body);
	sim_client_cell(c, CELL_RELAY, body, sizeof(body));
}

void sim_send_extend2(struct sim_client *c, const struct extend_target *t, bool early)
{
	uint8_t data[RELAY_DATA_MAX], body[CELL_BODY_LEN];
	size_t len;

	assert_int_equal(extend2_build(data, sizeof(data), &len, t), 0);
	relay_msg_build(body, RELAY_EXTEND2, 0, data, len);
	onion_client_send(&c->hop[c->hops - 1], body);
	for (size_t i = c->hops - 1; i-- > 0;)
		onion_client_layer(&c->hop[i], body);
	sim_client_cell(c, early ? CELL_RELAY_EARLY : CELL_RELAY, body, sizeof(body));
}

void sim_target(const struct sim *s, size_t node, struct extend_target *ret)
{
	const struct sim_node *n = &s->node[node];

	*ret = (struct extend_target){ .v4 = n->addr, .has_rsa_id = true, .has_ed_id = true };
	memcpy(ret->rsa_id, n->keys.rsa_id, 20);
	memcpy(ret->ed_id, n->keys.ed_id, 32);
}

/* One handshake of either kind, with a node. */
struct attempt {
	uint16_t htype;
	struct ntor_client ntor;
	struct ntor3_client ntor3;
	uint8_t onion[CELL_BODY_LEN];
	size_t len;
};

static void attempt_start(struct attempt *a, const struct sim_node *n, uint16_t htype)
{
	uint8_t msg[16];
	size_t msg_len;

	a->htype = htype;
	if (htype == HANDSHAKE_NTOR) {
		ntor_client_start(&a->ntor, a->onion, n->keys.rsa_id, n->onion_public);
		a->len = NTOR_ONION_LEN;
		return;
	}
	assert_int_equal(ntor3_ext_build_request(msg, sizeof(msg), &msg_len, true), 0);
	assert_int_equal(ntor3_client_start(&a->ntor3, a->onion, sizeof(a->onion), &a->len, n->keys.ed_id,
					    n->onion_public, msg, msg_len), 0);
}

static int attempt_finish(struct sim_client *c, struct attempt *a, const uint8_t *created, size_t node)
{
	struct circuit_params params = { 0 };
	struct circuit_keys keys;
	uint8_t msg[NTOR3_MSG_MAX];
	size_t msg_len, len = (size_t)created[0] << 8 | created[1];
	int e;

	if (a->htype == HANDSHAKE_NTOR) {
		e = ntor_client_finish(&keys, &a->ntor, created + 2, len);
	} else {
		e = ntor3_client_finish(&keys, msg, sizeof(msg), &msg_len, &a->ntor3, created + 2, len);
		if (e == 0)
			e = ntor3_ext_parse_response(&params, msg, msg_len);
		c->sendme_inc = params.congestion_control ? params.sendme_inc : 0;
	}
	if (e < 0)
		return e;
	c->path[c->hops] = (uint8_t)node;
	onion_init(&c->hop[c->hops++], &keys);
	return 0;
}

int sim_create(struct sim_client *c, uint16_t htype)
{
	struct attempt a;
	struct sim_msg m;
	uint8_t body[CELL_BODY_LEN];
	struct wr w = wr_init(body, sizeof(body));

	attempt_start(&a, &c->sim->node[0], htype);
	wr_u16(&w, htype);
	wr_u16(&w, (uint16_t)a.len);
	wr_bytes(&w, a.onion, a.len);
	sim_client_cell(c, CELL_CREATE2, body, wr_len(&w));
	if (!sim_client_recv(c, &m))
		return ERR_TIMEOUT;
	return m.cmd == CELL_CREATED2 ? attempt_finish(c, &a, m.data, 0) : ERR_REFUSED;
}

int sim_extend(struct sim_client *c, size_t node, uint16_t htype)
{
	struct extend_target t;
	struct attempt a;
	struct sim_msg m;

	sim_target(c->sim, node, &t);
	attempt_start(&a, &c->sim->node[node], htype);
	t.htype = htype;
	t.hlen = (uint16_t)a.len;
	t.hdata = a.onion;
	sim_send_extend2(c, &t, true);
	if (!sim_client_recv(c, &m))
		return ERR_TIMEOUT;
	if (!m.is_relay || m.cmd != RELAY_EXTENDED2 || m.hop != c->hops - 1)
		return ERR_REFUSED;
	return attempt_finish(c, &a, m.data, node);
}
