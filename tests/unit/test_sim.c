/* Three hops without sockets, on a clock turned by hand. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <nonos/clock.h>
#include <nonos/dir_doc.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

#include "../../relay/circuit_extend.h"
#include "../../relay/linkspec.h"
#include "../../relay/handshake_queue.h"
#include "../../relay/memory.h"
#include "../../relay/relay_priv.h"
#include "../../relay/sched.h"
#include "sim.h"

static size_t circuits(const struct sim *s, size_t node)
{
	return s->node[node].relay->counters.circuits;
}

static size_t links(const struct sim *s, size_t node)
{
	return link_count(s->node[node].relay);
}

static void build(struct sim_client *c, struct sim *s, uint16_t htype)
{
	sim_client_open(c, s);
	assert_int_equal(sim_create(c, htype), 0);
	assert_int_equal(sim_extend(c, 1, htype), 0);
	assert_int_equal(sim_extend(c, 2, htype), 0);
}

static void expect_destroy(struct sim_client *c, uint8_t reason)
{
	struct sim_msg m;

	while (!c->destroyed)
		assert_true(sim_client_recv(c, &m));
	assert_int_equal(c->destroy_reason, reason);
}

static void test_three_hops(void **state)
{
	static const uint16_t types[] = { HANDSHAKE_NTOR, HANDSHAKE_NTOR3 };
	struct sim_client c;
	struct sim s;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		sim_start(&s);
		build(&c, &s, types[i]);
		assert_int_equal(c.sendme_inc, types[i] == HANDSHAKE_NTOR3 ? s.node[2].relay->cc_params.sendme_inc : 0);
		for (size_t n = 0; n < 3; n++)
			assert_int_equal(circuits(&s, n), 1);
		assert_int_equal(circuits(&s, 3), 0);
		sim_client_close(&c);
		sim_stop(&s);
	}
}

static void test_links_are_shared(void **state)
{
	struct sim_client a, b;
	struct sim s;

	(void)state;
	sim_start(&s);
	build(&a, &s, HANDSHAKE_NTOR);
	build(&b, &s, HANDSHAKE_NTOR3);
	assert_int_equal(links(&s, 0), 3);	/* two clients, one link onwards */
	assert_int_equal(links(&s, 1), 2);
	assert_int_equal(links(&s, 2), 1);
	assert_int_equal(circuits(&s, 1), 2);
	sim_client_close(&a);
	sim_client_close(&b);
	sim_stop(&s);
}

static void test_destroy_travels(void **state)
{
	uint8_t reason = DESTROY_FINISHED;
	struct sim_client c;
	struct sim s;

	(void)state;
	sim_start(&s);
	build(&c, &s, HANDSHAKE_NTOR);
	sim_client_cell(&c, CELL_DESTROY, &reason, 1);
	for (size_t n = 0; n < 3; n++)
		assert_int_equal(circuits(&s, n), 0);
	sim_client_close(&c);

	/* From the far end: a lost link tells the client, with a neutral reason from further out. */
	build(&c, &s, HANDSHAKE_NTOR);
	link_close(link_next(s.node[2].relay, NULL), "test");
	sim_settle(&s);
	assert_int_equal(circuits(&s, 2), 0);
	link_close(link_find(s.node[0].relay, s.node[1].keys.rsa_id, s.node[1].keys.ed_id), "test");
	sim_settle(&s);
	expect_destroy(&c, DESTROY_CHANNEL_CLOSED);
	assert_int_equal(circuits(&s, 0), 0);
	sim_client_close(&c);
	sim_stop(&s);
}

