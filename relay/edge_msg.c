/* Bodies of stream messages; see edge_msg.h. */
#include "config.h"

#include "edge_msg.h"

#include <string.h>

#include <nonos/bytes.h>
#include <nonos/err.h>

#include "relay_msg.h"
#include "resolve.h"

enum {
	LABEL_MAX = 63,
	NAME_MAX_LEN = 253,
	RESOLVED_NAME = 0x00,
	RESOLVED_V4 = 0x04,
	RESOLVED_V6 = 0x06,
	RESOLVED_TRANSIENT = 0xf0,
	RESOLVED_PERMANENT = 0xf1,
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool label_ok(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_digit(label[i]) && !(label[i] >= 'a' && label[i] <= 'z') &&
		    label[i] != '-' && label[i] != '_')
			return false;
	return true;
}

static bool all_digits(const char *label, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_digit(label[i]))
			return false;
	return true;
}

/* Names that the DNS must never see (RFC 7686), or that end like a mistyped address. */
static bool name_is_special(const char *last, size_t len)
{
	return all_digits(last, len) || (len == 5 && memcmp(last, "onion", 5) == 0) ||
	       (len == 4 && memcmp(last, "exit", 4) == 0);
}

int host_parse(char ret[HOST_CAP], const char *text, size_t len)
{
	char name[HOST_CAP];
	size_t start = 0;

	if (len && text[len - 1] == '.')
		len--;
	if (len == 0 || len > NAME_MAX_LEN)
		return ERR_MALFORMED;
	for (size_t i = 0; i < len; i++)
		name[i] = lower(text[i]);
	name[len] = '\0';
	for (size_t i = 0; i <= len; i++) {
		if (i < len && name[i] != '.')
			continue;
		if (!label_ok(name + start, i - start))
			return ERR_MALFORMED;
		if (i == len && name_is_special(name + start, i - start))
			return ERR_MALFORMED;
		start = i + 1;
	}
	memcpy(ret, name, len + 1);
	return 0;
}

static int port_parse(uint16_t *ret, const char *text, size_t len)
{
	uint32_t port = 0;

	if (len == 0 || len > 5 || !all_digits(text, len))
		return ERR_MALFORMED;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (uint32_t)(text[i] - '0');
	if (port == 0 || port > 65535)
		return ERR_MALFORMED;
	*ret = (uint16_t)port;
	return 0;
}

/* A literal address, IPv6 in brackets, or a name. */
static int target_parse(char host[HOST_CAP], struct addr *ret_addr, const char *text, size_t len)
{
	struct addr a;

	host[0] = '\0';
	*ret_addr = (struct addr){ 0 };
	if (addr_parse_ip(&a, text, len) < 0)
		return host_parse(host, text, len);
	if (a.family == ADDR_V6 && text[0] != '[')
		return ERR_MALFORMED;
	addr_unmap(&a);
	*ret_addr = a;
	return 0;
}

int begin_parse(struct begin *ret, const uint8_t *body, size_t len)
{
	const char *text = (const char *)body, *nul = memchr(body, '\0', len), *colon;
	struct begin b = { 0 };
	struct rd r;

	colon = nul ? memrchr(text, ':', (size_t)(nul - text)) : NULL;
	if (!colon)
		return ERR_MALFORMED;
	if (target_parse(b.host, &b.addr, text, (size_t)(colon - text)) < 0 ||
	    port_parse(&b.port, colon + 1, (size_t)(nul - colon - 1)) < 0)
		return ERR_MALFORMED;
	r = rd_init(nul + 1, len - (size_t)(nul + 1 - text));
	/* The flags came later; what follows them is for the future. */
	if (rd_left(&r) >= 4)
		b.flags = rd_u32(&r);
	b.addr.port = b.port;
	*ret = b;
	return 0;
}

/* "4.3.2.1.in-addr.arpa" */
static int arpa4_parse(struct addr *ret, const char *name, size_t len)
{
	struct addr a, reversed = { .family = ADDR_V4 };

	if (addr_parse_ip(&a, name, len) < 0 || a.family != ADDR_V4)
		return ERR_MALFORMED;
	for (int i = 0; i < 4; i++)
		reversed.ip[i] = a.ip[3 - i];
	*ret = reversed;
	return 0;
}

