/*
 * The resolver; see resolve.h. Libevent's evdns does the asking (and reads the
 * hosts file); this keeps what was answered and shares look-ups. A look-up
 * lives in the table from the first query for it until its answer is old.
 */
#include "config.h"

#include "resolve.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

#include "edge_msg.h"

enum { BUCKETS = 2048, ADDRS = sizeof(((struct resolve_answer *)0)->addr) / sizeof(struct addr) };

struct resolve_query {
	struct lookup *lookup;
	struct resolve_query *next, **link;	/* whoever points here */
	resolve_cb *cb;
	void *arg;
};

struct lookup {
	struct resolver *resolver;
	struct lookup *bucket_next;
	struct lookup *order_next;	/* finished ones, in the order in which they expire */
	struct resolve_query *queries;
	bool pending;
	bool is_ptr;
	struct evdns_getaddrinfo_request *name_request;
	struct evdns_request *ptr_request;
	uint64_t expires_ms;
	struct addr addr;		/* what is_ptr asks for */
	struct resolve_answer answer;
	char name[];			/* what the others ask for */
};

struct resolver {
	struct evdns_base *dns;
	struct lookup *buckets[BUCKETS];
	struct lookup *oldest, *newest;
	size_t n_pending, n_cached, bytes;
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
	l->pending = true;
	l->bucket_next = *bucket;
	*bucket = l;
	r->n_pending++;
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
	while (r->oldest)
		drop_oldest(r);
	evdns_base_free(r->dns, 0);
	free(r);
}

static void query_unlink(struct resolve_query *q)
{
	*q->link = q->next;
	if (q->next)
		q->next->link = q->link;
}

static void lookup_finish(struct lookup *l)
{
	struct resolver *r = l->resolver;
	struct resolve_query *q;

	l->name_request = NULL;
	l->ptr_request = NULL;
	l->answer.ttl_s = RESOLVE_TTL_S;
	/* A callback may ask for the same name again: it joins the list and is answered here too. */
	while ((q = l->queries)) {
		resolve_cb *cb = q->cb;
		void *arg = q->arg;

		query_unlink(q);
		free(q);
		cb(arg, &l->answer);
	}
	l->pending = false;
	r->n_pending--;
	/* What may work a moment later is not kept. */
	if (l->answer.result == RESOLVE_TRANSIENT || r->closing)
		lookup_free(l);
	else
		lookup_keep(l);
	if (r->closing && r->n_pending == 0)
		resolver_destroy(r);
}

static bool has_addr(const struct addr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_ip_eq(&list[i], a))
			return true;
	return false;
}

/* Gather the addresses, IPv4 first, and leave half of the room to IPv6 if there is any. */
static void take_addrs(struct resolve_answer *answer, const struct evutil_addrinfo *ai)
{
	struct addr four[ADDRS], six[ADDRS], a;
	size_t n4 = 0, n6 = 0;

	for (; ai; ai = ai->ai_next) {
		if (addr_from_sockaddr(&a, ai->ai_addr, (socklen_t)ai->ai_addrlen) < 0)
			continue;
		a.port = 0;
		addr_unmap(&a);
		if (a.family == ADDR_V4 && n4 < ADDRS && !has_addr(four, n4, &a))
			four[n4++] = a;
		if (a.family == ADDR_V6 && n6 < ADDRS && !has_addr(six, n6, &a))
			six[n6++] = a;
	}
	if (n4 + n6 > ADDRS) {
		size_t least6 = n6 < ADDRS / 2 ? n6 : ADDRS / 2;

		if (n4 > ADDRS - least6)
			n4 = ADDRS - least6;
		n6 = n6 > ADDRS - n4 ? ADDRS - n4 : n6;
	}
	memcpy(answer->addr, four, n4 * sizeof(a));
	memcpy(answer->addr + n4, six, n6 * sizeof(a));
	answer->n_addr = n4 + n6;
}

static void name_cb(int result, struct evutil_addrinfo *ai, void *arg)
{
	struct lookup *l = arg;
	struct resolve_answer *answer = &l->answer;

	if (result == 0)
		take_addrs(answer, ai);
	if (ai)
		evutil_freeaddrinfo(ai);
	if (answer->n_addr)
		answer->result = RESOLVE_OK;
	else if (result == 0 || result == EVUTIL_EAI_NONAME || result == EVUTIL_EAI_NODATA)
		answer->result = RESOLVE_PERMANENT;
	else
		answer->result = RESOLVE_TRANSIENT;
	lookup_finish(l);
}