static void test_truncate_and_extend_again(void **state)
{
	uint8_t reason = DESTROY_NONE;
	struct sim_client c;
	struct sim_msg m;
	struct sim s;

	(void)state;
	sim_start(&s);
	build(&c, &s, HANDSHAKE_NTOR);
	sim_send(&c, 0, RELAY_TRUNCATE, 0, &reason, 1);
	assert_true(sim_client_recv(&c, &m));
	assert_true(m.is_relay && m.cmd == RELAY_TRUNCATED && m.hop == 0);
	assert_int_equal(circuits(&s, 0), 1);
	assert_int_equal(circuits(&s, 1), 0);
	assert_int_equal(circuits(&s, 2), 0);
	onion_clear(&c.hop[1]);
	onion_clear(&c.hop[2]);
	c.hops = 1;
	assert_int_equal(sim_extend(&c, 3, HANDSHAKE_NTOR3), 0);
	assert_int_equal(circuits(&s, 3), 1);
	sim_client_close(&c);
	sim_stop(&s);
}

/* An EXTEND2 that must be refused, sent by a client with one or two hops. */
static void refused(size_t hops, void (*change)(struct sim *, struct extend_target *), bool early, uint8_t reason)
{
	uint8_t onion[NTOR_ONION_LEN] = { 1 };
	struct extend_target t;
	struct sim_client c;
	struct sim s;

	sim_start(&s);
	sim_client_open(&c, &s);
	assert_int_equal(sim_create(&c, HANDSHAKE_NTOR), 0);
	if (hops == 2)
		assert_int_equal(sim_extend(&c, 1, HANDSHAKE_NTOR), 0);
	sim_target(&s, 2, &t);
	t.htype = HANDSHAKE_NTOR;
	t.hlen = sizeof(onion);
	t.hdata = onion;
	if (change)
		change(&s, &t);
	sim_send_extend2(&c, &t, early);
	expect_destroy(&c, reason);
	assert_int_equal(circuits(&s, 0), 0);
	assert_int_equal(circuits(&s, 1), 0);
	sim_client_close(&c);
	sim_stop(&s);
}

static void to_itself(struct sim *s, struct extend_target *t)
{
	sim_target(s, 1, t);
	t->htype = HANDSHAKE_NTOR;
}

static void to_previous(struct sim *s, struct extend_target *t)
{
	sim_target(s, 0, t);
	t->htype = HANDSHAKE_NTOR;
}

static void to_nobody(struct sim *s, struct extend_target *t)
{
	(void)s;
	memset(t->rsa_id, 0, sizeof(t->rsa_id));
}

static void to_dead_port(struct sim *s, struct extend_target *t)
{
	(void)s;
	t->v4.port = 1;
}

static void to_private(struct sim *s, struct extend_target *t)
{
	(void)t;
	s->node[0].relay->config.allow_private = false;
}

static void with_tap(struct sim *s, struct extend_target *t)
{
	(void)s;
	t->htype = HANDSHAKE_TAP;
}

static void test_refusals(void **state)
{
	(void)state;
	/* What the second hop refuses reaches the client as a neutral reason. */
	refused(2, to_itself, true, DESTROY_DESTROYED);
	refused(2, to_previous, true, DESTROY_DESTROYED);
	refused(1, to_nobody, true, DESTROY_PROTOCOL);
	refused(1, with_tap, true, DESTROY_PROTOCOL);
	refused(1, to_dead_port, true, DESTROY_CONNECTFAILED);
	refused(1, to_private, true, DESTROY_CONNECTFAILED);
	refused(1, NULL, false, DESTROY_PROTOCOL);	/* not in RELAY_EARLY */
	/* A handshake that the next hop refuses. */
	refused(1, NULL, true, DESTROY_DESTROYED);
}

static void test_relay_early_is_counted(void **state)
{
	struct sim_client c;
	struct sim s;
	uint8_t body[CELL_BODY_LEN];

	(void)state;
	sim_start(&s);
	build(&c, &s, HANDSHAKE_NTOR);		/* two of eight are used up */
	for (int i = 0; i < 7; i++) {
		relay_msg_build(body, RELAY_DROP, 0, NULL, 0);
		onion_client_send(&c.hop[0], body);
		assert_int_equal(circuits(&s, 0), 1);
		sim_client_cell(&c, CELL_RELAY_EARLY, body, sizeof(body));
	}
	assert_int_equal(circuits(&s, 0), 0);
	expect_destroy(&c, DESTROY_PROTOCOL);
	sim_client_close(&c);
	sim_stop(&s);
}

