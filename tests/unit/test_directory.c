/*
 * The directory against three authorities played by this test, who serve the
 * documents of tests/vectors/dir; the wall clock is turned to their time.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/dir_doc.h>
#include <nonos/directory.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

enum { N = 3, STEP_MS = 5, SPEED = 10 };

static const int64_t lab_time = 1795323649;

/* What an authority does wrong. */
enum fault { FAULT_NONE, FAULT_SILENT, FAULT_GARBAGE, FAULT_FORGED, FAULT_TRUNCATED, FAULT_EMPTY };

struct text {
	char *p;
	size_t len;
};

struct fixture;

struct fake {
	struct fixture *f;
	struct evhttp *server;
	enum fault fault;
	unsigned gets, micro_gets, posts;
	unsigned refuse_posts;		/* answer 400 so many times */
	bool not_new, no_consensus;
	char posted[200];
};

struct fixture {
	struct event_base *base;
	struct event *clock;
	struct fake fakes[N];
	struct authority authorities[N];
	struct text certs, ns, microdesc, descriptors, microdescs;
	char dir[64];
	uint8_t own_id[20];
	struct directory *d;
	unsigned documents[DIR_DOC_KINDS];
	struct dir_map *maps[DIR_DOC_KINDS];
	unsigned params, listings, made, seen;
	uint8_t wanted[32];
};

static struct text load(const char *name)
{
	char path[4096];
	struct text t = { mem_new(1 << 17), 0 };
	FILE *file;

	snprintf(path, sizeof(path), "%s/dir/%s", getenv("TEST_VECTORS"), name);
	file = fopen(path, "rb");
	if (!file)
		fail_msg("cannot open %s", path);
	t.len = fread(t.p, 1, (1 << 17) - 1, file);
	fclose(file);
	return t;
}

/* -- the authorities ------------------------------------------------------ */

static void reply_text(struct evhttp_request *req, enum fault fault, const char *p, size_t len)
{
	struct evbuffer *b = evbuffer_new();
	char *copy = mem_dup(p, len), *w;

	if (fault == FAULT_FORGED) {
		for (w = copy; (w = memchr(w, 'w', len - (size_t)(w - copy))); w++)
			if (strncmp(w, "w Bandwidth=", 12) == 0)
				w[12] = '9';
		/* Keys and documents: one letter of the base64 each. */
		for (w = copy; (size_t)(w - copy) + 40 < len; w++)
			if (strncmp(w, "-----BEGIN RSA PUBLIC KEY-----\n", 31) == 0)
				w[35] = w[35] == 'A' ? 'B' : 'A';
	}
	if (fault == FAULT_GARBAGE)
		for (size_t i = 0; i < len; i++)
			copy[i] = (char)(i * 7 + 1);
	evbuffer_add(b, copy, fault == FAULT_TRUNCATED ? len / 2 : fault == FAULT_EMPTY ? 0 : len);
	evhttp_add_header(evhttp_request_get_output_headers(req), "X-Your-Address-Is", "127.0.0.1");
	evhttp_send_reply(req, 200, "OK", b);
	evbuffer_free(b);
	free(copy);
}

static void take_post(struct fake *a, struct evhttp_request *req)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t n = evbuffer_get_length(in);

	n = n < sizeof(a->posted) - 1 ? n : sizeof(a->posted) - 1;
	evbuffer_copyout(in, a->posted, n);
	a->posted[n] = '\0';
	a->posts++;
	if (a->not_new)
		evhttp_add_header(evhttp_request_get_output_headers(req), "X-Descriptor-Not-New", "Yes");
	if (a->refuse_posts) {
		a->refuse_posts--;
		evhttp_send_reply(req, 400, "Missing TAP key in descriptor.", NULL);
	} else {
		evhttp_send_reply(req, 200, "Descriptor submitted", NULL);
	}
}

