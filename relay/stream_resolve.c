/*
 * RESOLVE and RESOLVED (tor-spec 6.4). Names are looked up by the relay's
 * resolver; a look-up under way counts as a stream of its circuit.
 */
#include "config.h"

#include "stream.h"

#include <nonos/err.h>
#include <nonos/policy.h>

#include "circuit.h"
#include "edge_msg.h"
#include "relay_priv.h"
#include "resolve.h"

static int answer(struct edge *e, uint16_t id, const struct resolve_answer *a)
{
	uint8_t body[RELAY_DATA_MAX];

	(void)circuit_send(e->circuit, RELAY_RESOLVED, id, body, resolved_build(body, sizeof(body), a), NULL);
	return 0;
}

/* What the local network calls its machines is nobody's business. */
static void drop_private(struct resolve_answer *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->n_addr; i++)
		if (!addr_is_private(&a->addr[i]))
			a->addr[kept++] = a->addr[i];
	a->n_addr = kept;
	if (kept == 0 && !a->name[0])
		a->result = RESOLVE_PERMANENT;
}

static void resolved_cb(void *arg, const struct resolve_answer *found)
{
	struct stream *s = arg;
	struct edge *e = s->edge;
	struct resolve_answer a = *found;
	uint16_t id = s->id;

	s->query = NULL;
	if (a.result == RESOLVE_OK && !e->relay->config.allow_private)
		drop_private(&a);
	stream_free(s);
	answer(e, id, &a);
}

static int refuse(struct edge *e, uint16_t id, enum resolve_result why)
{
	struct resolve_answer a = { .result = why };

	return answer(e, id, &a);
}

static void look_up(struct edge *e, uint16_t id, const struct resolve_request *q)
{
	struct stream *s = stream_new(e, STREAM_RESOLVE, id);
	struct resolve_query *query = NULL;
	int r;

	if (q->what == RESOLVE_REVERSE)
		r = resolve_ptr(e->relay->resolver, &query, &q->addr, resolved_cb, s);
	else
		r = resolve_name(e->relay->resolver, &query, q->host, resolved_cb, s);
	if (r < 0) {
		stream_free(s);
		refuse(e, id, RESOLVE_TRANSIENT);
	} else if (query) {
		s->query = query;
	}
}

int resolve_begin(struct edge *e, const struct relay_msg *m)
{
	struct relay *r = e->relay;
	struct resolve_request q;

	r->counters.resolves++;
	if (resolve_parse(&q, m->data, m->len) < 0)
		return refuse(e, m->stream_id, RESOLVE_PERMANENT);
	/* A relay that is no exit does no look-ups for strangers either. */
	if (!r->policy || policy_rejects_everything(r->policy))
		return refuse(e, m->stream_id, RESOLVE_PERMANENT);
	if (q.what == RESOLVE_LITERAL) {
		struct resolve_answer a = { .result = RESOLVE_OK, .n_addr = 1, .addr = { q.addr } };

		return answer(e, m->stream_id, &a);
	}
	if (q.what == RESOLVE_REVERSE && !r->config.allow_private && addr_is_private(&q.addr))
		return refuse(e, m->stream_id, RESOLVE_PERMANENT);
	if (edge_is_full(e))
		return refuse(e, m->stream_id, RESOLVE_TRANSIENT);
	look_up(e, m->stream_id, &q);
	return 0;
}
