/*
 * The resolver; see resolve.h. Libevent's evdns does the asking; this keeps
 * what was answered and shares look-ups. A look-up lives in the table from the
 * first query for it until its answer is old; those of the hosts file stay.
 */
#include "config.h"

#include "resolve.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

#include "edge_msg.h"
#include "resolve_servers.h"

enum {
	BUCKETS = 2048,
	ADDRS = sizeof(((struct resolve_answer *)0)->addr) / sizeof(struct addr),
	SKEW_S = 1,			/* between the answers for IPv4 and IPv6 */
	HOSTS_LINES_MAX = 10000,
};

struct resolve_query {
	struct resolve_query *next, **link;	/* whoever points here */
	resolve_cb *cb;
	void *arg;
};

/* What is under way for a look-up: A and AAAA, or PTR alone. */
struct search {
	struct evdns_request *request[2];
	unsigned n_left;
	bool failed;			/* in a way that may pass */
	struct addr found[2][ADDRS];	/* IPv4, IPv6 */
	size_t n_found[2];
	struct event skew;		/* how long the second answer is waited for */
};

struct lookup {
	struct resolver *resolver;
	struct lookup *bucket_next;
	struct lookup *order_next;	/* finished ones, in the order in which they expire */
	struct resolve_query *queries;
	struct search *search;		/* NULL when there is an answer */
	bool is_ptr;
	uint64_t expires_ms;
	struct addr addr;		/* what is_ptr asks for */
	struct resolve_answer answer;
	char name[];			/* what the others ask for */
};

struct resolver {
	struct event_base *base;
	struct evdns_base *dns;
	struct lookup *buckets[BUCKETS];
	struct lookup *oldest, *newest;
	size_t n_pending, n_cached, bytes;
	struct resolver_counts counts;
	uint32_t seed;
	bool closing;			/* freed with the last look-up under way */
};

/* -- the table */

static uint32_t hash(const struct resolver *r, const struct addr *ptr, const char *name)
{
	const uint8_t *p = ptr ? ptr->ip : (const uint8_t *)name;
	size_t len = ptr ? sizeof(ptr->ip) : strlen(name);
	uint32_t h = r->seed ^ (ptr ? ptr->family : 0);

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x01000193u;
	return (h ^ h >> 15) % BUCKETS;
}

static bool lookup_is(const struct lookup *l, const struct addr *ptr, const char *name)
{
	if (l->is_ptr != (ptr != NULL))
		return false;
	return ptr ? addr_ip_eq(&l->addr, ptr) : strcmp(l->name, name) == 0;
}

static size_t lookup_bytes(const struct lookup *l)
{
	return sizeof(*l) + strlen(l->name) + 1;
}

static struct lookup *lookup_new(struct resolver *r, const struct addr *ptr, const char *name)
{
	size_t len = ptr ? 0 : strlen(name);
	struct lookup *l = mem_new(sizeof(*l) + len + 1);
	struct lookup **bucket = &r->buckets[hash(r, ptr, name)];

	l->resolver = r;
	if (ptr) {
		l->is_ptr = true;
		l->addr = *ptr;
	} else {
		memcpy(l->name, name, len + 1);
	}
	l->bucket_next = *bucket;
	*bucket = l;
	r->bytes += lookup_bytes(l);
	return l;
}

/* Take it out of its bucket and free it; it is not in the order of expiry. */
static void lookup_free(struct lookup *l)
{
	struct resolver *r = l->resolver;
	struct lookup **at = &r->buckets[hash(r, l->is_ptr ? &l->addr : NULL, l->name)];

	while (*at != l)
		at = &(*at)->bucket_next;
	*at = l->bucket_next;
	r->bytes -= lookup_bytes(l);
	free(l);
}

static void drop_oldest(struct resolver *r)
{
	struct lookup *l = r->oldest;

	r->oldest = l->order_next;
	if (!r->oldest)
		r->newest = NULL;
	r->n_cached--;
	lookup_free(l);
}

static void expire(struct resolver *r)
{
	while (r->oldest && (r->oldest->expires_ms <= clock_now_ms() || r->n_cached > RESOLVE_CACHE_MAX))
		drop_oldest(r);
}

/* All answers live equally long, so the newest expires last. */
static void lookup_keep(struct lookup *l)
{
	struct resolver *r = l->resolver;

	l->expires_ms = clock_now_ms() + RESOLVE_TTL_S * 1000;
	*(r->newest ? &r->newest->order_next : &r->oldest) = l;
	r->newest = l;
	r->n_cached++;
	expire(r);
}