static void serve(struct evhttp_request *req, void *arg)
{
	struct fake *a = arg;
	const struct fixture *f = a->f;
	const char *path = evhttp_request_get_uri(req);

	if (a->fault == FAULT_SILENT) {
		evhttp_send_error(req, 503, "Busy");
		return;
	}
	if (evhttp_request_get_command(req) == EVHTTP_REQ_POST) {
		take_post(a, req);
		return;
	}
	a->gets++;
	if (a->no_consensus && strncmp(path, "/tor/status-vote/", 17) == 0)
		evhttp_send_error(req, 404, "Not found");
	else if (evhttp_find_header(evhttp_request_get_input_headers(req), "If-Modified-Since"))
		evhttp_send_reply(req, 304, "Not modified", NULL);
	else if (strcmp(path, "/tor/status-vote/current/consensus.z") == 0)
		reply_text(req, a->fault, f->ns.p, f->ns.len);
	else if (strcmp(path, "/tor/status-vote/current/consensus-microdesc.z") == 0)
		reply_text(req, a->fault, f->microdesc.p, f->microdesc.len);
	else if (strncmp(path, "/tor/keys/", 10) == 0)
		reply_text(req, a->fault, f->certs.p, f->certs.len);
	else if (strncmp(path, "/tor/micro/d/", 13) == 0 && ++a->micro_gets)
		reply_text(req, a->fault, f->microdescs.p, f->microdescs.len);
	else if (strncmp(path, "/tor/server/d/", 14) == 0)
		reply_text(req, a->fault, f->descriptors.p, f->descriptors.len);
	else
		evhttp_send_error(req, 404, "Not found");
}

static void start_fakes(struct fixture *f)
{
	for (size_t i = 0; i < N; i++) {
		struct fake *a = &f->fakes[i];
		struct evhttp_bound_socket *bound;
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);

		a->f = f;
		a->server = evhttp_new(f->base);
		bound = evhttp_bind_socket_with_handle(a->server, "127.0.0.1", 0);
		assert_non_null(bound);
		getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&ss, &len);
		addr_from_sockaddr(&f->authorities[i].dir, (struct sockaddr *)&ss, len);
		evhttp_set_gencb(a->server, serve, a);
	}
}

/* -- the directory's owner ------------------------------------------------ */

static void on_document(void *arg, enum dir_doc kind, int fd)
{
	struct fixture *f = arg;

	f->documents[kind]++;
	dir_map_unref(f->maps[kind]);
	assert_int_equal(dir_map_open(&f->maps[kind], fd), 0);
	assert_int_equal(dir_map_meta(f->maps[kind])->kind, kind);
}

static void on_params(void *arg, const struct net_params *params)
{
	struct fixture *f = arg;

	f->params++;
	assert_int_equal(params->circ_max_cell_queue_size, 50000);
}

static void on_listing(void *arg)
{
	((struct fixture *)arg)->listings++;
}

static void on_address(void *arg, const struct addr *ours, const struct authority *by)
{
	struct fixture *f = arg;

	assert_true(addr_is_loopback(ours));
	assert_true(by->or_port != 0);
	f->seen++;
}

static int on_make(void *arg, char **ret_descriptor, char **ret_extrainfo)
{
	struct fixture *f = arg;

	f->made++;
	*ret_descriptor = mem_printf("router x%u\nrouter-signature\nsig\n", f->made);
	*ret_extrainfo = mem_printf("extra-info x\n");
	return 0;
}

static void start_directory(struct fixture *f, bool cache)
{
	const struct directory_config config = {
		.authorities = f->authorities, .n_authorities = N, .cache_dir = f->dir, .cache = cache,
		.test_network = true,
	};
	const struct directory_hooks hooks = {
		.document = on_document, .params = on_params, .make_descriptor = on_make,
		.address_seen = on_address, .listing = on_listing, .arg = f,
	};
	uint8_t ed[32] = { 1 };

	assert_int_equal(directory_new(&f->d, f->base, &config, &hooks, f->own_id, ed), 0);
	directory_start(f->d);
}

static void on_clock(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *f = arg;

	(void)fd;
	(void)what;
	clock_advance_ms(STEP_MS * SPEED);
	event_base_loopbreak(f->base);
}

/* Turn the loop until it holds; false after `ms` real milliseconds. */
static bool until(struct fixture *f, bool (*holds)(struct fixture *), unsigned ms)
{
	for (unsigned t = 0; t < ms; t += STEP_MS) {
		if (holds(f))
			return true;
		event_base_dispatch(f->base);
	}
	return holds(f);
}

static int setup(void **state)
{
	struct timeval step = { 0, STEP_MS * 1000 };
	struct fixture *f = mem_new(sizeof(*f));
	struct text list = load("authorities");
	char *save, err[128], *line = strtok_r(list.p, "\n", &save);

	for (size_t i = 0; i < N; i++) {
		assert_int_equal(authority_parse(&f->authorities[i], line, err, sizeof(err)), 0);
		line = strtok_r(NULL, "\n", &save);
	}
	free(list.p);
	/* We are relay0 of the recorded network. */
	assert_int_equal(base64_decode_exact(f->own_id, 20, "28acGnH4/Uz4HJUWLZe3iO+5XbM", 27), 0);
	f->certs = load("certs");
	f->ns = load("consensus");
	f->microdesc = load("consensus-microdesc");
	f->descriptors = load("descriptors");
	f->microdescs = load("microdescs");
	snprintf(f->dir, sizeof(f->dir), "test_directory.%ld.tmp", (long)getpid());
	f->base = event_base_new();
	start_fakes(f);
	f->clock = event_new(f->base, -1, EV_PERSIST, on_clock, f);
	event_add(f->clock, &step);
	clock_set_manual(1000000, lab_time);
	*state = f;
	return 0;
}

