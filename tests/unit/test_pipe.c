#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include <nonos/err.h>
#include <nonos/rand.h>

#include "../../src/daemon/counters.h"
#include "../../src/daemon/pipe.h"

static void test_frames(void **state)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
		enum message_direction direction;
		unsigned fds;
		int result;
	} cases[] = {
		{ { 0, 0, 0, 3, 0, 1, 2, 0, 1 }, 9, MSG_DOWN, 0, 0 },
		{ { 0, 0, 0, 3, 0, 1, 2, 0, 1 }, 9, MSG_UP, 0, ERR_MALFORMED },		/* wrong way */
		{ { 0, 0, 0, 3, 0, 1, 2, 0, 1 }, 9, MSG_DOWN, 1, ERR_MALFORMED },	/* a stray descriptor */
		{ { 0, 0, 0, 3, 0, 1, 2, 0 }, 8, MSG_DOWN, 0, ERR_MALFORMED },		/* short */
		{ { 0, 0, 0, 3, 0, 1, 2, 0, 1, 9 }, 10, MSG_DOWN, 0, ERR_MALFORMED },	/* long */
		{ { 0, 0, 0, 2, 0, 1, 2, 0 }, 8, MSG_DOWN, 0, ERR_MALFORMED },		/* below the minimum */
		{ { 0, 0, 0, 4, 0, 1, 2, 0, 1, 1 }, 10, MSG_DOWN, 0, ERR_MALFORMED },	/* above the maximum */
		{ { 0, 0, 0, 0, 0, 99 }, 6, MSG_DOWN, 0, ERR_MALFORMED },		/* unknown */
		{ { 0xff, 0xff, 0xff, 0xff, 0, 1 }, 6, MSG_DOWN, 0, ERR_MALFORMED },
		{ { 0, 0, 0, 1, 0, 6, 3 }, 7, MSG_DOWN, 1, 0 },
		{ { 0, 0, 0, 1, 0, 6, 3 }, 7, MSG_DOWN, 0, ERR_MALFORMED },		/* its descriptor is missing */
		{ { 0, 0, 0, 0, 0, 64 }, 6, MSG_UP, 0, 0 },
		{ { 0, 0, 0 }, 3, MSG_DOWN, 0, ERR_MALFORMED },
		{ { 0 }, 0, MSG_DOWN, 0, ERR_MALFORMED },
	};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (frame_parse(&f, cases[i].bytes, cases[i].len, cases[i].direction, cases[i].fds) !=
		    cases[i].result)
			fail_msg("case %zu", i);
}

static void test_config_message(void **state)
{
	struct relay_config in = {
		.advertised_v4 = { .family = ADDR_V4, .port = 9001, .ip = { 1, 2, 3, 4 } },
		.allow_private = true, .exit_policy = "accept *:80, reject *:*", .resolv_conf = "/etc/r",
		.limits = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 },
	}, out;
	struct message_config_text *text = calloc(1, sizeof(*text));
	uint8_t buf[FRAME_MAX];
	struct wr w = wr_init(buf, sizeof(buf));
	struct rd r;

	(void)state;
	message_config_write(&w, &in);
	r = rd_init(buf, wr_len(&w));
	assert_int_equal(message_config_read(&out, text, &r), 0);
	assert_true(addr_eq(&out.advertised_v4, &in.advertised_v4));
	assert_int_equal(out.advertised_v6.family, ADDR_NONE);
	assert_true(out.allow_private);
	assert_false(out.dir_cache);
	assert_string_equal(out.exit_policy, in.exit_policy);
	assert_string_equal(out.resolv_conf, in.resolv_conf);
	assert_memory_equal(&out.limits, &in.limits, sizeof(in.limits));
	/* Cut short anywhere it is refused. */
	for (size_t n = 0; n < wr_len(&w); n++) {
		r = rd_init(buf, n);
		assert_int_equal(message_config_read(&out, text, &r), ERR_MALFORMED);
	}
	free(text);
}