static void test_extend_times_out(void **state)
{
	uint8_t onion[NTOR_ONION_LEN] = { 1 };
	struct extend_target t;
	struct sim_client c;
	struct sim_msg m;
	struct sim s;

	(void)state;
	sim_start(&s);
	s.hold_links = true;
	sim_client_open(&c, &s);
	assert_int_equal(sim_create(&c, HANDSHAKE_NTOR), 0);
	sim_target(&s, 2, &t);
	t.htype = HANDSHAKE_NTOR;
	t.hlen = sizeof(onion);
	t.hdata = onion;
	sim_send_extend2(&c, &t, true);
	assert_false(sim_client_recv(&c, &m));
	sim_wait(&s, LINK_DIAL_MS / 1000 + 2);
	expect_destroy(&c, DESTROY_CONNECTFAILED);
	assert_int_equal(links(&s, 0), 1);	/* the client's */
	sim_client_close(&c);
	sim_stop(&s);
}

/* EXTEND2 to addresses where nobody answers: they fill a share of the links, then are refused. */
static void test_dead_addresses(void **state)
{
	uint8_t onion[NTOR_ONION_LEN] = { 1 };
	struct sim_client c[30];
	struct extend_target t;
	struct sim_msg m;
	struct sim s;
	size_t refused = 0;

	(void)state;
	sim_start(&s);
	s.hold_links = true;
	for (size_t i = 0; i < 30; i++) {
		sim_client_open(&c[i], &s);
		assert_int_equal(sim_create(&c[i], HANDSHAKE_NTOR), 0);
		sim_target(&s, 1, &t);
		t.rsa_id[0] = (uint8_t)(i + 1);		/* a link for each */
		t.htype = HANDSHAKE_NTOR;
		t.hlen = sizeof(onion);
		t.hdata = onion;
		sim_send_extend2(&c[i], &t, true);
		refused += sim_client_recv(&c[i], &m) && c[i].destroyed && c[i].destroy_reason == DESTROY_CONNECTFAILED;
	}
	assert_int_equal(refused, 30 - (s.node[0].relay->config.limits.links_total / 8 + 1));
	sim_wait(&s, LINK_DIAL_MS / 1000 + 2);
	assert_int_equal(links(&s, 0), 30);	/* the clients' */
	assert_int_equal(s.node[0].relay->links_dialled, 0);
	for (size_t i = 0; i < 30; i++)
		sim_client_close(&c[i]);
	sim_stop(&s);
}

static void test_bad_cells(void **state)
{
	uint8_t body[CELL_BODY_LEN];
	struct sim_client c;
	struct sim_msg m;
	struct sim s;

	(void)state;
	sim_start(&s);

	/* The client's circuit ids have the top bit. */
	sim_client_open(&c, &s);
	c.circ_id = 5;
	assert_int_equal(sim_create(&c, HANDSHAKE_NTOR), ERR_REFUSED);
	c.circ_id = 0x80000007;
	assert_int_equal(sim_create(&c, HANDSHAKE_NTOR), 0);

	/* Cells for circuits that are not there are dropped in silence. */
	rand_bytes(body, sizeof(body));
	c.circ_id = 0x80000055;
	sim_client_cell(&c, CELL_RELAY, body, sizeof(body));
	sim_client_cell(&c, CELL_DESTROY, body, sizeof(body));
	sim_client_cell(&c, CELL_CREATED2, body, sizeof(body));
	sim_client_cell(&c, CELL_PADDING, body, sizeof(body));
	sim_client_cell(&c, 77, body, sizeof(body));
	assert_false(sim_client_recv(&c, &m));

	/* TAP is answered with DESTROY. */
	sim_client_cell(&c, CELL_CREATE, body, sizeof(body));
	assert_true(sim_client_recv(&c, &m));
	assert_int_equal(m.cmd, CELL_DESTROY);

	/* A cell that nobody can read ends its circuit. */
	c.circ_id = 0x80000007;
	c.destroyed = false;
	sim_client_cell(&c, CELL_RELAY, body, sizeof(body));
	expect_destroy(&c, DESTROY_PROTOCOL);
	sim_client_close(&c);

	/* A circuit id used twice ends the circuit. */
	sim_client_open(&c, &s);
	assert_int_equal(sim_create(&c, HANDSHAKE_NTOR), 0);
	assert_int_equal(sim_create(&c, HANDSHAKE_NTOR), ERR_REFUSED);
	assert_int_equal(circuits(&s, 0), 0);
	sim_client_close(&c);

	/* A handshake cell after the handshake closes the link. */
	sim_client_open(&c, &s);
	c.circ_id = 0;
	sim_client_cell(&c, CELL_NETINFO, body, sizeof(body));
	assert_int_equal(links(&s, 0), 2);	/* those of the clients before */
	sim_client_close(&c);
	sim_stop(&s);
}

