/* Link specifiers and the EXTEND2 body; see linkspec.h. */
#include "config.h"

#include "linkspec.h"

#include <string.h>

#include <nonos/bytes.h>
#include <nonos/err.h>

/* LSTYPE of tor-spec 5.1.2. */
enum linkspec_type {
	LINKSPEC_V4 = 0,
	LINKSPEC_V6 = 1,
	LINKSPEC_RSA = 2,
	LINKSPEC_ED25519 = 3,
};

/* Several addresses of one family are legal; only the first is used. */
static void read_addr(struct addr *ret, struct rd *spec, uint8_t family)
{
	struct addr a = { .family = family };

	rd_copy(spec, a.ip, addr_ip_len(&a));
	a.port = rd_u16(spec);
	if (a.port == 0)
		spec->failed = true;
	if (ret->family == ADDR_NONE)
		*ret = a;
}

static void read_id(uint8_t *out, bool *has, struct rd *spec, size_t len)
{
	rd_copy(spec, out, len);
	if (*has)
		spec->failed = true;
	*has = true;
}

static int read_linkspec(struct extend_target *t, struct rd *r)
{
	uint8_t type = rd_u8(r);
	struct rd spec = rd_sub(r, rd_u8(r));

	switch (type) {
	case LINKSPEC_V4:
		read_addr(&t->v4, &spec, ADDR_V4);
		break;
	case LINKSPEC_V6:
		read_addr(&t->v6, &spec, ADDR_V6);
		break;
	case LINKSPEC_RSA:
		read_id(t->rsa_id, &t->has_rsa_id, &spec, sizeof(t->rsa_id));
		break;
	case LINKSPEC_ED25519:
		read_id(t->ed_id, &t->has_ed_id, &spec, sizeof(t->ed_id));
		break;
	default:
		return rd_ok(&spec) ? 0 : ERR_MALFORMED;
	}
	return rd_done(&spec);
}

int extend2_parse(struct extend_target *ret, const uint8_t *data, size_t len)
{
	struct extend_target t = { .has_rsa_id = false };
	struct rd r = rd_init(data, len);
	unsigned count = rd_u8(&r);

	for (unsigned i = 0; i < count; i++)
		if (read_linkspec(&t, &r) < 0)
			return ERR_MALFORMED;
	t.htype = rd_u16(&r);
	t.hlen = rd_u16(&r);
	t.hdata = rd_take(&r, t.hlen);
	if (rd_done(&r) < 0 || !t.has_rsa_id)
		return ERR_MALFORMED;
	if (t.v4.family == ADDR_NONE && t.v6.family == ADDR_NONE)
		return ERR_MALFORMED;
	*ret = t;
	return 0;
}

static unsigned write_addr(struct wr *w, enum linkspec_type type, const struct addr *a)
{
	size_t ip_len = addr_ip_len(a);

	if (ip_len == 0)
		return 0;
	wr_u8(w, type);
	wr_u8(w, (uint8_t)(ip_len + 2));
	wr_bytes(w, a->ip, ip_len);
	wr_u16(w, a->port);
	return 1;
}

static unsigned write_id(struct wr *w, enum linkspec_type type, bool has, const uint8_t *id, size_t len)
{
	if (!has)
		return 0;
	wr_u8(w, type);
	wr_u8(w, (uint8_t)len);
	wr_bytes(w, id, len);
	return 1;
}

int extend2_build(uint8_t *out, size_t cap, size_t *ret_len, const struct extend_target *t)
{
	struct wr w = wr_init(out, cap);
	uint8_t *count = wr_reserve(&w, 1);
	unsigned n = 0;

	/* The order in which all clients send them (tor-spec 5.1.2). */
	n += write_addr(&w, LINKSPEC_V4, &t->v4);
	n += write_id(&w, LINKSPEC_RSA, t->has_rsa_id, t->rsa_id, sizeof(t->rsa_id));
	n += write_id(&w, LINKSPEC_ED25519, t->has_ed_id, t->ed_id, sizeof(t->ed_id));
	n += write_addr(&w, LINKSPEC_V6, &t->v6);
	wr_u16(&w, t->htype);
	wr_u16(&w, t->hlen);
	wr_bytes(&w, t->hdata, t->hlen);
	if (wr_done(&w) < 0)
		return ERR_TOO_LONG;
	*count = (uint8_t)n;
	*ret_len = wr_len(&w);
	return 0;
}
