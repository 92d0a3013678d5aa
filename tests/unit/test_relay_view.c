/* What the operator is shown of a relay in a simulation, and what is not. */
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
#include <nonos/relay_view.h>

#include "../../relay/relay_priv.h"
#include "../../relay/resolve_servers.h"
#include "sim.h"

static void build(struct sim_client *c, struct sim *s)
{
	sim_client_open(c, s);
	assert_int_equal(sim_create(c, HANDSHAKE_NTOR3), 0);
	assert_int_equal(sim_extend(c, 1, HANDSHAKE_NTOR3), 0);
	assert_int_equal(sim_extend(c, 2, HANDSHAKE_NTOR3), 0);
}

/* Only who is in the list has a row of its own. */
static void list_relays(struct relay *r, const uint8_t *rsa_id)
{
	const struct dir_doc_meta meta = { .kind = DIR_DOC_RELAYS };
	struct dir_entry entry = { .len = 0 };
	int fd;

	memcpy(entry.key, rsa_id, 20);
	assert_int_equal(dir_doc_build(&fd, &meta, &entry, 1), 0);
	assert_int_equal(relay_set_document(r, DIR_DOC_RELAYS, fd), 0);
}

static void test_links(void **state)
{
	static struct link_page page;
	struct sim_client c[2];
	struct relay *r;
	struct sim s;

	(void)state;
	sim_start(&s);
	r = s.node[0].relay;
	relay_link_page(r, 0, &page);
	assert_int_equal(page.n + page.clients.n + page.unlisted.n + page.next, 0);
	build(&c[0], &s);
	build(&c[1], &s);
	relay_link_page(r, 0, &page);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.clients.n, 2);
	assert_int_equal(page.next, 0);
	assert_memory_equal(page.rows[0].rsa_id, s.node[1].keys.rsa_id, 20);
	assert_true(page.rows[0].initiator);
	assert_int_equal(page.rows[0].version, 5);
	list_relays(r, s.node[3].keys.rsa_id);
	relay_link_page(r, 0, &page);
	assert_int_equal(page.n, 0);
	assert_int_equal(page.unlisted.n, 1);
	list_relays(r, s.node[1].keys.rsa_id);
	relay_link_page(r, 0, &page);
	assert_int_equal(page.n, 1);
	sim_client_close(&c[0]);
	sim_client_close(&c[1]);
	sim_stop(&s);
}

/* Bytes are those of the last full minute, a power of two of MiB. */
static void test_bytes_are_coarse(void **state)
{
	static struct link_page page;
	struct sim_client c;
	struct relay *r;
	struct link *l;
	struct sim s;

	(void)state;
	sim_start(&s);
	build(&c, &s);
	r = s.node[0].relay;
	clock_advance_ms(60000 - clock_now_ms() % 60000);
	relay_tick(r);
	for (l = NULL; (l = link_next(r, l));)
		if (l->initiator)
			break;
	assert_non_null(l);
	l->read_bytes = (5 << 20) + 77;
	l->written_bytes = (3 << 20) - 1;
	sim_wait(&s, 59);
	relay_link_page(r, 0, &page);
	assert_int_equal(page.n, 1);
	assert_int_equal(page.rows[0].read_mib, 0);
	sim_wait(&s, 1);
	relay_link_page(r, 0, &page);
	assert_int_equal(page.rows[0].read_mib, 4);
	assert_int_equal(page.rows[0].written_mib, 2);
	sim_client_close(&c);
	sim_stop(&s);
}

/* Every link is seen once, whatever the pages. */
static void test_pages(void **state)
{
	enum { MANY = 3 * LINK_ROWS_MAX + 7 };
	static struct link_page page;
	const struct addr peer = { .family = ADDR_V4, .ip = { 127, 0, 0, 9 }, .port = 1 };
	uint32_t from = 0, rows = 0, pages = 0;
	struct relay *r;
	struct sim s;

	(void)state;
	sim_start(&s);
	r = s.node[0].relay;
	for (int i = 0; i < MANY; i++) {
		struct link *l = link_new(r, false, &peer);

		link_set_state(l, LINK_TLS, LINK_VERSIONS, "test");
		link_set_state(l, LINK_VERSIONS, LINK_AUTH, "test");
		memcpy(l->peer_id.rsa_id, &i, sizeof(i));
		l->authenticated = true;
		link_opened(l);
	}
	do {
		relay_link_page(r, from, &page);
		assert_true(page.next == 0 || page.next > from);
		from = page.next;
		rows += page.n;
		pages++;
	} while (from);
	assert_int_equal(rows, MANY);
	assert_int_equal(pages, 4);
	sim_stop(&s);
}

static void test_circuits(void **state)
{
	struct circuits_view v;
	struct sim_client c[3];
	struct sim s;

	(void)state;
	sim_start(&s);
	build(&c[0], &s);
	build(&c[1], &s);
	sim_client_open(&c[2], &s);
	assert_int_equal(sim_create(&c[2], HANDSHAKE_NTOR3), 0);
	relay_circuits_view(s.node[0].relay, &v);
	assert_int_equal(v.states[3], 2);
	assert_int_equal(v.states[1], 1);
	assert_int_equal(v.from_clients, 3);
	assert_int_equal(v.ages[0], 3);
	assert_int_equal(v.queues[0], 3);
	relay_circuits_view(s.node[2].relay, &v);
	assert_int_equal(v.states[1], 2);
	assert_int_equal(v.from_clients, 0);
	assert_int_equal(v.congestion_control, 2);
	clock_advance_ms(61000);
	relay_circuits_view(s.node[0].relay, &v);
	assert_int_equal(v.ages[2], 3);
	for (size_t i = 0; i < 3; i++)
		sim_client_close(&c[i]);
	sim_stop(&s);
}

/* evdns's own words. */
static void test_dns_servers(void **state)
{
	struct dns_view v = { .n = 0 };
	struct sim s;

	(void)state;
	sim_start(&s);
	relay_dns_view(s.node[0].relay, &v);
	assert_false(v.usable);		/* simulations have no resolver */
	sim_stop(&s);
	resolve_servers_hear("Nameserver 127.0.0.1:53 has failed: request timed out.");
	resolve_servers_hear("Nameserver 127.0.0.1:53 is back up");
	resolve_servers_hear("Nameserver [::1]:53 has failed: request timed out.");
	resolve_servers_hear("Nameserver ");
	resolve_servers_hear("Nameserver nonsense has failed");
	resolve_servers_hear("All nameservers have failed");
	resolve_servers_hear("");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links), cmocka_unit_test(test_bytes_are_coarse), cmocka_unit_test(test_pages),
		cmocka_unit_test(test_circuits), cmocka_unit_test(test_dns_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