/* Cells as they come from the client, without letting anything go out between them. */
static void flood(struct sim_client *c, uint8_t cmd, size_t n)
{
	uint8_t cell[CELL_LEN] = { 0 };

	for (size_t i = 0; i < n; i++) {
		cell_put_head(cell, 0x80000100 + (uint32_t)i, cmd);
		assert_int_equal(link_open_cells(c->link, cell, sizeof(cell)), sizeof(cell));
	}
}

/* Who asks for circuits and takes no answers gets none after a while. */
static void test_refusals_are_bounded(void **state)
{
	static const uint8_t cmds[] = { CELL_CREATE, CELL_CREATE2, CELL_CREATE_FAST };
	struct sim_client c;
	struct sim s;

	(void)state;
	for (size_t i = 0; i < sizeof(cmds); i++) {
		sim_start(&s);
		s.node[0].relay->config.limits.circuits_per_link = 1;
		sim_client_open(&c, &s);
		flood(&c, cmds[i], 50000);
		assert_true(c.link->control.count <= LINK_CONTROL_MAX);
		/* Once they are taken it goes on. */
		sim_settle(&s);
		assert_int_equal(c.link->control.count, 0);
		flood(&c, CELL_CREATE, 1);
		assert_int_equal(c.link->control.count, 1);
		sim_stop(&s);
	}
}

/*
 * Too many CREATE2s wait: the longest queue loses its newest, and the rest is
 * answered. Returns how many the source with few has left.
 */
static size_t shed(void)
{
	struct relay_counters counted;
	struct addr other = { .family = ADDR_V4, .ip = { 127, 0, 0, 77 }, .port = 1 };
	struct sim_client many, few;
	struct relay *r;
	uint64_t waits = 0;
	struct sim s;
	size_t left;

	sim_start(&s);
	r = s.node[0].relay;
	sim_client_open(&many, &s);
	sim_client_open(&few, &s);
	few.link->peer = other;
	flood(&many, CELL_CREATE2, 130);
	flood(&few, CELL_CREATE2, 20);
	assert_int_equal(handshake_queue_len(r->handshakes), 100);
	relay_counters(r, &counted);
	assert_int_equal(counted.handshakes_dropped, 50);
	assert_int_equal(counted.handshakes_waiting, 100);
	left = few.link->circs.used;
	assert_int_equal(many.link->circs.used + left, 100);
	assert_non_null(circ_table_find(&many.link->circs, 0x80000100 + 79));	/* the oldest stayed */
	sim_settle(&s);		/* bodies of zeros are refused */
	assert_int_equal(handshake_queue_len(r->handshakes), 0);
	assert_int_equal(many.link->circs.used + few.link->circs.used, 0);
	relay_counters(r, &counted);
	assert_int_equal(counted.handshakes_waiting, 0);
	for (size_t i = 0; i < COUNT_WAITS; i++)
		waits += counted.handshake_waits[i];
	assert_int_equal(waits, 100);
	sim_stop(&s);
	return left;
}

