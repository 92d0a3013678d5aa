/* What one keeper says to the other (hand_over.h): see message.h. */
#include "config.h"

#include "message.h"

#include <string.h>

#include <nonos/err.h>

#include "message_priv.h"

static void put_text(struct wr *w, const char *text)
{
	size_t len = strlen(text);

	wr_u16(w, (uint16_t)len);
	wr_bytes(w, text, len);
}

/* Of a text that a later version may make longer, the front. */
static bool text_read_cut(char *out, size_t cap, struct rd *r)
{
	size_t len = rd_u16(r);
	const uint8_t *p = rd_take(r, len);

	if (!p || memchr(p, '\0', len))
		return false;
	len = len < cap ? len : cap - 1;
	memcpy(out, p, len);
	out[len] = '\0';
	return true;
}

void message_hand_ask_write(struct wr *w, const struct message_hand_ask *m)
{
	wr_u32(w, m->version);
	wr_u8(w, m->flags);
}

int message_hand_ask_read(struct message_hand_ask *ret, struct rd *r)
{
	struct message_hand_ask m = { .version = rd_u32(r) };

	m.flags = rd_u8(r);
	if (!rd_ok(r))
		return ERR_MALFORMED;
	*ret = m;
	return 0;
}

void message_state_write(struct wr *w, const struct message_state *m)
{
	wr_u32(w, m->version);
	wr_u64(w, m->program_dev);
	wr_u64(w, m->program_ino);
	wr_u64(w, m->started_ms);
	wr_u32(w, m->watchdog_ms);
	wr_u8(w, m->reached);
	wr_u8(w, m->found_out);
	message_addr_write(w, &m->v4);
	message_addr_write(w, &m->v6);
	put_text(w, m->notify);
	put_text(w, m->control);
	put_text(w, m->release);
}

int message_state_read(struct message_state *ret, struct rd *r)
{
	struct message_state *m = ret;

	memset(m, 0, sizeof(*m));
	m->version = rd_u32(r);
	m->program_dev = rd_u64(r);
	m->program_ino = rd_u64(r);
	m->started_ms = rd_u64(r);
	m->watchdog_ms = rd_u32(r);
	if (!message_flag_read(&m->reached, r) || !message_flag_read(&m->found_out, r) ||
	    !message_addr_read(&m->v4, r) || !message_addr_read(&m->v6, r) ||
	    !text_read_cut(m->notify, sizeof(m->notify), r) || !text_read_cut(m->control, sizeof(m->control), r) ||
	    !text_read_cut(m->release, sizeof(m->release), r))
		return ERR_MALFORMED;
	return 0;
}

void message_text_write(struct wr *w, const char *text)
{
	put_text(w, text);
}

int message_text_read(char *out, size_t cap, struct rd *r)
{
	return text_read_cut(out, cap, r) ? 0 : ERR_MALFORMED;
}
