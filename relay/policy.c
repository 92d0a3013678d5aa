/*
 * Exit policies; see nonos/policy.h. A policy is a list of rules, each for one
 * address family: "*" becomes two rules, "private" one per network. Owned by
 * whoever parsed it.
 */
#include "config.h"

#include <nonos/policy.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/mem.h>

enum {
	PORT_MAX = 65535,
	RULES_MAX = 1024,		/* that an operator may write */
	MOST_BLOCKED = 1 << 25,		/* "most" addresses are allowed up to here (dir-spec 3.4.1) */
};

struct rule {
	struct addr net;
	uint8_t bits;
	bool accept;
	bool is_private;		/* from "private": all of addr_private_net() */
	uint16_t port_min, port_max;
};

struct policy {
	struct rule *rules;
	size_t n;
	bool rejects_all;		/* worked out once; asked for every look-up */
};

/* A piece of the policy's text. */
struct span {
	const char *p;
	size_t len;
};

static void policy_insert(struct policy *p, size_t at, const struct rule *rule)
{
	p->rules = mem_resize(p->rules, p->n + 1, sizeof(*p->rules));
	memmove(p->rules + at + 1, p->rules + at, (p->n - at) * sizeof(*p->rules));
	p->rules[at] = *rule;
	p->n++;
}

static void insert_private(struct policy *p, size_t at, struct rule rule, int only_family)
{
	unsigned bits;

	rule.is_private = true;
	for (size_t i = 0; addr_private_net(&rule.net, &bits, i); i++) {
		rule.bits = (uint8_t)bits;
		if (!only_family || rule.net.family == only_family)
			policy_insert(p, at++, &rule);
	}
}

static struct span span_trim(struct span s)
{
	while (s.len && isspace((unsigned char)s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len && isspace((unsigned char)s.p[s.len - 1]))
		s.len--;
	return s;
}

static bool span_is(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.p, word, s.len) == 0;
}

/* Cut `*s` at the first `sep`; returns what comes before it, or all. */
static struct span span_cut(struct span *s, const char *sep)
{
	struct span head = *s;
	size_t i = 0;

	while (i < s->len && !strchr(sep, s->p[i]))
		i++;
	head.len = i;
	i += i < s->len;
	s->p += i;
	s->len -= i;
	return head;
}

static int parse_number(unsigned *ret, struct span s, unsigned max)
{
	unsigned v = 0;

	if (s.len == 0 || s.len > 5)
		return ERR_MALFORMED;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return ERR_MALFORMED;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	if (v > max)
		return ERR_RANGE;
	*ret = v;
	return 0;
}

static int parse_ports(struct rule *rule, struct span s)
{
	unsigned low, high;
	struct span first;

	rule->port_min = 1;
	rule->port_max = PORT_MAX;
	if (span_is(s, "*"))
		return 0;
	first = span_cut(&s, "-");
	if (parse_number(&low, first, PORT_MAX) < 0)
		return ERR_RANGE;
	high = low;
	if (s.p > first.p + first.len && parse_number(&high, s, PORT_MAX) < 0)
		return ERR_RANGE;
	if (low == 0 || low > high)
		return ERR_RANGE;
	rule->port_min = (uint16_t)low;
	rule->port_max = (uint16_t)high;
	return 0;
}

/* The part after the slash: a number of bits, or a dotted IPv4 mask. */
static int parse_mask(uint8_t *ret_bits, struct span s, uint8_t family)
{
	struct addr mask;
	uint32_t m;
	unsigned bits;

	if (parse_number(&bits, s, family == ADDR_V4 ? 32 : 128) == 0) {
		*ret_bits = (uint8_t)bits;
		return 0;
	}
	if (family != ADDR_V4 || addr_parse_ip(&mask, s.p, s.len) < 0 || mask.family != ADDR_V4)
		return ERR_MALFORMED;
	m = (uint32_t)mask.ip[0] << 24 | (uint32_t)mask.ip[1] << 16 | (uint32_t)mask.ip[2] << 8 | mask.ip[3];
	if (~m & (~m + 1))
		return ERR_MALFORMED;	/* ones after a zero */
	for (bits = 0; m; m <<= 1)
		bits++;
	*ret_bits = (uint8_t)bits;
	return 0;
}