static void test_handshake_queue_sheds(void **state)
{
	size_t left = 0;

	(void)state;
	/* One time in 256 the two sources share a queue. */
	for (int i = 0; i < 4 && left != 20; i++)
		left = shed();
	assert_int_equal(left, 20);
}

/* Memory runs short because of two links that answer nothing: they go, not whoever has a few cells queued. */
static void test_relief_finds_the_hoarders(void **state)
{
	uint8_t body[CELL_BODY_LEN] = { 0 };
	struct sim_client honest, hoarder[2];
	struct circuit *c;
	struct relay *r;
	struct sim s;

	(void)state;
	sim_start(&s);
	r = s.node[0].relay;
	build(&honest, &s, HANDSHAKE_NTOR);
	for (int i = 0; i < 2; i++) {
		sim_client_open(&hoarder[i], &s);
		sim_client_cell(&hoarder[i], CELL_CREATE_FAST, body, sizeof(body));
	}
	for (int i = 0; i < 2; i++)
		flood(&hoarder[i], CELL_CREATE, LINK_CONTROL_MAX);
	c = circ_table_find(&honest.link->circs, honest.circ_id)->circuit;
	for (int i = 0; i < 20; i++)
		assert_int_equal(circuit_send(c, RELAY_DROP, 0, NULL, 0, NULL), 0);
	r->config.limits.max_memory = 5 << 20;
	relay_relieve_memory(r);
	assert_true(hoarder[0].link->state == LINK_CLOSED || hoarder[1].link->state == LINK_CLOSED);
	assert_non_null(circ_table_find(&honest.link->circs, honest.circ_id));
	sim_client_close(&honest);
	sim_stop(&s);
}

/* Circuits that hold nothing take memory too: those of the link that made most of them go. */
static void test_relief_of_idle_circuits(void **state)
{
	struct sim_client honest, hoarder;
	struct relay *r;
	struct sim s;

	(void)state;
	sim_start(&s);
	r = s.node[0].relay;
	build(&honest, &s, HANDSHAKE_NTOR);
	sim_client_open(&hoarder, &s);
	flood(&hoarder, CELL_CREATE_FAST, 900);
	assert_int_equal(hoarder.link->circs.used, 900);
	for (size_t i = 0; i < 900; i++)
		sched_forget(circ_table_find(&hoarder.link->circs, 0x80000100 + (uint32_t)i));
	relay_free_bytes(r, 100000);
	assert_in_range(hoarder.link->circs.used, 1, 899);
	assert_non_null(circ_table_find(&honest.link->circs, honest.circ_id));
	sim_client_close(&honest);
	sim_stop(&s);
}

/* A relay that does not list the address it was dialled at: one link, not one for each circuit. */
static void test_link_at_the_same_address_is_shared(void **state)
{
	struct sim_client a, b;
	struct sim s;

	(void)state;
	sim_start(&s);
	sim_client_open(&a, &s);
	assert_int_equal(sim_create(&a, HANDSHAKE_NTOR), 0);
	assert_int_equal(sim_extend(&a, 1, HANDSHAKE_NTOR), 0);
	link_find(s.node[0].relay, s.node[1].keys.rsa_id, s.node[1].keys.ed_id)->canonical = false;
	sim_client_open(&b, &s);
	assert_int_equal(sim_create(&b, HANDSHAKE_NTOR), 0);
	assert_int_equal(sim_extend(&b, 1, HANDSHAKE_NTOR), 0);
	assert_int_equal(links(&s, 0), 3);
	sim_client_close(&a);
	sim_client_close(&b);
	sim_stop(&s);
}

static size_t paddings(struct sim_client *c)
{
	struct sim_msg m;
	size_t n = 0;
	uint32_t id = c->circ_id;

	c->circ_id = 0;
	while (sim_client_recv(c, &m))
		n += !m.is_relay && m.cmd == CELL_PADDING;
	c->circ_id = id;
	return n;
}

