/* The messages by which a worker shows its links, circuits and resolver. */
#include "config.h"

#include "message.h"

#include <nonos/err.h>

#include "message_priv.h"

/* The sizes in the table. */
enum { ROW_LEN = 20 + 1 + 1 + 3 * 4, SUM_LEN = 3 * 4, SERVER_LEN = 19 + 1 + 4 };

_Static_assert(4 + 4 + 2 * SUM_LEN + 2 == 34 && 34 + LINK_ROWS_MAX * ROW_LEN == 8738, "LINKS in messages.def");
_Static_assert(4 + 4 * (VIEW_STATES + VIEW_AGES + VIEW_QUEUES) + 2 * 4 + 8 == 80, "CIRCUITS in messages.def");
_Static_assert(4 + 1 + 4 + 4 + 8 + 1 == 22 && 22 + DNS_SERVERS_MAX * SERVER_LEN == 406, "DNS in messages.def");

void message_ask_write(struct wr *w, const struct message_ask *m)
{
	wr_u32(w, m->id);
	wr_u8(w, m->kind);
	wr_u32(w, m->from);
}

int message_ask_read(struct message_ask *ret, struct rd *r)
{
	struct message_ask m = { .id = rd_u32(r) };

	m.kind = rd_u8(r);
	m.from = rd_u32(r);
	if (rd_done(r) < 0 || m.kind < ASK_LINKS || m.kind > ASK_DNS)
		return ERR_MALFORMED;
	*ret = m;
	return 0;
}

/* -- links ------------------------------------------------------------------------ */

static void sum_write(struct wr *w, const struct link_sum *s)
{
	wr_u32(w, s->n);
	wr_u32(w, s->read_mib);
	wr_u32(w, s->written_mib);
}

static void sum_read(struct link_sum *s, struct rd *r)
{
	s->n = rd_u32(r);
	s->read_mib = rd_u32(r);
	s->written_mib = rd_u32(r);
}

enum { ROW_INITIATOR = 1, ROW_CANONICAL = 2 };

static void row_write(struct wr *w, const struct link_row *row)
{
	wr_bytes(w, row->rsa_id, sizeof(row->rsa_id));
	wr_u8(w, (uint8_t)(row->initiator * ROW_INITIATOR | row->canonical * ROW_CANONICAL));
	wr_u8(w, row->version);
	wr_u32(w, row->age_min);
	wr_u32(w, row->read_mib);
	wr_u32(w, row->written_mib);
}

static bool row_read(struct link_row *row, struct rd *r)
{
	uint8_t bits;

	rd_copy(r, row->rsa_id, sizeof(row->rsa_id));
	bits = rd_u8(r);
	row->initiator = bits & ROW_INITIATOR;
	row->canonical = bits & ROW_CANONICAL;
	row->version = rd_u8(r);
	row->age_min = rd_u32(r);
	row->read_mib = rd_u32(r);
	row->written_mib = rd_u32(r);
	return bits <= (ROW_INITIATOR | ROW_CANONICAL);
}

void message_links_write(struct wr *w, uint32_t id, const struct link_page *m)
{
	wr_u32(w, id);
	wr_u32(w, m->next);
	sum_write(w, &m->clients);
	sum_write(w, &m->unlisted);
	wr_u16(w, m->n);
	for (size_t i = 0; i < m->n; i++)
		row_write(w, &m->rows[i]);
}

int message_links_read(uint32_t *ret_id, struct link_page *ret, struct rd *r)
{
	uint32_t id = rd_u32(r);

	ret->next = rd_u32(r);
	sum_read(&ret->clients, r);
	sum_read(&ret->unlisted, r);
	ret->n = rd_u16(r);
	if (ret->n > LINK_ROWS_MAX)
		return ERR_MALFORMED;
	for (size_t i = 0; i < ret->n; i++)
		if (!row_read(&ret->rows[i], r))
			return ERR_MALFORMED;
	if (rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret_id = id;
	return 0;
}

/* -- circuits --------------------------------------------------------------------- */

static void list_write(struct wr *w, const uint32_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		wr_u32(w, v[i]);
}

static void list_read(uint32_t *v, size_t n, struct rd *r)
{
	for (size_t i = 0; i < n; i++)
		v[i] = rd_u32(r);
}

void message_circuits_write(struct wr *w, uint32_t id, const struct circuits_view *m)
{
	wr_u32(w, id);
	list_write(w, m->states, VIEW_STATES);
	list_write(w, m->ages, VIEW_AGES);
	list_write(w, m->queues, VIEW_QUEUES);
	wr_u32(w, m->from_clients);
	wr_u32(w, m->congestion_control);
	wr_u64(w, m->queued_cells);
}

int message_circuits_read(uint32_t *ret_id, struct circuits_view *ret, struct rd *r)
{
	uint32_t id = rd_u32(r);
	struct circuits_view v;

	list_read(v.states, VIEW_STATES, r);
	list_read(v.ages, VIEW_AGES, r);
	list_read(v.queues, VIEW_QUEUES, r);
	v.from_clients = rd_u32(r);
	v.congestion_control = rd_u32(r);
	v.queued_cells = rd_u64(r);
	if (rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret_id = id;
	*ret = v;
	return 0;
}

/* -- names ------------------------------------------------------------------------- */

void message_dns_write(struct wr *w, uint32_t id, const struct dns_view *m)
{
	wr_u32(w, id);
	wr_u8(w, m->usable);
	wr_u32(w, m->cached);
	wr_u32(w, m->pending);
	wr_u64(w, m->cache_bytes);
	wr_u8(w, m->n);
	for (size_t i = 0; i < m->n; i++) {
		message_addr_write(w, &m->servers[i].addr);
		wr_u8(w, m->servers[i].down);
		wr_u32(w, m->servers[i].failures);
	}
}

static bool server_read(struct dns_server *s, struct rd *r)
{
	bool good = message_addr_read(&s->addr, r) && s->addr.family != ADDR_NONE;

	good = message_flag_read(&s->down, r) && good;
	s->failures = rd_u32(r);
	return good;
}

int message_dns_read(uint32_t *ret_id, struct dns_view *ret, struct rd *r)
{
	uint32_t id = rd_u32(r);
	struct dns_view v = { .usable = false };

	if (!message_flag_read(&v.usable, r))
		return ERR_MALFORMED;
	v.cached = rd_u32(r);
	v.pending = rd_u32(r);
	v.cache_bytes = rd_u64(r);
	v.n = rd_u8(r);
	if (v.n > DNS_SERVERS_MAX)
		return ERR_MALFORMED;
	for (size_t i = 0; i < v.n; i++)
		if (!server_read(&v.servers[i], r))
			return ERR_MALFORMED;
	if (rd_done(r) < 0)
		return ERR_MALFORMED;
	*ret_id = id;
	*ret = v;
	return 0;
}