static int nibble(char c)
{
	return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 nibbles, the last one first, with dots between, and ".ip6.arpa" */
static int arpa6_parse(struct addr *ret, const char *name, size_t len)
{
	struct addr a = { .family = ADDR_V6 };

	if (len != 63)
		return ERR_MALFORMED;
	for (int i = 0; i < 32; i++) {
		int v = nibble(lower(name[2 * i]));

		if (v < 0 || (i < 31 && name[2 * i + 1] != '.'))
			return ERR_MALFORMED;
		a.ip[15 - i / 2] |= (uint8_t)(i % 2 ? v << 4 : v);
	}
	*ret = a;
	return 0;
}

static bool ends_with(const char *text, size_t len, const char *tail)
{
	size_t n = strlen(tail);

	if (len < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(text[len - n + i]) != tail[i])
			return false;
	return true;
}

int resolve_parse(struct resolve_request *ret, const uint8_t *body, size_t len)
{
	static const char v4[] = ".in-addr.arpa", v6[] = ".ip6.arpa";
	const char *text = (const char *)body, *nul = memchr(body, '\0', len);
	struct resolve_request q = { .what = RESOLVE_REVERSE };
	int r;

	if (!nul)
		return ERR_MALFORMED;
	len = (size_t)(nul - text);
	if (ends_with(text, len, v4)) {
		r = arpa4_parse(&q.addr, text, len - (sizeof(v4) - 1));
	} else if (ends_with(text, len, v6)) {
		r = arpa6_parse(&q.addr, text, len - (sizeof(v6) - 1));
	} else {
		if (addr_parse_ip(&q.addr, text, len) == 0)
			r = 0;
		else
			r = host_parse(q.host, text, len);
		q.what = q.addr.family == ADDR_NONE ? RESOLVE_FORWARD : RESOLVE_LITERAL;
	}
	if (r < 0)
		return r;
	*ret = q;
	return 0;
}

size_t connected_build(uint8_t out[CONNECTED_MAX], const struct addr *a)
{
	struct wr w = wr_init(out, CONNECTED_MAX);

	if (a->family == ADDR_V6) {
		wr_u32(&w, 0);
		wr_u8(&w, 6);
	}
	wr_bytes(&w, a->ip, addr_ip_len(a));
	wr_u32(&w, EDGE_TTL_S);
	return wr_len(&w);
}

size_t end_policy_build(uint8_t out[END_MAX], const struct addr *a)
{
	struct wr w = wr_init(out, END_MAX);

	wr_u8(&w, END_EXITPOLICY);
	if (a->family != ADDR_NONE) {
		wr_bytes(&w, a->ip, addr_ip_len(a));
		wr_u32(&w, EDGE_TTL_S);
	}
	return wr_len(&w);
}

static void put_answer(struct wr *w, uint8_t type, const void *value, size_t len)
{
	wr_u8(w, type);
	wr_u8(w, (uint8_t)len);
	wr_bytes(w, value, len);
	wr_u32(w, EDGE_TTL_S);
}

size_t resolved_build(uint8_t *out, size_t cap, const struct resolve_answer *answer)
{
	static const char why[] = "Error resolving hostname";
	struct wr w = wr_init(out, cap);

	if (answer->result == RESOLVE_OK && answer->name[0])
		put_answer(&w, RESOLVED_NAME, answer->name, strlen(answer->name));
	for (size_t i = 0; answer->result == RESOLVE_OK && i < answer->n_addr; i++)
		put_answer(&w, answer->addr[i].family == ADDR_V4 ? RESOLVED_V4 : RESOLVED_V6,
			   answer->addr[i].ip, addr_ip_len(&answer->addr[i]));
	if (wr_len(&w) == 0)
		put_answer(&w, answer->result == RESOLVE_TRANSIENT ? RESOLVED_TRANSIENT : RESOLVED_PERMANENT,
			   why, sizeof(why) - 1);
	return wr_len(&w);
}