/* Link padding is for silence (padding-spec 2.2), and does not keep a link without circuits. */
static void test_link_padding(void **state)
{
	uint8_t start[CELL_BODY_LEN] = { 0, 2 }, none[CELL_BODY_LEN] = { 0 };
	struct sim_client c;
	struct sim s;
	size_t n;

	(void)state;
	sim_start(&s);
	sim_client_open(&c, &s);
	c.circ_id = 0;
	sim_client_cell(&c, CELL_PADDING_NEGOTIATE, start, sizeof(start));
	for (int i = 0; i < 60; i++) {
		sim_wait(&s, 1);
		sim_client_cell(&c, CELL_PADDING, none, sizeof(none));
	}
	assert_int_equal(paddings(&c), 0);
	sim_wait(&s, 100);
	n = paddings(&c);
	assert_in_range(n, 100 / 11, 100 / 2);
	sim_wait(&s, LINK_IDLE_MS / 1000);
	assert_int_equal(links(&s, 0), 0);
	sim_stop(&s);
}

static void give_document(struct sim *s, size_t node, const uint8_t *text, size_t len)
{
	struct dir_doc_meta meta = { .kind = DIR_DOC_CONSENSUS_MICRODESC, .valid_after = clock_wall() - 10,
				     .fresh_until = clock_wall() + 1000, .valid_until = clock_wall() + 2000 };
	struct dir_entry entry = { .key = "plain", .data = text, .len = len };
	int fd;

	assert_int_equal(dir_doc_build(&fd, &meta, &entry, 1), 0);
	assert_int_equal(relay_set_document(s->node[node].relay, DIR_DOC_CONSENSUS_MICRODESC, fd), 0);
}

/* Read a stream to its END, sending the SENDMEs that a client must send. */
static size_t read_stream(struct sim_client *c, uint8_t *out, size_t cap)
{
	unsigned inc = c->sendme_inc ? c->sendme_inc : 100, cells = 0;
	struct sim_msg m;
	size_t len = 0;

	while (sim_client_recv(c, &m)) {
		assert_true(m.is_relay && m.hop == c->hops - 1);
		if (m.cmd == RELAY_END)
			return len;
		if (m.cmd != RELAY_DATA)
			continue;
		assert_true(len + m.len <= cap);
		memcpy(out + len, m.data, m.len);
		len += m.len;
		cells++;
		if (cells % inc == 0) {
			uint8_t sendme[23] = { 1, 0, 20 };

			memcpy(sendme + 3, m.digest, 20);
			clock_advance_ms(1);
			sim_send(c, m.hop, RELAY_SENDME, 0, sendme, sizeof(sendme));
		}
		if (!c->sendme_inc && cells % 50 == 0)
			sim_send(c, m.hop, RELAY_SENDME, m.stream_id, NULL, 0);
	}
	fail_msg("the stream stopped after %zu bytes", len);
	return len;
}

static void test_directory_through_three_hops(void **state)
{
	static const uint16_t types[] = { HANDSHAKE_NTOR, HANDSHAKE_NTOR3 };
	static const char request[] = "GET /tor/status-vote/current/consensus-microdesc HTTP/1.0\r\n\r\n";
	enum { DOC_LEN = 2000000 };
	uint8_t *text = mem_new(DOC_LEN), *got = mem_new(DOC_LEN + 4096);

	(void)state;
	for (size_t i = 0; i < DOC_LEN; i++)
		text[i] = (uint8_t)("network-status"[i % 14] + i / 5000 % 7);
	for (size_t i = 0; i < 2; i++) {
		struct sim_client c;
		struct sim s;
		size_t len;

		sim_start(&s);
		give_document(&s, 2, text, DOC_LEN);
		build(&c, &s, types[i]);
		sim_send(&c, 2, RELAY_BEGIN_DIR, 7, NULL, 0);
		sim_send(&c, 2, RELAY_DATA, 7, request, strlen(request));
		len = read_stream(&c, got, DOC_LEN + 4096);
		assert_true(len > DOC_LEN);
		assert_memory_equal(got, "HTTP/1.0 200", 12);
		assert_memory_equal(got + len - DOC_LEN, text, DOC_LEN);
		assert_false(c.destroyed);
		sim_client_close(&c);
		sim_stop(&s);
	}
	free(text);
	free(got);
}

