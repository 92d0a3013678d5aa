/* What the operator may see of links and circuits; see nonos/relay_view.h. */
#include "config.h"

#include <nonos/relay_view.h>

#include <string.h>

#include <nonos/clock.h>

#include "circuit.h"
#include "link.h"
#include "relay_priv.h"
#include "resolve.h"

enum { SLOTS_PER_PAGE = 8192 };

/* -- links --------------------------------------------------------------------- */

static uint32_t sum_u32(uint32_t a, uint64_t b)
{
	return b > UINT32_MAX - a ? UINT32_MAX : a + (uint32_t)b;
}

/*
 * The highest power of two below: a relay that carries little must not show the
 * same amount on two links.
 */
static uint32_t coarse(uint32_t mib)
{
	return mib ? UINT32_C(1) << (31 - __builtin_clz(mib)) : 0;
}

static void sum_coarsen(struct link_sum *s)
{
	s->read_mib = coarse(s->read_mib);
	s->written_mib = coarse(s->written_mib);
}

static void link_add(struct link_sum *s, const struct link *l)
{
	s->n++;
	s->read_mib = sum_u32(s->read_mib, l->shown.read_mib);
	s->written_mib = sum_u32(s->written_mib, l->shown.written_mib);
}

static void link_fill(struct link_row *row, const struct link *l)
{
	*row = (struct link_row){
		.initiator = l->initiator, .canonical = l->canonical, .version = (uint8_t)l->version,
		.age_min = sum_u32(0, (clock_now_ms() - l->created_ms) / 60000),
		.read_mib = coarse(l->shown.read_mib), .written_mib = coarse(l->shown.written_mib),
	};
	memcpy(row->rsa_id, l->peer_id.rsa_id, sizeof(row->rsa_id));
}

static void page_add(struct link_page *page, const struct link *l)
{
	if (!l->authenticated)
		link_add(&page->clients, l);
	else if (!link_is_relay(l))
		link_add(&page->unlisted, l);
	else
		link_fill(&page->rows[page->n++], l);
}

void relay_link_page(const struct relay *r, uint32_t from, struct link_page *ret)
{
	const struct link *l = NULL;
	uint32_t seen = 0;

	memset(ret, 0, sizeof(*ret));
	while ((l = link_from(r, from))) {
		if (seen++ == SLOTS_PER_PAGE || ret->n == LINK_ROWS_MAX) {
			ret->next = from;
			break;
		}
		from = (uint32_t)l->id;
		if (l->state == LINK_OPEN)
			page_add(ret, l);
	}
	sum_coarsen(&ret->clients);
	sum_coarsen(&ret->unlisted);
}

/* -- circuits -------------------------------------------------------------------- */

static size_t age_place(uint64_t ms)
{
	static const uint64_t below_s[VIEW_AGES - 1] = { 10, 60, 600, 3600, 86400 };
	size_t i = 0;

	while (i < VIEW_AGES - 1 && ms >= below_s[i] * 1000)
		i++;
	return i;
}

static size_t queue_place(size_t cells)
{
	size_t i = 0;

	for (size_t below = 1; i < VIEW_QUEUES - 1 && cells >= below; below *= 10)
		i++;
	return i;
}

/* Place in `states`; a closed one has none. */
static size_t state_place(enum circuit_state s)
{
	switch (s) {
	case CIRCUIT_NEW:
		return 0;
	case CIRCUIT_OPEN:
		return 1;
	case CIRCUIT_EXTENDING:
		return 2;
	case CIRCUIT_JOINED:
		return 3;
	case CIRCUIT_CLOSED:
	case CIRCUIT_STATES:
		break;
	}
	return VIEW_STATES;
}

const char *relay_view_state(size_t i)
{
	static const char *const names[VIEW_STATES] = { "new", "last hop", "extending", "joined" };

	return i < VIEW_STATES ? names[i] : "?";
}

static void circuit_add(struct circuits_view *v, const struct circuit *c, uint64_t now)
{
	size_t prev = c->end[SIDE_PREV].queue.count, next = c->end[SIDE_NEXT].queue.count;
	size_t state = state_place(c->state);

	if (state == VIEW_STATES)
		return;
	v->states[state]++;
	v->ages[age_place(now - c->created_ms)]++;
	v->queues[queue_place(prev > next ? prev : next)]++;
	v->from_clients += c->from_client;
	v->congestion_control += c->sendme_inc != 0;
	v->queued_cells += prev + next;
}

void relay_circuits_view(const struct relay *r, struct circuits_view *ret)
{
	uint64_t now = clock_now_ms();

	memset(ret, 0, sizeof(*ret));
	for (const struct circuit *c = r->circuits; c; c = c->all_next)
		circuit_add(ret, c, now);
}

/* -- names -------------------------------------------------------------------------- */

void relay_dns_view(const struct relay *r, struct dns_view *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!r->resolver)
		return;
	ret->usable = true;
	resolver_view(r->resolver, ret);
}