static void forget_documents(struct fixture *f)
{
	for (int i = 0; i < DIR_DOC_KINDS; i++) {
		dir_map_unref(f->maps[i]);
		f->maps[i] = NULL;
		f->documents[i] = 0;
	}
}

static int teardown(void **state)
{
	static const char *const names[] = { "cached-consensus", "cached-microdesc-consensus", "cached-microdescs",
					     "cached-descriptors", "cached-certs", "weights" };
	struct fixture *f = *state;
	char path[200];

	directory_free(f->d);
	forget_documents(f);
	for (size_t i = 0; i < N; i++)
		evhttp_free(f->fakes[i].server);
	event_free(f->clock);
	event_base_free(f->base);
	free(f->certs.p);
	free(f->ns.p);
	free(f->microdesc.p);
	free(f->descriptors.p);
	free(f->microdescs.p);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

/* Everything a cache serves has been handed over, and is all there. */
static bool complete(struct fixture *f)
{
	return f->maps[DIR_DOC_CONSENSUS_NS] && f->maps[DIR_DOC_CONSENSUS_MICRODESC] &&
	       f->maps[DIR_DOC_CERTS] && dir_map_count(f->maps[DIR_DOC_CERTS]) == N &&
	       f->maps[DIR_DOC_MICRODESCS] && dir_map_count(f->maps[DIR_DOC_MICRODESCS]) == 6 &&
	       f->maps[DIR_DOC_DESCRIPTORS] && dir_map_count(f->maps[DIR_DOC_DESCRIPTORS]) == 12;
}

static void check_documents(struct fixture *f)
{
	const struct dir_doc_meta *meta = dir_map_meta(f->maps[DIR_DOC_CONSENSUS_MICRODESC]);
	struct dir_entry e;

	assert_int_equal(meta->valid_after, lab_time);
	assert_int_equal(meta->n_signers, N);
	assert_int_equal(dir_map_count(f->maps[DIR_DOC_CONSENSUS_NS]), 3);
	assert_int_equal(dir_map_find(f->maps[DIR_DOC_CONSENSUS_NS], "plain", 5, &e), 0);
	assert_int_equal(e.len, f->ns.len);
	assert_memory_equal(e.data, f->ns.p, e.len);
	assert_int_equal(dir_map_find(f->maps[DIR_DOC_CONSENSUS_NS], "deflate", 7, &e), 0);
	assert_in_range(e.len, 100, f->ns.len);
	assert_int_equal(dir_map_find(f->maps[DIR_DOC_CONSENSUS_NS], "x-zstd", 6, &e), 0);
	assert_int_equal(dir_map_find(f->maps[DIR_DOC_DESCRIPTORS], "F\333\306\234\032\161\370\375\114\370\034"
				      "\225\026\055\227\267\210\357\271\135\263", 21, &e), 0);
	assert_memory_equal(e.data, "router relay0 ", 14);
}

static bool saved(struct fixture *f)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/cached-descriptors", f->dir);
	return access(path, R_OK) == 0;
}

static void test_fetch_and_reload(void **state)
{
	struct authority_status rows[4];
	struct consensus_status cs;
	struct fixture *f = *state;
	char text[200];

	start_directory(f, true);
	assert_true(until(f, complete, 10000));
	check_documents(f);
	directory_consensus(f->d, &cs);
	assert_int_equal(cs.valid_after, lab_time);
	assert_true(cs.listed);
	assert_int_equal(cs.n_relays, 6);
	assert_int_equal(cs.n_microdescs, 6);
	assert_string_equal(relay_flags_str(text, sizeof(text), cs.flags), "Fast Guard HSDir Running Stable V2Dir Valid");
	assert_int_equal(directory_status(f->d, rows, 4), N);
	for (int i = 0; i < N; i++) {
		assert_true(rows[i].cert_known);
		assert_true(rows[i].in_consensus);
		assert_int_equal(rows[i].consensus_valid_after, lab_time);
	}
	assert_int_equal(f->listings, 1);
	assert_int_equal(f->params, 1);
	assert_true(f->seen > 0);
	assert_true(until(f, saved, 5000));
	directory_free(f->d);
	forget_documents(f);
	/* From disk alone: nobody answers any more. */
	for (int i = 0; i < N; i++) {
		f->fakes[i].fault = FAULT_SILENT;
		f->fakes[i].gets = 0;
	}
	start_directory(f, true);
	assert_true(until(f, complete, 5000));
	check_documents(f);
}