/* Without SENDMEs a sender stops, and what it may have sent is bounded. */
static void test_window_stops_sender(void **state)
{
	static const char request[] = "GET /tor/status-vote/current/consensus-microdesc HTTP/1.0\r\n\r\n";
	enum { DOC_LEN = 2000000 };
	uint8_t *text = mem_new(DOC_LEN), forged[23] = { 1, 0, 20, 0xee };
	struct sim_client c;
	struct sim_msg m;
	struct sim s;
	size_t cells = 0;

	(void)state;
	sim_start(&s);
	give_document(&s, 2, text, DOC_LEN);
	build(&c, &s, HANDSHAKE_NTOR);
	sim_send(&c, 2, RELAY_BEGIN_DIR, 7, NULL, 0);
	sim_send(&c, 2, RELAY_DATA, 7, request, strlen(request));
	while (sim_client_recv(&c, &m))
		cells += m.is_relay && m.cmd == RELAY_DATA;
	assert_int_equal(cells, 500);		/* the stream window */
	/* A SENDME with a digest that is not the cell's ends the circuit. */
	sim_send(&c, 2, RELAY_SENDME, 0, forged, sizeof(forged));
	expect_destroy(&c, DESTROY_DESTROYED);
	sim_client_close(&c);
	sim_stop(&s);
	free(text);
}

/* Anybody can prove an identity of his own making: only those of the consensus count as relays'. */
static void test_create_rate_of_unlisted_identities(void **state)
{
	const struct dir_doc_meta meta = { .kind = DIR_DOC_RELAYS };
	struct dir_entry listed = { .key = "a listed relay's id!" };
	struct relay_config config;
	struct sim_client c[3];
	struct relay *r;
	struct sim s;
	int fd;

	(void)state;
	sim_start(&s);
	r = s.node[0].relay;
	config = r->config;
	config.exit_policy = "reject *:*";
	config.limits.create_rate = config.limits.create_burst = 1;
	assert_int_equal(relay_set_config(r, &config), 0);
	for (size_t i = 0; i < 3; i++) {
		sim_client_open(&c[i], &s);
		c[i].link->authenticated = true;
		memcpy(c[i].link->peer_id.rsa_id, i < 2 ? "an identity made up." : "a listed relay's id!", 20);
		/* As long as nobody knows who is listed, all who prove an identity are. */
		assert_true(link_is_relay(c[i].link));
		assert_int_equal(sim_create(&c[i], HANDSHAKE_NTOR), 0);
	}
	assert_int_equal(dir_doc_build(&fd, &meta, &listed, 1), 0);
	assert_int_equal(relay_set_document(r, DIR_DOC_RELAYS, fd), 0);
	assert_false(link_is_relay(c[0].link));
	assert_true(link_is_relay(c[2].link));
	for (size_t i = 0; i < 3; i++) {
		sim_client_close(&c[i]);
		c[i].circ_id++;
		assert_int_equal(sim_create(&c[i], HANDSHAKE_NTOR), i == 1 ? ERR_REFUSED : 0);
		/* The index of links holds identities that were proved before they opened. */
		c[i].link->authenticated = false;
	}
	assert_int_equal(c[1].destroy_reason, DESTROY_RESOURCELIMIT);
	for (size_t i = 0; i < 3; i++)
		sim_client_close(&c[i]);
	sim_stop(&s);
}