static void test_key_messages(void **state)
{
	struct link_keys *in = calloc(1, sizeof(*in)), *out = calloc(1, sizeof(*out));
	struct onion_keys onion_in = { .count = 2 }, onion_out;
	uint8_t buf[FRAME_MAX];
	struct wr w = wr_init(buf, sizeof(buf));
	struct rd r;

	(void)state;
	rand_bytes(in, sizeof(*in));
	in->tls_key_len = sizeof(in->tls_key);
	in->tls_cert_len = sizeof(in->tls_cert);
	in->responder_certs_len = in->initiator_certs_len = LINK_CERTS_CAP;
	message_link_keys_write(&w, in);
	assert_int_equal(wr_done(&w), 0);
	assert_int_equal(wr_len(&w), message_find(MSG_LINK_KEYS)->max);
	r = rd_init(buf, wr_len(&w));
	assert_int_equal(message_link_keys_read(out, &r), 0);
	assert_memory_equal(out->rsa_id, in->rsa_id, 20);
	assert_memory_equal(out->auth_secret, in->auth_secret, 64);
	assert_memory_equal(out->tls_key, in->tls_key, in->tls_key_len);
	assert_memory_equal(out->initiator_certs, in->initiator_certs, LINK_CERTS_CAP);
	/* A length past the room for it. */
	buf[180] = 0xff;
	r = rd_init(buf, wr_len(&w));
	assert_int_equal(message_link_keys_read(out, &r), ERR_MALFORMED);

	rand_bytes(onion_in.secret, sizeof(onion_in.secret));
	w = wr_init(buf, sizeof(buf));
	message_onion_keys_write(&w, &onion_in);
	r = rd_init(buf, wr_len(&w));
	assert_int_equal(message_onion_keys_read(&onion_out, &r), 0);
	assert_memory_equal(onion_out.secret, onion_in.secret, 64);
	buf[0] = 3;
	r = rd_init(buf, wr_len(&w));
	assert_int_equal(message_onion_keys_read(&onion_out, &r), ERR_MALFORMED);
	free(in);
	free(out);
}

static void test_small_messages(void **state)
{
	struct relay_counters c_in, c_out;
	struct net_params p_in = { .circ_max_cell_queue_size = 9, .nf_ito_low = 1500, .nf_ito_high = 60000,
				   .cc_enabled = true, .cc = { 1, 2, 3 } }, p_out;
	struct message_skew s_in = { .skew_s = -4000, .peer_rsa_id = { 7 } }, s_out;
	uint8_t buf[2048];
	struct wr w = wr_init(buf, sizeof(buf));
	struct rd r;

	(void)state;
	rand_bytes(&c_in, sizeof(c_in));
	message_counters_write(&w, &c_in);
	assert_int_equal(wr_len(&w), message_find(MSG_COUNTERS)->max);
	r = rd_init(buf, wr_len(&w));
	assert_int_equal(message_counters_read(&c_out, &r), 0);
	assert_memory_equal(&c_in, &c_out, sizeof(c_in));

	w = wr_init(buf, sizeof(buf));
	message_params_write(&w, &p_in);
	assert_int_equal(wr_len(&w), message_find(MSG_PARAMS)->max);
	r = rd_init(buf, wr_len(&w));
	assert_int_equal(message_params_read(&p_out, &r), 0);
	assert_true(p_out.cc_enabled);
	assert_int_equal(p_out.nf_ito_low, 1500);
	assert_int_equal(p_out.nf_ito_high, 60000);
	assert_memory_equal(p_in.cc, p_out.cc, sizeof(p_in.cc));

	w = wr_init(buf, sizeof(buf));
	message_skew_write(&w, &s_in);
	r = rd_init(buf, wr_len(&w));
	assert_int_equal(message_skew_read(&s_out, &r), 0);
	assert_int_equal(s_out.skew_s, -4000);
}

