/*
 * How the name servers do. evdns tells of a server that stopped answering, or
 * is back, in its log alone, one log for the whole process; this keeps what it
 * said, by address. Process-wide like that log.
 */
#ifndef RELAY_RESOLVE_SERVERS_H
#define RELAY_RESOLVE_SERVERS_H

#include <nonos/relay_view.h>

struct evdns_base;

/* Listen to evdns from now on. */
void resolve_servers_watch(void);

/* Take in one message of evdns; what says nothing of a server is passed over. */
void resolve_servers_hear(const char *message);

/* Fill in the servers that `dns` asks, and how they do. */
void resolve_servers_view(struct evdns_base *dns, struct dns_view *ret);

#endif