static void ptr_cb(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	struct lookup *l = arg;
	struct resolve_answer *answer = &l->answer;
	const char *name = result == DNS_ERR_NONE && type == DNS_PTR && count > 0 ? *(char **)addresses : NULL;

	(void)ttl;
	answer->result = RESOLVE_PERMANENT;
	/* Whoever owns the address wrote that name: pass on nothing but a name. */
	if (name && host_parse(answer->name, name, strlen(name)) == 0)
		answer->result = RESOLVE_OK;
	else if (result != DNS_ERR_NONE && result != DNS_ERR_NOTEXIST && result != DNS_ERR_NODATA)
		answer->result = RESOLVE_TRANSIENT;
	lookup_finish(l);
}

/* -- questions */

static void lookup_start(struct lookup *l)
{
	static const struct evutil_addrinfo hints = { .ai_family = PF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct evdns_base *dns = l->resolver->dns;
	struct evdns_getaddrinfo_request *name_request;
	struct in_addr four;
	struct in6_addr six;

	if (!l->is_ptr) {
		/* NULL: name_cb() has been called, and `l` may be gone. */
		name_request = evdns_getaddrinfo(dns, l->name, NULL, &hints, name_cb, l);
		if (name_request)
			l->name_request = name_request;
		return;
	}
	if (l->addr.family == ADDR_V4) {
		memcpy(&four, l->addr.ip, sizeof(four));
		l->ptr_request = evdns_base_resolve_reverse(dns, &four, DNS_QUERY_NO_SEARCH, ptr_cb, l);
	} else {
		memcpy(&six, l->addr.ip, sizeof(six));
		l->ptr_request = evdns_base_resolve_reverse_ipv6(dns, &six, DNS_QUERY_NO_SEARCH, ptr_cb, l);
	}
	if (!l->ptr_request)
		ptr_cb(DNS_ERR_UNKNOWN, 0, 0, 0, NULL, l);
}

static struct resolve_query *query_new(struct lookup *l, resolve_cb *cb, void *arg)
{
	struct resolve_query *q = mem_new(sizeof(*q));

	q->lookup = l;
	q->cb = cb;
	q->arg = arg;
	q->next = l->queries;
	q->link = &l->queries;
	if (q->next)
		q->next->link = &q->next;
	l->queries = q;
	return q;
}

/* While starting a look-up its answer may come: the caller's handle is dropped then. */
struct starting {
	resolve_cb *cb;
	void *arg;
	bool answered;
};

static void starting_cb(void *arg, const struct resolve_answer *answer)
{
	struct starting *s = arg;

	s->answered = true;
	s->cb(s->arg, answer);
}

static int ask(struct resolver *r, struct resolve_query **ret, const struct addr *ptr, const char *name,
	       resolve_cb *cb, void *arg)
{
	struct lookup *l = lookup_find(r, ptr, name);
	struct starting starting = { .cb = cb, .arg = arg };
	struct resolve_query *q;

	*ret = NULL;
	if (l && !l->pending) {
		struct resolve_answer answer = l->answer;

		cb(arg, &answer);
		return 0;
	}
	if (l) {
		*ret = query_new(l, cb, arg);
		return 0;
	}
	if (r->n_pending >= RESOLVE_PENDING_MAX)
		return ERR_LIMIT;
	l = lookup_new(r, ptr, name);
	q = query_new(l, starting_cb, &starting);
	lookup_start(l);
	if (starting.answered)
		return 0;
	q->cb = cb;
	q->arg = arg;
	*ret = q;
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

/* -- the resolver */

int resolver_new(struct resolver **ret, struct event_base *base, const char *resolv_conf)
{
	/* No search list: a stranger's name is not to be completed with our domain. */
	static const int options = DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC | DNS_OPTION_HOSTSFILE;
	struct resolver *r = mem_new(sizeof(*r));
	const char *path = resolv_conf ? resolv_conf : "/etc/resolv.conf";

	r->dns = evdns_base_new(base, 0);
	if (!r->dns) {
		free(r);
		return ERR_SYSTEM;
	}
	rand_fast(&r->seed, sizeof(r->seed));
	/* Clients give up on a stream after 10 to 15 s; resolv.conf may say otherwise. */
	evdns_base_set_option(r->dns, "timeout:", "4");
	evdns_base_set_option(r->dns, "attempts:", "2");
	evdns_base_set_option(r->dns, "max-inflight:", "512");
	evdns_base_set_option(r->dns, "getaddrinfo-allow-skew:", "1");
	/* Without a usable file evdns asks 127.0.0.1, as resolv.conf(5) says. */
	if (evdns_base_resolv_conf_parse(r->dns, options, path) != 0)
		log_notice("Name servers could not be read, asking 127.0.0.1. path=%s", path);
	evdns_base_search_clear(r->dns);
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
			/* evdns answers what was cancelled from the loop; lookup_finish() ends it there. */
			if (l->name_request)
				evdns_getaddrinfo_cancel(l->name_request);
			else if (l->ptr_request)
				evdns_cancel_request(r->dns, l->ptr_request);
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

size_t resolver_bytes(const struct resolver *r)
{
	return sizeof(*r) + r->bytes;
}