static void test_counters_add(void **state)
{
	struct relay_counters sum = { .read_bytes = 1 };
	struct relay_counters worker = { .read_bytes = 5, .dir_bytes = 7, .links = 3, .memory_bytes = 11 };

	(void)state;
	counters_add_totals(&sum, &worker);	/* one that died */
	counters_add(&sum, &worker);		/* one that lives */
	assert_int_equal(sum.read_bytes, 11);
	assert_int_equal(sum.dir_bytes, 14);
	assert_int_equal(sum.links, 3);
	assert_int_equal(sum.memory_bytes, 11);
}

/* -- two ends in one loop --------------------------------------------------------- */

struct end {
	struct pipe *pipe;
	unsigned got, fds;
	int ended, refuse;
	uint16_t last_type;
	uint8_t last[32];
	int fd;
};

struct lab {
	struct event_base *base;
	struct end up, down;	/* the keeper's end, the worker's end */
	int raw[2];
};

static int on_message(void *arg, struct frame *f, int fd)
{
	struct end *e = arg;

	e->got++;
	e->last_type = f->row->type;
	rd_copy(&f->payload, e->last, rd_left(&f->payload) < 32 ? rd_left(&f->payload) : 32);
	if (fd >= 0) {
		e->fds++;
		if (e->fd >= 0)
			close(e->fd);
		e->fd = fd;
	}
	return e->refuse;
}

static void on_ended(void *arg, int why)
{
	struct end *e = arg;

	e->ended = why;
	pipe_free(e->pipe);
	e->pipe = NULL;
}

static void end_up(struct lab *l, struct end *e, int fd, enum message_direction incoming)
{
	struct pipe_hooks hooks = { on_message, on_ended, e };

	e->fd = -1;
	e->pipe = pipe_new(l->base, fd, incoming, &hooks);
}

static int lab_up(void **state)
{
	struct lab *l = calloc(1, sizeof(*l));

	l->base = event_base_new();
	if (pipe_pair(l->raw) < 0)
		return -1;
	end_up(l, &l->up, l->raw[0], MSG_UP);
	end_up(l, &l->down, l->raw[1], MSG_DOWN);
	*state = l;
	return 0;
}

static int lab_down(void **state)
{
	struct lab *l = *state;

	pipe_free(l->up.pipe);
	pipe_free(l->down.pipe);
	if (l->down.fd >= 0)
		close(l->down.fd);
	event_base_free(l->base);
	free(l);
	return 0;
}

static void turn(struct lab *l)
{
	for (int i = 0; i < 50; i++)
		event_base_loop(l->base, EVLOOP_NONBLOCK);
}

static void test_send(void **state)
{
	static const uint8_t log[] = { 1, 0, 1 };
	struct lab *l = *state;

	assert_int_equal(pipe_send(l->up.pipe, MSG_LOG, log, 3, -1), 0);
	assert_int_equal(pipe_send(l->down.pipe, MSG_READY, NULL, 0, -1), 0);
	turn(l);
	assert_int_equal(l->down.got, 1);
	assert_int_equal(l->down.last_type, MSG_LOG);
	assert_memory_equal(l->down.last, log, 3);
	assert_int_equal(l->up.got, 1);
	assert_int_equal(l->up.last_type, MSG_READY);
	/* What the table does not allow never leaves. */
	assert_int_equal(pipe_send(l->up.pipe, MSG_READY, NULL, 0, -1), ERR_RANGE);
	assert_int_equal(pipe_send(l->up.pipe, MSG_LOG, log, 2, -1), ERR_RANGE);
	assert_int_equal(pipe_send(l->up.pipe, MSG_DOCUMENT, log, 1, -1), ERR_RANGE);
	assert_int_equal(pipe_send(l->up.pipe, MSG_LOG, log, 3, 0), ERR_RANGE);
}

static void test_descriptor(void **state)
{
	struct lab *l = *state;
	int ends[2];
	char c = 0;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe_send(l->up.pipe, MSG_DOCUMENT, "\2", 1, ends[1]), 0);
	turn(l);
	assert_int_equal(l->down.fds, 1);
	close(ends[1]);
	assert_int_equal(write(l->down.fd, "x", 1), 1);
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	close(ends[0]);
}

