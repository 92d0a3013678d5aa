#include "config.h"

#include <nonos/addr.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/log.h>

size_t addr_ip_len(const struct addr *a)
{
	return a->family == ADDR_V4 ? 4 : a->family == ADDR_V6 ? 16 : 0;
}

int addr_parse_ip(struct addr *ret, const char *text, size_t len)
{
	char buf[INET6_ADDRSTRLEN];
	struct addr a = { 0 };

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
		a.family = ADDR_V6;
	}
	if (len == 0 || len >= sizeof(buf) || memchr(text, '\0', len))
		return ERR_MALFORMED;
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (a.family == ADDR_NONE)
		a.family = strchr(buf, ':') ? ADDR_V6 : ADDR_V4;
	if (inet_pton(a.family == ADDR_V4 ? AF_INET : AF_INET6, buf, a.ip) != 1)
		return ERR_MALFORMED;
	*ret = a;
	return 0;
}

static int parse_port(uint16_t *ret, const char *text, size_t len)
{
	uint32_t v = 0;

	if (len == 0 || len > 5)
		return ERR_MALFORMED;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return ERR_MALFORMED;
		v = v * 10 + (uint32_t)(text[i] - '0');
	}
	if (v == 0 || v > 65535)
		return ERR_RANGE;
	*ret = (uint16_t)v;
	return 0;
}

int addr_parse(struct addr *ret, const char *text, size_t len)
{
	const char *colon = memrchr(text, ':', len);
	struct addr a;
	uint16_t port;
	size_t ip_len;
	int r;

	if (!colon)
		return ERR_MALFORMED;
	ip_len = (size_t)(colon - text);
	/* An IPv6 address without brackets has colons of its own. */
	if (memchr(text, ':', ip_len) && text[0] != '[')
		return ERR_MALFORMED;
	r = addr_parse_ip(&a, text, ip_len);
	if (r < 0)
		return r;
	r = parse_port(&port, colon + 1, len - ip_len - 1);
	if (r < 0)
		return r;
	a.port = port;
	*ret = a;
	return 0;
}

const char *addr_format_ip(char *out, const struct addr *a)
{
	if (a->family == ADDR_NONE ||
	    !inet_ntop(a->family == ADDR_V4 ? AF_INET : AF_INET6, a->ip, out, ADDR_TEXT_CAP))
		snprintf(out, ADDR_TEXT_CAP, "none");
	return out;
}

const char *addr_format(char *out, const struct addr *a)
{
	char ip[ADDR_TEXT_CAP];

	addr_format_ip(ip, a);
	if (a->family == ADDR_V6)
		snprintf(out, ADDR_TEXT_CAP, "[%.46s]:%u", ip, a->port);
	else
		snprintf(out, ADDR_TEXT_CAP, "%.46s:%u", ip, a->port);
	return out;
}

const char *log_addr(const struct addr *a)
{
	static char texts[4][ADDR_TEXT_CAP];
	static unsigned next;

	if (log_get_redact())
		return "[scrubbed]";
	return addr_format(texts[next++ % 4], a);
}

bool addr_ip_eq(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, addr_ip_len(a)) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_ip_eq(a, b) && a->port == b->port;
}

static bool bits_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

bool addr_prefix_eq(const struct addr *a, const struct addr *b, unsigned bits)
{
	size_t len = addr_ip_len(a);

	if (a->family != b->family || bits > len * 8)
		return false;
	return bits_eq(a->ip, b->ip, bits);
}

struct range {
	uint8_t ip[16];
	uint8_t bits;
};

static const struct range private_v4[] = {
	{ { 0 }, 8 }, { { 10 }, 8 }, { { 100, 64 }, 10 }, { { 127 }, 8 }, { { 169, 254 }, 16 },
	{ { 172, 16 }, 12 }, { { 192, 0, 0 }, 24 }, { { 192, 0, 2 }, 24 }, { { 192, 168 }, 16 },
	{ { 198, 18 }, 15 }, { { 198, 51, 100 }, 24 }, { { 203, 0, 113 }, 24 }, { { 224 }, 3 },
};

static const struct range private_v6[] = {
	{ { 0 }, 96 },				/* ::, ::1, and IPv4-compatible */
	{ { 0xfc }, 7 }, { { 0xfe, 0x80 }, 9 },	/* unique local; link- and site-local */
	{ { 0xff }, 8 }, { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, { { 0x01 }, 64 },
};

static const uint8_t mapped_prefix[16] = { [10] = 0xff, [11] = 0xff };

enum {
	PRIVATE_V4_NETS = sizeof(private_v4) / sizeof(private_v4[0]),
	PRIVATE_V6_NETS = sizeof(private_v6) / sizeof(private_v6[0]),
};

void addr_unmap(struct addr *a)
{
	if (a->family != ADDR_V6 || !bits_eq(a->ip, mapped_prefix, 96))
		return;
	a->family = ADDR_V4;
	memcpy(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

bool addr_private_net(struct addr *ret, unsigned *ret_bits, size_t i)
{
	bool v4 = i < PRIVATE_V4_NETS;
	const struct range *net;

	if (i >= (size_t)PRIVATE_V4_NETS + PRIVATE_V6_NETS)
		return false;
	net = v4 ? &private_v4[i] : &private_v6[i - PRIVATE_V4_NETS];
	*ret = (struct addr){ .family = v4 ? ADDR_V4 : ADDR_V6 };
	memcpy(ret->ip, net->ip, v4 ? 4 : 16);
	*ret_bits = net->bits;
	return true;
}

bool addr_is_private(const struct addr *a)
{
	const struct range *table = a->family == ADDR_V4 ? private_v4 : private_v6;
	size_t n = a->family == ADDR_V4 ? PRIVATE_V4_NETS : PRIVATE_V6_NETS;

	if (a->family == ADDR_NONE)
		return true;
	if (a->family == ADDR_V6 && bits_eq(a->ip, mapped_prefix, 96)) {
		struct addr v4 = *a;

		addr_unmap(&v4);
		return addr_is_private(&v4);
	}
	for (size_t i = 0; i < n; i++)
		if (bits_eq(a->ip, table[i].ip, table[i].bits))
			return true;
	return false;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == ADDR_V4 ? a->ip[0] == 127
				    : a->family == ADDR_V6 && memcmp(a->ip, one, 16) == 0;
}

socklen_t addr_to_sockaddr(struct sockaddr_storage *ret, const struct addr *a)
{
	memset(ret, 0, sizeof(*ret));
	if (a->family == ADDR_V4) {
		struct sockaddr_in *sin = (struct sockaddr_in *)ret;

		sin->sin_family = AF_INET;
		sin->sin_port = htons(a->port);
		memcpy(&sin->sin_addr, a->ip, 4);
		return sizeof(*sin);
	}
	if (a->family == ADDR_V6) {
		struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;

		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(a->port);
		memcpy(&sin6->sin6_addr, a->ip, 16);
		return sizeof(*sin6);
	}
	return 0;
}

int addr_from_sockaddr(struct addr *ret, const struct sockaddr *sa, socklen_t len)
{
	struct addr a = { 0 };

	if (sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;

		a.family = ADDR_V4;
		a.port = ntohs(sin->sin_port);
		memcpy(a.ip, &sin->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;

		a.family = ADDR_V6;
		a.port = ntohs(sin6->sin6_port);
		memcpy(a.ip, &sin6->sin6_addr, 16);
	} else {
		return ERR_UNSUPPORTED;
	}
	*ret = a;
	return 0;
}
