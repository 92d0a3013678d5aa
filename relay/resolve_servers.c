#include "config.h"

#include "resolve_servers.h"

#include <string.h>
#include <sys/socket.h>

#include <event2/dns.h>

#include <nonos/log.h>

static struct dns_server heard[DNS_SERVERS_MAX];
static size_t n_heard;

static struct dns_server *server_find(const struct addr *a)
{
	for (size_t i = 0; i < n_heard; i++)
		if (addr_eq(&heard[i].addr, a))
			return &heard[i];
	return NULL;
}

/* The address that follows `start`, as "192.0.2.1:53" or "[2001:db8::1]:53". */
static bool address_after(struct addr *ret, const char *message, const char *start)
{
	const char *p = message + strlen(start);

	return strncmp(message, start, strlen(start)) == 0 && addr_parse(ret, p, strcspn(p, " ")) == 0;
}

static void note(const struct addr *a, bool down)
{
	struct dns_server *s = server_find(a);

	if (!s && n_heard < DNS_SERVERS_MAX) {
		s = &heard[n_heard++];
		*s = (struct dns_server){ .addr = *a };
	}
	if (!s)
		return;
	s->failures += down && !s->down;
	if (s->down != down)
		log_limited(LOG_LEVEL_NOTICE, down ? "A name server does not answer. address=%s" :
			    "A name server answers again. address=%s", log_addr(a));
	s->down = down;
}

void resolve_servers_hear(const char *message)
{
	struct addr a;

	if (!address_after(&a, message, "Nameserver "))
		return;
	if (strstr(message, " has failed"))
		note(&a, true);
	else if (strstr(message, " is back up"))
		note(&a, false);
}

static void on_log(int is_warning, const char *message)
{
	(void)is_warning;
	resolve_servers_hear(message);
}

void resolve_servers_watch(void)
{
	evdns_set_log_fn(on_log);
}

void resolve_servers_view(struct evdns_base *dns, struct dns_view *ret)
{
	int n = evdns_base_count_nameservers(dns);

	for (int i = 0; i < n && ret->n < DNS_SERVERS_MAX; i++) {
		struct dns_server *s = &ret->servers[ret->n];
		struct sockaddr_storage ss;
		const struct dns_server *known;
		int len = evdns_base_get_nameserver_addr(dns, i, (struct sockaddr *)&ss, sizeof(ss));

		if (len <= 0 || addr_from_sockaddr(&s->addr, (struct sockaddr *)&ss, (socklen_t)len) < 0)
			continue;
		known = server_find(&s->addr);
		if (known)
			*s = *known;
		ret->n++;
	}
}