/* Clear the host part, so that equal networks look equal and print well. */
static void clear_host_bits(struct rule *rule)
{
	for (unsigned bit = rule->bits; bit < addr_ip_len(&rule->net) * 8; bit++)
		rule->net.ip[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
}

static int parse_network(struct policy *p, struct rule rule, struct span s, int only_family)
{
	struct span ip = span_cut(&s, "/");
	bool has_mask = s.p > ip.p + ip.len;

	if (addr_parse_ip(&rule.net, ip.p, ip.len) < 0)
		return ERR_MALFORMED;
	if ((rule.net.family == ADDR_V6 && ip.p[0] != '[') ||
	    (only_family && rule.net.family != only_family))
		return ERR_MALFORMED;
	rule.bits = rule.net.family == ADDR_V4 ? 32 : 128;
	if (has_mask && parse_mask(&rule.bits, s, rule.net.family) < 0)
		return ERR_MALFORMED;
	clear_host_bits(&rule);
	policy_insert(p, p->n, &rule);
	return 0;
}

static void add_all_of(struct policy *p, struct rule rule, enum addr_family family)
{
	rule.net = (struct addr){ .family = family };
	policy_insert(p, p->n, &rule);
}

/* Append the rules of one address pattern; `only_family` is ADDR_V6 for accept6. */
static int parse_addr(struct policy *p, const struct rule *rule, struct span s, int only_family)
{
	bool all = span_is(s, "*");

	if (!all && !span_is(s, "*4") && !span_is(s, "*6") && !span_is(s, "private"))
		return parse_network(p, *rule, s, only_family);
	if (span_is(s, "private")) {
		insert_private(p, p->n, *rule, only_family);
		return 0;
	}
	if (span_is(s, "*4") && only_family)
		return ERR_MALFORMED;
	if ((all && !only_family) || span_is(s, "*4"))
		add_all_of(p, *rule, ADDR_V4);
	if (all || span_is(s, "*6"))
		add_all_of(p, *rule, ADDR_V6);
	return 0;
}

/* Where the port begins: after the last colon outside brackets. */
static const char *find_port(struct span s)
{
	const char *colon = memrchr(s.p, ':', s.len), *bracket = memrchr(s.p, ']', s.len);

	return colon && (!bracket || colon > bracket) ? colon : NULL;
}

static const char *parse_rule(struct policy *p, struct span item)
{
	struct span word = span_cut(&item, " \t\r\v\f"), pattern = span_trim(item), ports = { "*", 1 };
	int only_family = span_is(word, "accept6") || span_is(word, "reject6") ? ADDR_V6 : 0;
	struct rule rule = { .accept = span_is(word, "accept") || span_is(word, "accept6") };
	const char *colon = find_port(pattern);

	if (!rule.accept && !span_is(word, "reject") && !span_is(word, "reject6"))
		return "a rule begins with accept, reject, accept6 or reject6";
	if (colon) {
		ports = (struct span){ colon + 1, (size_t)(pattern.p + pattern.len - colon - 1) };
		pattern.len = (size_t)(colon - pattern.p);
	}
	if (parse_ports(&rule, ports) < 0)
		return "ports are *, 1 to 65535, or a range such as 80-90";
	if (parse_addr(p, &rule, pattern, only_family) < 0)
		return "addresses are *, *4, *6, private, 192.0.2.0/24 or [2001:db8::]/32";
	if (p->n > RULES_MAX)
		return "there are too many rules";
	return NULL;
}

static bool family_rejected(const struct policy *p, enum addr_family family);

static void note_rejects_all(struct policy *p)
{
	p->rejects_all = family_rejected(p, ADDR_V4) && family_rejected(p, ADDR_V6);
}

int policy_parse(struct policy **ret, const char *text, char *ret_err, size_t err_cap)
{
	struct policy *p = mem_new(sizeof(*p));
	struct span rest = { text, strlen(text) };

	while (rest.len) {
		struct span item = span_trim(span_cut(&rest, ",\n"));
		const char *why = item.len ? parse_rule(p, item) : NULL;

		if (!why)
			continue;
		if (ret_err)
			snprintf(ret_err, err_cap, "\"%.*s\": %s",
				 item.len > 100 ? 100 : (int)item.len, item.p, why);
		policy_free(p);
		return ERR_MALFORMED;
	}
	note_rejects_all(p);
	*ret = p;
	return 0;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free(p->rules);
	free(p);
}

void policy_reject_private(struct policy *p)
{
	insert_private(p, 0, (struct rule){ .port_min = 1, .port_max = PORT_MAX }, 0);
	note_rejects_all(p);
}

void policy_reject_addr(struct policy *p, const struct addr *a)
{
	struct rule rule = { .net = *a, .port_min = 1, .port_max = PORT_MAX };

	addr_unmap(&rule.net);
	if (rule.net.family == ADDR_NONE)
		return;
	rule.net.port = 0;
	rule.bits = (uint8_t)(addr_ip_len(&rule.net) * 8);
	policy_insert(p, 0, &rule);
	note_rejects_all(p);
}

static bool rule_has_port(const struct rule *rule, uint32_t port)
{
	return port >= rule->port_min && port <= rule->port_max;
}

bool policy_allows(const struct policy *p, const struct addr *a)
{
	struct addr target = *a;

	addr_unmap(&target);
	for (size_t i = 0; i < p->n; i++) {
		const struct rule *rule = &p->rules[i];

		if (rule_has_port(rule, target.port) && addr_prefix_eq(&rule->net, &target, rule->bits))
			return rule->accept;
	}
	return false;
}

/* True when an earlier rejection of this port covers the whole network of rule `i`. */
static bool rule_is_dead(const struct policy *p, size_t i, uint16_t port)
{
	const struct rule *rule = &p->rules[i];

	for (size_t k = 0; k < i; k++) {
		const struct rule *before = &p->rules[k];

		if (!before->accept && rule_has_port(before, port) && before->bits <= rule->bits &&
		    addr_prefix_eq(&before->net, &rule->net, before->bits))
			return true;
	}
	return false;
}

bool policy_rejects_port(const struct policy *p, enum addr_family family, uint16_t port)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct rule *rule = &p->rules[i];

		if (rule->net.family != family || !rule_has_port(rule, port))
			continue;
		if (!rule->accept && rule->bits == 0)
			return true;
		if (rule->accept && !rule_is_dead(p, i, port))
			return false;
	}
	return true;
}

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The ports at which a family's rules begin or stop to apply, in order; PORT_MAX + 1 is the last. */
static uint32_t *port_bounds(const struct policy *p, enum addr_family family, size_t *ret_n)
{
	uint32_t *bounds = mem_new_array(2 * p->n + 2, sizeof(*bounds));
	size_t n = 0, kept = 0;

	bounds[n++] = 1;
	bounds[n++] = PORT_MAX + 1;
	for (size_t i = 0; i < p->n; i++) {
		if (p->rules[i].net.family != family)
			continue;
		bounds[n++] = p->rules[i].port_min;
		bounds[n++] = p->rules[i].port_max + 1u;
	}
	qsort(bounds, n, sizeof(*bounds), cmp_u32);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || bounds[i] != bounds[kept - 1])
			bounds[kept++] = bounds[i];
	*ret_n = kept;
	return bounds;
}