static struct lookup *lookup_find(struct resolver *r, const struct addr *ptr, const char *name)
{
	struct lookup *l;

	expire(r);
	l = r->buckets[hash(r, ptr, name)];
	while (l && !lookup_is(l, ptr, name))
		l = l->bucket_next;
	return l;
}

/* -- answers */

static void resolver_destroy(struct resolver *r)
{
	/* What has come true is in order of expiry or from the hosts file; nothing is pending. */
	for (size_t i = 0; i < BUCKETS; i++)
		while (r->buckets[i])
			lookup_free(r->buckets[i]);
	evdns_base_free(r->dns, 0);
	free(r);
}

static void query_unlink(struct resolve_query *q)
{
	*q->link = q->next;
	if (q->next)
		q->next->link = q->link;
}

/* Answer all who wait, then keep the answer. */
static void lookup_finish(struct lookup *l)
{
	struct resolver *r = l->resolver;
	struct resolve_query *q;

	l->answer.ttl_s = RESOLVE_TTL_S;
	r->counts.not_found += l->answer.result == RESOLVE_PERMANENT;
	r->counts.no_answer += l->answer.result == RESOLVE_TRANSIENT;
	/* A callback may ask for the same name again: it joins the list and is answered here too. */
	while ((q = l->queries)) {
		resolve_cb *cb = q->cb;
		void *arg = q->arg;

		query_unlink(q);
		free(q);
		cb(arg, &l->answer);
	}
	event_del(&l->search->skew);
	free(l->search);
	l->search = NULL;
	r->n_pending--;
	/* What may work a moment later is not kept. */
	if (l->answer.result == RESOLVE_TRANSIENT || r->closing)
		lookup_free(l);
	else
		lookup_keep(l);
	if (r->closing && r->n_pending == 0)
		resolver_destroy(r);
}

static void add_addr(struct addr *list, size_t *n, const struct addr *a)
{
	for (size_t i = 0; i < *n; i++)
		if (addr_ip_eq(&list[i], a))
			return;
	if (*n < ADDRS)
		list[(*n)++] = *a;
}

/* IPv4 first, and half of the room for IPv6 if there is any. */
static void join_families(struct resolve_answer *answer, const struct search *s)
{
	size_t n4 = s->n_found[0], n6 = s->n_found[1];

	if (n4 + n6 > ADDRS) {
		size_t least6 = n6 < ADDRS / 2 ? n6 : ADDRS / 2;

		n4 = n4 > ADDRS - least6 ? ADDRS - least6 : n4;
		n6 = ADDRS - n4;
	}
	memcpy(answer->addr, s->found[0], n4 * sizeof(struct addr));
	memcpy(answer->addr + n4, s->found[1], n6 * sizeof(struct addr));
	answer->n_addr = n4 + n6;
}

/* True for answers that say that there is nothing. */
static bool is_answer(int result)
{
	return result == DNS_ERR_NONE || result == DNS_ERR_NOTEXIST || result == DNS_ERR_NODATA;
}

/* One of the answers to a name is in; with the last the look-up is done. */
static void part_done(struct lookup *l, size_t part, int result)
{
	static const struct timeval skew = { .tv_sec = SKEW_S };
	struct search *s = l->search;
	struct resolve_answer *answer = &l->answer;

	s->request[part] = NULL;
	s->failed |= !is_answer(result);
	if (--s->n_left) {
		if (s->n_found[0] || s->n_found[1])
			event_add(&s->skew, &skew);
		return;
	}
	join_families(answer, s);
	answer->result = answer->n_addr ? RESOLVE_OK : s->failed ? RESOLVE_TRANSIENT : RESOLVE_PERMANENT;
	lookup_finish(l);
}

static void four_cb(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	struct lookup *l = arg;
	struct search *s = l->search;
	struct addr a = { .family = ADDR_V4 };

	(void)ttl;
	for (int i = 0; result == DNS_ERR_NONE && type == DNS_IPv4_A && i < count; i++) {
		memcpy(a.ip, (uint8_t *)addresses + i * 4, 4);
		add_addr(s->found[0], &s->n_found[0], &a);
	}
	part_done(l, 0, result);
}

static void six_cb(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	struct lookup *l = arg;
	struct search *s = l->search;

	(void)ttl;
	for (int i = 0; result == DNS_ERR_NONE && type == DNS_IPv6_AAAA && i < count; i++) {
		struct addr a = { .family = ADDR_V6 };

		memcpy(a.ip, (uint8_t *)addresses + i * 16, 16);
		addr_unmap(&a);
		add_addr(s->found[a.family == ADDR_V6], &s->n_found[a.family == ADDR_V6], &a);
	}
	part_done(l, 1, result);
}

