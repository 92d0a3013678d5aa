/*
 * Bytes of a hostile peer on a link, after TLS: the handshake as responder and
 * as initiator, and an open link with its circuits. The first byte chooses.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/mem.h>

#include "../../relay/link_handshake.h"
#include "../../relay/link.h"
#include "../../relay/relay_priv.h"
#include "../../relay/sched.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void no_flush(struct link *l)
{
	uint8_t out[CELLS_PER_RECORD * CELL_LEN];

	while (sched_fill(l, out, CELLS_PER_RECORD))
		;
}

static int no_dial(struct link *l)
{
	(void)l;
	return 0;
}

static void set_keys(struct relay *r)
{
	struct onion_keys onion = { .count = 1 };
	struct link_keys keys = { .rsa_id = { 1 }, .ed_id = { 2 } };
	uint8_t *key, *cert;
	size_t key_len, cert_len;

	if (x509_make_link_cert(&key, &key_len, &cert, &cert_len, clock_wall(), 86400) < 0)
		abort();
	memcpy(keys.tls_key, key, key_len);
	memcpy(keys.tls_cert, cert, cert_len);
	keys.tls_key_len = (uint16_t)key_len;
	keys.tls_cert_len = (uint16_t)cert_len;
	free(key);
	free(cert);
	memset(onion.secret[0], 7, 32);
	if (relay_set_link_keys(r, &keys) < 0 || relay_set_onion_keys(r, &onion) < 0)
		abort();
}

static struct relay *relay_once(void)
{
	static struct relay *r;
	struct relay_config config = {
		.allow_private = true, .exit_policy = "reject *:*",
		.limits = { .max_memory = 1 << 28, .links_total = 50, .circuits_per_link = 50, .handshake_queue = 20,
			    .cells_per_circuit = 100, .streams_per_circuit = 10 },
	};

	if (r)
		return r;
	if (crypto_init() < 0)
		abort();
	clock_set_manual(1000000, 1790000000);
	r = relay_new(NULL, NULL);
	r->dial = no_dial;
	r->flush = no_flush;
	if (relay_set_config(r, &config) < 0)
		abort();
	set_keys(r);
	return r;
}

static struct link *make_link(struct relay *r, uint8_t kind)
{
	struct addr peer = { .family = ADDR_V4, .ip = { 127, 0, 0, 9 }, .port = 9 };
	struct link *l = link_new(r, kind == 1, &peer);

	if (l->initiator) {
		link_index_outgoing(l);
		link_set_state(l, LINK_CONNECTING, LINK_TLS, "fuzz");
	}
	link_hs_start(l);
	if (kind < 2)
		return l;
	link_set_state(l, LINK_VERSIONS, LINK_AUTH, "fuzz");
	l->version = 5;
	l->authenticated = kind == 3;
	link_opened(l);
	return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct relay *r = relay_once();
	struct link *l;
	uint8_t *copy;
	uint64_t id;

	if (len == 0)
		return 0;
	l = make_link(r, data[0] % 4);
	id = l->id;
	copy = mem_dup(data + 1, len - 1);
	link_open_cells(l, copy, len - 1);
	free(copy);
	sched_round(r);
	clock_advance_ms(100000);
	relay_tick(r);
	sched_round(r);
	if ((l = link_by_id(r, id)))
		link_close(l, "fuzz");
	/* Links that an EXTEND2 dialled go as well: each input starts from nothing. */
	for (l = NULL; (l = link_next(r, l));)
		link_close(l, "fuzz");
	while (r->dead_circuits || r->dead_links || r->flush_first || r->writable)
		sched_round(r);
	return 0;
}