static void test_drain(void **state)
{
	uint8_t reason = DESTROY_FINISHED;
	struct sim_client c, late;
	struct sim s;

	(void)state;
	sim_start(&s);
	build(&c, &s, HANDSHAKE_NTOR);
	relay_drain(s.node[0].relay, RELAY_DRAIN_STOP);
	sim_client_open(&late, &s);
	assert_int_equal(sim_create(&late, HANDSHAKE_NTOR), ERR_REFUSED);
	assert_int_equal(late.destroy_reason, DESTROY_HIBERNATING);
	assert_int_equal(circuits(&s, 0), 1);
	assert_false(s.node[0].relay->drained);
	sim_client_cell(&c, CELL_DESTROY, &reason, 1);
	sim_wait(&s, 1);
	assert_true(s.node[0].relay->drained);
	sim_client_close(&c);
	sim_stop(&s);
}

static void test_pause(void **state)
{
	struct sim_client c, early, late;
	struct sim s;

	(void)state;
	sim_start(&s);
	build(&c, &s, HANDSHAKE_NTOR);
	relay_drain(s.node[0].relay, RELAY_DRAIN_PAUSE);
	sim_client_open(&early, &s);
	assert_int_equal(sim_create(&early, HANDSHAKE_NTOR), ERR_REFUSED);
	assert_int_equal(early.destroy_reason, DESTROY_HIBERNATING);
	assert_int_equal(circuits(&s, 0), 1);
	relay_drain(s.node[0].relay, RELAY_DRAIN_NONE);
	sim_client_open(&late, &s);
	assert_int_equal(sim_create(&late, HANDSHAKE_NTOR), 0);
	assert_int_equal(circuits(&s, 0), 2);
	sim_client_close(&late);
	sim_client_close(&c);
	sim_stop(&s);
}

/* While another process takes over, a peer's links serve it to their end. */
static void test_moved(void **state)
{
	uint8_t reason = DESTROY_FINISHED;
	struct sim_client c, late;
	struct relay *r;
	struct sim s;

	(void)state;
	sim_start(&s);
	r = s.node[0].relay;
	build(&c, &s, HANDSHAKE_NTOR);
	sim_client_open(&late, &s);
	relay_drain(r, RELAY_DRAIN_MOVED);
	assert_int_equal(sim_create(&late, HANDSHAKE_NTOR), 0);
	assert_int_equal(circuits(&s, 0), 2);
	sim_wait(&s, LINK_MOVED_MS / 1000 + 2);
	assert_int_equal(link_count(r), 3);	/* two clients' and ours to the second hop */
	sim_client_cell(&c, CELL_DESTROY, &reason, 1);
	sim_wait(&s, LINK_MOVED_MS / 1000 + 2);
	assert_int_equal(link_count(r), 1);
	assert_false(r->drained);
	sim_client_cell(&late, CELL_DESTROY, &reason, 1);
	sim_wait(&s, 2);
	assert_false(r->drained);
	sim_wait(&s, LINK_MOVED_MS / 1000);
	assert_int_equal(link_count(r), 0);
	assert_true(r->drained);
	sim_client_close(&late);
	sim_client_close(&c);
	sim_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_hops),
		cmocka_unit_test(test_links_are_shared),
		cmocka_unit_test(test_destroy_travels),
		cmocka_unit_test(test_truncate_and_extend_again),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_relay_early_is_counted),
		cmocka_unit_test(test_extend_times_out),
		cmocka_unit_test(test_dead_addresses),
		cmocka_unit_test(test_bad_cells),
		cmocka_unit_test(test_refusals_are_bounded),
		cmocka_unit_test(test_handshake_queue_sheds),
		cmocka_unit_test(test_relief_finds_the_hoarders),
		cmocka_unit_test(test_relief_of_idle_circuits),
		cmocka_unit_test(test_link_at_the_same_address_is_shared),
		cmocka_unit_test(test_link_padding),
		cmocka_unit_test(test_directory_through_three_hops),
		cmocka_unit_test(test_window_stops_sender),
		cmocka_unit_test(test_create_rate_of_unlisted_identities),
		cmocka_unit_test(test_drain), cmocka_unit_test(test_pause), cmocka_unit_test(test_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