static void on_judged(void *arg, const struct consensus_facts *c)
{
	assert_int_equal(c->flavour, FLAVOUR_MICRODESC);
	assert_int_equal(c->valid_after, lab_time);
	assert_int_equal(c->n_routers, 6);
	(*(unsigned *)arg)++;
}

static bool has_certs(struct fixture *f)
{
	return f->maps[DIR_DOC_CERTS] && dir_map_count(f->maps[DIR_DOC_CERTS]) == N;
}

/* A consensus from somebody else: a majority of the authorities must have signed these very bytes, whenever that was. */
static void test_judge(void **state)
{
	struct fixture *f = *state;
	char *text = mem_strndup(f->microdesc.p, f->microdesc.len), *weight = strstr(text, "Bandwidth="), *sigs;
	unsigned n = 0;

	start_directory(f, true);
	assert_int_equal(directory_judge(f->d, text, f->microdesc.len, on_judged, &n), ERR_NOT_FOUND);
	assert_true(until(f, has_certs, 5000));
	assert_int_equal(directory_judge(f->d, text, f->microdesc.len, on_judged, &n), 0);
	clock_advance_ms(20u * 86400 * 1000);
	assert_int_equal(directory_judge(f->d, text, f->microdesc.len, on_judged, &n), 0);
	assert_int_equal(n, 2);
	weight[10] = weight[10] == '1' ? '2' : '1';
	assert_int_equal(directory_judge(f->d, text, f->microdesc.len, on_judged, &n), ERR_AUTH);
	weight[10] = f->microdesc.p[weight + 10 - text];
	/* One signature of three. */
	sigs = strstr(strstr(text, "\ndirectory-signature ") + 2, "\ndirectory-signature ") + 1;
	assert_int_equal(directory_judge(f->d, text, (size_t)(sigs - text), on_judged, &n), ERR_AUTH);
	assert_int_equal(directory_judge(f->d, text, 100, on_judged, &n), ERR_MALFORMED);
	assert_int_equal(n, 2);
	free(text);
}

static bool has_wanted(struct fixture *f)
{
	struct microdesc_facts facts;

	return directory_microdesc(f->d, &facts, f->wanted) == 0;
}

/* A microdescriptor that no consensus here lists comes when it is wanted; one that nobody has is not asked for for ever. */
static void test_want_microdesc(void **state)
{
	struct fixture *f = *state;
	const char *second = strstr(f->microdescs.p + 1, "onion-key\n");
	const uint8_t nobody[32] = { 7 };
	unsigned gets = 0;

	sha256(f->wanted, f->microdescs.p, (size_t)(second - f->microdescs.p));
	for (int i = 0; i < N; i++)
		f->fakes[i].no_consensus = true;
	start_directory(f, true);
	assert_false(until(f, has_wanted, 300));
	directory_want_microdesc(f->d, f->wanted);
	directory_want_microdesc(f->d, nobody);
	assert_true(until(f, has_wanted, 5000));
	until(f, complete, 1000);
	for (int i = 0; i < N; i++)
		gets += f->fakes[i].micro_gets;
	assert_in_range(gets, 1, 2 * N);
}

/* Two of three serve rubbish, each of its kind; what is taken is right all the same. */
static void run_with_fault(struct fixture *f, enum fault fault)
{
	f->fakes[0].fault = f->fakes[1].fault = fault;
	start_directory(f, true);
	if (!until(f, complete, 15000)) {
		for (int i = 1; i < DIR_DOC_KINDS; i++)
			print_error("kind %d: %zu entries\n", i, f->maps[i] ? dir_map_count(f->maps[i]) : 0);
		fail_msg("fault %d: not complete", fault);
	}
	check_documents(f);
}

static void test_garbage(void **state)
{
	run_with_fault(*state, FAULT_GARBAGE);
}

static void test_forged(void **state)
{
	run_with_fault(*state, FAULT_FORGED);
}

static void test_truncated(void **state)
{
	run_with_fault(*state, FAULT_TRUNCATED);
}