/* Frames and descriptors stay in order when the other side does not read for a while. */
static void test_queue(void **state)
{
	struct lab *l = *state;
	uint8_t big[10000] = { 0 };
	unsigned sent = 0;
	int r = 0, fd = dup(0);

	while (r == 0 && sent < 10000) {
		big[0] = (uint8_t)sent;
		r = sent % 2 ? pipe_send(l->up.pipe, MSG_LINK_KEYS, big, sizeof(big), -1)
			     : pipe_send(l->up.pipe, MSG_DOCUMENT, big, 1, fd);
		sent += r == 0;
		if (pipe_queued(l->up.pipe) == 100)
			break;
	}
	close(fd);
	assert_int_equal(r, 0);
	assert_int_equal(pipe_queued(l->up.pipe), 100);
	turn(l);
	assert_int_equal(pipe_queued(l->up.pipe), 0);
	assert_int_equal(l->down.got, sent);
	assert_int_equal(l->down.last[0], (uint8_t)(sent - 1));
	assert_int_equal(l->down.fds, (sent + 1) / 2);
}

/* A side that never reads ends the pipe instead of eating memory. */
static void test_queue_bound(void **state)
{
	struct lab *l = *state;
	uint8_t big[10000] = { 0 };
	int r = 0;

	for (int i = 0; i < 100000 && r == 0; i++)
		r = pipe_send(l->up.pipe, MSG_LINK_KEYS, big, sizeof(big), -1);
	assert_int_equal(r, ERR_LIMIT);
	assert_int_equal(pipe_queued(l->up.pipe), PIPE_QUEUE_MAX);
	event_base_loop(l->base, EVLOOP_NONBLOCK);
	assert_int_equal(l->up.ended, ERR_LIMIT);
}

static void test_closed(void **state)
{
	static const uint8_t log[] = { 1, 0, 1 };
	struct lab *l = *state;

	assert_int_equal(pipe_send(l->up.pipe, MSG_LOG, log, 3, -1), 0);
	pipe_free(l->up.pipe);
	l->up.pipe = NULL;
	turn(l);
	assert_int_equal(l->down.got, 1);	/* what was sent still arrives */
	assert_int_equal(l->down.ended, ERR_CLOSED);
}

static void test_malformed(void **state)
{
	static const uint8_t frame[] = { 0, 0, 0, 9, 0, 1, 2, 0, 1 };
	struct lab *l = *state;

	assert_int_equal(send(l->raw[0], frame, sizeof(frame), 0), sizeof(frame));
	turn(l);
	assert_int_equal(l->down.got, 0);
	assert_int_equal(l->down.ended, ERR_MALFORMED);
}

static void test_oversized(void **state)
{
	static uint8_t frame[FRAME_MAX + 100];
	struct lab *l = *state;

	assert_int_equal(send(l->raw[0], frame, sizeof(frame), 0), sizeof(frame));
	turn(l);
	assert_int_equal(l->down.ended, ERR_MALFORMED);
}

static void test_refused(void **state)
{
	static const uint8_t log[] = { 1, 0, 1 };
	struct lab *l = *state;

	l->down.refuse = ERR_STATE;
	assert_int_equal(pipe_send(l->up.pipe, MSG_LOG, log, 3, -1), 0);
	assert_int_equal(pipe_send(l->up.pipe, MSG_LOG, log, 3, -1), 0);
	turn(l);
	assert_int_equal(l->down.got, 1);
	assert_int_equal(l->down.ended, ERR_STATE);
	assert_int_equal(l->up.ended, ERR_CLOSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames), cmocka_unit_test(test_config_message),
		cmocka_unit_test(test_key_messages), cmocka_unit_test(test_small_messages),
		cmocka_unit_test(test_counters_add),
		cmocka_unit_test_setup_teardown(test_send, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_descriptor, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_queue, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_queue_bound, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_closed, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_malformed, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_oversized, lab_up, lab_down),
		cmocka_unit_test_setup_teardown(test_refused, lab_up, lab_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