static bool family_rejected(const struct policy *p, enum addr_family family)
{
	bool rejected = true;
	size_t n;
	uint32_t *bounds = port_bounds(p, family, &n);

	for (size_t i = 0; i + 1 < n && rejected; i++)
		rejected = policy_rejects_port(p, family, (uint16_t)bounds[i]);
	free(bounds);
	return rejected;
}

bool policy_rejects_everything(const struct policy *p)
{
	return p->rejects_all;
}

static void put_rule(struct wr *w, const struct rule *rule)
{
	char ip[ADDR_TEXT_CAP];

	wr_printf(w, "%s ", rule->accept ? "accept" : "reject");
	if (rule->bits == 0)
		wr_printf(w, "*:");
	else if (rule->bits == 32)
		wr_printf(w, "%s:", addr_format_ip(ip, &rule->net));
	else
		wr_printf(w, "%s/%u:", addr_format_ip(ip, &rule->net), rule->bits);
	if (rule->port_min == 1 && rule->port_max == PORT_MAX)
		wr_printf(w, "*\n");
	else if (rule->port_min == rule->port_max)
		wr_printf(w, "%u\n", rule->port_min);
	else
		wr_printf(w, "%u-%u\n", rule->port_min, rule->port_max);
}

/*
 * Multicast and class E, 224.0.0.0/3, cannot be connected to in any case; an
 * authority would count them as half a billion blocked public addresses, and
 * call the relay no exit at all.
 */