static void ptr_cb(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	struct lookup *l = arg;
	struct resolve_answer *answer = &l->answer;
	const char *name = result == DNS_ERR_NONE && type == DNS_PTR && count > 0 ? *(char **)addresses : NULL;

	(void)ttl;
	answer->result = is_answer(result) ? RESOLVE_PERMANENT : RESOLVE_TRANSIENT;
	/* Whoever owns the address wrote that name: pass on nothing but a name. */
	if (name && host_parse(answer->name, name, strlen(name)) == 0)
		answer->result = RESOLVE_OK;
	lookup_finish(l);
}

/* evdns calls back from the loop for what is cancelled. */
static void search_cancel(struct lookup *l)
{
	for (size_t i = 0; i < 2; i++)
		if (l->search->request[i])
			evdns_cancel_request(l->resolver->dns, l->search->request[i]);
}

static void skew_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	search_cancel(arg);
}

/* -- questions */

static struct evdns_request *ask_ptr(struct lookup *l)
{
	struct evdns_base *dns = l->resolver->dns;
	struct in6_addr six;
	struct in_addr four;

	if (l->addr.family == ADDR_V4) {
		memcpy(&four, l->addr.ip, sizeof(four));
		return evdns_base_resolve_reverse(dns, &four, DNS_QUERY_NO_SEARCH, ptr_cb, l);
	}
	memcpy(&six, l->addr.ip, sizeof(six));
	return evdns_base_resolve_reverse_ipv6(dns, &six, DNS_QUERY_NO_SEARCH, ptr_cb, l);
}

/* Send the questions; evdns answers from the loop, never at once. */
static int lookup_start(struct lookup *l)
{
	struct resolver *r = l->resolver;
	struct search *s = mem_new(sizeof(*s));

	l->search = s;
	evtimer_assign(&s->skew, r->base, skew_cb, l);
	if (l->is_ptr) {
		s->request[0] = ask_ptr(l);
	} else {
		s->request[0] = evdns_base_resolve_ipv4(r->dns, l->name, DNS_QUERY_NO_SEARCH, four_cb, l);
		s->request[1] = evdns_base_resolve_ipv6(r->dns, l->name, DNS_QUERY_NO_SEARCH, six_cb, l);
	}
	s->n_left = (s->request[0] != NULL) + (s->request[1] != NULL);
	if (s->n_left == 0) {
		free(s);
		lookup_free(l);
		return ERR_SYSTEM;
	}
	r->n_pending++;
	return 0;
}

static struct resolve_query *query_new(struct lookup *l, resolve_cb *cb, void *arg)
{
	struct resolve_query *q = mem_new(sizeof(*q));

	q->cb = cb;
	q->arg = arg;
	q->next = l->queries;
	q->link = &l->queries;
	if (q->next)
		q->next->link = &q->next;
	l->queries = q;
	return q;
}

static int ask(struct resolver *r, struct resolve_query **ret, const struct addr *ptr, const char *name,
	       resolve_cb *cb, void *arg)
{
	struct lookup *l;
	int e;

	*ret = NULL;
	if (!r)
		return ERR_STATE;
	r->counts.queries++;
	l = lookup_find(r, ptr, name);
	if (l && !l->search) {
		struct resolve_answer answer = l->answer;

		r->counts.hits++;
		cb(arg, &answer);
		return 0;
	}
	if (!l) {
		if (r->n_pending >= RESOLVE_PENDING_MAX)
			return ERR_LIMIT;
		l = lookup_new(r, ptr, name);
		e = lookup_start(l);
		if (e < 0)
			return e;
	}
	*ret = query_new(l, cb, arg);
	return 0;
}

int resolve_name(struct resolver *r, struct resolve_query **ret, const char *name, resolve_cb *cb, void *arg)
{
	struct resolve_answer literal = { .result = RESOLVE_OK, .n_addr = 1, .ttl_s = RESOLVE_TTL_S };

	if (addr_parse_ip(&literal.addr[0], name, strlen(name)) < 0)
		return ask(r, ret, NULL, name, cb, arg);
	*ret = NULL;
	cb(arg, &literal);
	return 0;
}

int resolve_ptr(struct resolver *r, struct resolve_query **ret, const struct addr *a, resolve_cb *cb, void *arg)
{
	struct addr ip = *a;

	addr_unmap(&ip);
	if (ip.family == ADDR_NONE)
		return ERR_UNSUPPORTED;
	ip.port = 0;
	return ask(r, ret, &ip, NULL, cb, arg);
}