static void test_empty(void **state)
{
	run_with_fault(*state, FAULT_EMPTY);
}

static bool has_params(struct fixture *f)
{
	return f->params > 0;
}

/* Who does not cache asks for the one consensus and hands nothing over. */
static void test_no_cache(void **state)
{
	struct fixture *f = *state;
	struct consensus_status cs;
	struct dir_entry e;

	start_directory(f, false);
	assert_true(until(f, has_params, 5000));
	until(f, complete, 600);
	for (int i = 0; i < DIR_DOC_KINDS; i++)
		if (i != DIR_DOC_RELAYS)	/* not for clients: who is a relay, workers ask */
			assert_int_equal(f->documents[i], 0);
	assert_true(f->documents[DIR_DOC_RELAYS] > 0);
	assert_int_equal(dir_map_find(f->maps[DIR_DOC_RELAYS], f->own_id, sizeof(f->own_id), &e), 0);
	directory_consensus(f->d, &cs);
	assert_true(cs.listed);
}

static bool published(struct fixture *f)
{
	struct authority_status rows[N];

	directory_status(f->d, rows, N);
	for (int i = 0; i < N; i++)
		if (rows[i].http_status != 200)
			return false;
	return f->maps[DIR_DOC_OWN] != NULL;
}

static bool refused(struct fixture *f)
{
	struct authority_status rows[N];

	directory_status(f->d, rows, N);
	return rows[1].http_status == 400;
}

static void test_publish(void **state)
{
	struct fixture *f = *state;
	struct authority_status rows[N];
	struct dir_entry e;

	f->fakes[1].refuse_posts = 2;
	f->fakes[2].not_new = true;
	start_directory(f, false);
	directory_publish(f->d, "test");
	directory_publish(f->d, "once more");
	assert_true(until(f, refused, 5000));
	directory_status(f->d, rows, N);
	assert_string_equal(rows[1].message, "Missing TAP key in descriptor.");
	assert_true(until(f, published, 10000));
	assert_int_equal(f->made, 1);
	assert_int_equal(f->fakes[0].posts, 1);
	assert_int_equal(f->fakes[1].posts, 3);
	assert_string_equal(f->fakes[0].posted, "router x1\nrouter-signature\nsig\nextra-info x\n");
	directory_status(f->d, rows, N);
	assert_false(rows[0].not_new);
	assert_true(rows[2].not_new);
	assert_true(rows[0].last_upload >= lab_time);
	assert_string_equal(rows[0].message, "Descriptor submitted");
	assert_int_equal(dir_map_find(f->maps[DIR_DOC_OWN], "server", 6, &e), 0);
	assert_memory_equal(e.data, "router x1\n", 10);
	assert_int_equal(dir_map_find(f->maps[DIR_DOC_OWN], "extra", 5, &e), 0);
}

static bool made_again(struct fixture *f)
{
	return f->made == 2 && f->fakes[0].posts == 2;
}

static bool made_thrice(struct fixture *f)
{
	return f->made > 2;
}

static void test_republish(void **state)
{
	struct fixture *f = *state;

	start_directory(f, false);
	directory_publish(f->d, "test");
	assert_true(until(f, published, 5000));
	assert_false(until(f, made_again, 700));
	clock_advance_ms(18 * 3600 * 1000);
	assert_true(until(f, made_again, 5000));
}

/* They took it before the vote, and the consensus does not list us: try again, but not at once again. */
static void test_not_listed(void **state)
{
	struct fixture *f = *state;

	clock_set_manual(1000000, lab_time - 60);
	f->own_id[0] ^= 1;
	/* No consensus before the clock has reached its time. */
	for (int i = 0; i < N; i++)
		f->fakes[i].fault = FAULT_GARBAGE;
	start_directory(f, false);
	directory_publish(f->d, "test");
	assert_true(until(f, published, 5000));
	clock_advance_ms(60000);
	for (int i = 0; i < N; i++)
		f->fakes[i].fault = FAULT_NONE;
	assert_true(until(f, has_params, 10000));
	assert_true(until(f, made_again, 3000));
	assert_false(until(f, made_thrice, 1000));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_fetch_and_reload), T(test_judge), T(test_want_microdesc), T(test_garbage), T(test_forged), T(test_truncated), T(test_empty),
		T(test_no_cache), T(test_publish), T(test_republish), T(test_not_listed),
	};

	if (crypto_init() < 0)
		return 1;
	log_set_level(getenv("TEST_VERBOSE") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