static bool rule_is_printed(const struct rule *rule)
{
	return rule->net.family == ADDR_V4 && !(rule->is_private && rule->net.ip[0] >= 224);
}

int policy_descriptor_lines(char *out, size_t cap, const struct policy *p)
{
	struct wr w = wr_init(out, cap);
	bool ended = false;

	for (size_t i = 0; i < p->n && !ended; i++) {
		const struct rule *rule = &p->rules[i];

		if (!rule_is_printed(rule))
			continue;
		put_rule(&w, rule);
		ended = rule->bits == 0 && rule->port_min == 1 && rule->port_max == PORT_MAX;
	}
	if (!ended)
		wr_printf(&w, "reject *:*\n");
	wr_u8(&w, '\0');
	return wr_done(&w);
}

/* True for a network within one private network: rejecting it says nothing of the Internet. */
static bool rule_is_private(const struct rule *rule)
{
	struct addr net;
	unsigned bits;

	for (size_t i = 0; addr_private_net(&net, &bits, i); i++)
		if (rule->bits >= bits && addr_prefix_eq(&net, &rule->net, bits))
			return true;
	return false;
}

/*
 * Whether "most" addresses may be reached on `port` (dir-spec 3.4.1). IPv6 has no
 * number there; the same share of the address space is used, in units of a /32.
 */
static bool most_allowed(const struct policy *p, enum addr_family family, uint32_t port)
{
	uint64_t blocked = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct rule *rule = &p->rules[i];

		if (rule->net.family != family || !rule_has_port(rule, port))
			continue;
		if (rule->accept && rule->bits == 0)
			return true;
		if (rule->accept || rule_is_private(rule))
			continue;
		blocked += rule->bits >= 32 ? 1 : 1ull << (32 - rule->bits);
		if (blocked > MOST_BLOCKED)
			return false;
	}
	return false;
}

/*
 * Append the ports that are `wanted` (allowed or not) as "80,443,6660-6669". What does not fit
 * whole is left out; returns the number of items, or ERR_TOO_LONG.
 */
static int put_ports(struct wr *w, const uint32_t *bounds, const bool *allowed, size_t n, bool wanted)
{
	int items = 0;

	for (size_t i = 0, k; i + 1 < n; i = k) {
		uint8_t *mark = w->p;
		uint32_t first = bounds[i], last;

		for (k = i + 1; k + 1 < n && allowed[k] == allowed[i]; k++)
			;
		last = bounds[k] - 1;
		if (allowed[i] != wanted)
			continue;
		wr_printf(w, first == last ? "%s%u" : "%s%u-%u", items++ ? "," : "", first, last);
		if (w->failed) {
			w->p = mark;
			w->failed = false;
			return ERR_TOO_LONG;
		}
	}
	return items;
}

int policy_summary(char *out, size_t cap, const struct policy *p, enum addr_family family)
{
	uint8_t accepts[POLICY_SUMMARY_CAP - 1], rejects[POLICY_SUMMARY_CAP - 1];
	struct wr wa = wr_init(accepts, sizeof(accepts)), wb = wr_init(rejects, sizeof(rejects));
	struct wr w = wr_init(out, cap), *chosen;
	size_t n;
	uint32_t *bounds = port_bounds(p, family, &n);
	bool *allowed = mem_new_array(n, sizeof(*allowed));
	int na, nb;

	for (size_t i = 0; i + 1 < n; i++)
		allowed[i] = most_allowed(p, family, bounds[i]);
	wr_printf(&wa, "accept ");
	wr_printf(&wb, "reject ");
	na = put_ports(&wa, bounds, allowed, n, true);
	nb = put_ports(&wb, bounds, allowed, n, false);
	free(allowed);
	free(bounds);
	/* The shorter one, ties to accept; when both are too long, what fits of accept (3.8.2). */
	chosen = na == 0 || (nb > 0 && (na < 0 || wr_len(&wb) < wr_len(&wa))) ? &wb : &wa;
	wr_bytes(&w, chosen->start, wr_len(chosen));
	wr_u8(&w, '\0');
	return wr_done(&w);
}