void resolve_cancel(struct resolve_query *q)
{
	if (!q)
		return;
	/* The look-up goes on: its answer is good for the next who asks. */
	query_unlink(q);
	free(q);
}

/* -- the hosts file */

static void host_add(struct resolver *r, const char *name, const struct addr *a)
{
	struct lookup *l = lookup_find(r, NULL, name);
	struct resolve_answer *answer;
	size_t at;

	if (!l)
		l = lookup_new(r, NULL, name);
	answer = &l->answer;
	answer->result = RESOLVE_OK;
	answer->ttl_s = RESOLVE_TTL_S;
	if (answer->n_addr == ADDRS)
		return;
	at = answer->n_addr++;
	for (; at > 0 && a->family == ADDR_V4 && answer->addr[at - 1].family == ADDR_V6; at--)
		answer->addr[at] = answer->addr[at - 1];
	answer->addr[at] = *a;
}

/* "ADDRESS NAME..." */
static void hosts_line(struct resolver *r, char *line)
{
	char *save, *word, name[HOST_CAP];
	struct addr a;

	line[strcspn(line, "#\n")] = '\0';
	word = strtok_r(line, " \t\r", &save);
	if (!word || addr_parse_ip(&a, word, strlen(word)) < 0)
		return;
	addr_unmap(&a);
	while ((word = strtok_r(NULL, " \t\r", &save)))
		if (host_parse(name, word, strlen(word)) == 0)
			host_add(r, name, &a);
}

static void hosts_load(struct resolver *r, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[1024];

	if (!f)
		return;
	for (int i = 0; i < HOSTS_LINES_MAX && fgets(line, sizeof(line), f); i++)
		hosts_line(r, line);
	fclose(f);
}

/* -- the resolver */

int resolver_new(struct resolver **ret, struct event_base *base, const char *resolv_conf)
{
	/* No search list: a stranger's name is not to be completed with our domain. */
	static const int options = DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC;
	struct resolver *r = mem_new(sizeof(*r));
	const char *path = resolv_conf ? resolv_conf : "/etc/resolv.conf";

	r->dns = evdns_base_new(base, 0);
	if (!r->dns) {
		free(r);
		return ERR_SYSTEM;
	}
	r->base = base;
	resolve_servers_watch();
	rand_fast(&r->seed, sizeof(r->seed));
	/* Clients give up on a stream after 10 to 15 s; resolv.conf may say otherwise. */
	evdns_base_set_option(r->dns, "timeout:", "4");
	evdns_base_set_option(r->dns, "attempts:", "2");
	evdns_base_set_option(r->dns, "max-inflight:", "512");
	/* Without a usable file evdns asks 127.0.0.1, as resolv.conf(5) says. */
	if (evdns_base_resolv_conf_parse(r->dns, options, path) != 0)
		log_notice("Name servers could not be read, asking 127.0.0.1. path=%s", path);
	evdns_base_search_clear(r->dns);
	hosts_load(r, "/etc/hosts");
	*ret = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	r->closing = true;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct lookup *l = r->buckets[i]; l; l = l->bucket_next) {
			while (l->queries)
				resolve_cancel(l->queries);
			/* lookup_finish() ends it when the loop comes round. */
			if (l->search)
				search_cancel(l);
		}
	if (r->n_pending == 0)
		resolver_destroy(r);
}

int resolver_add_nameserver(struct resolver *r, const struct addr *a, bool only)
{
	struct addr server = *a;
	struct sockaddr_storage sa;
	socklen_t len;

	if (server.port == 0)
		server.port = 53;
	len = addr_to_sockaddr(&sa, &server);
	if (only && evdns_base_clear_nameservers_and_suspend(r->dns) != 0)
		return ERR_SYSTEM;
	if (evdns_base_nameserver_sockaddr_add(r->dns, (struct sockaddr *)&sa, len, 0) != 0)
		return ERR_SYSTEM;
	if (only)
		evdns_base_resume(r->dns);
	return 0;
}

void resolver_counts(const struct resolver *r, struct resolver_counts *ret)
{
	*ret = r->counts;
}

size_t resolver_bytes(const struct resolver *r)
{
	return sizeof(*r) + r->bytes;
}

void resolver_view(struct resolver *r, struct dns_view *ret)
{
	ret->cached = (uint32_t)r->n_cached;
	ret->pending = (uint32_t)r->n_pending;
	ret->cache_bytes = r->bytes;
	resolve_servers_view(r->dns, ret);
}
