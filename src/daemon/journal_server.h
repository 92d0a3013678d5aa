/*
 * The journal for others, over HTTP (C2SP tlog-tiles): /checkpoint, /tile/…,
 * and beside those /genesis, /evidence/INDEX (what stands beside an entry) and, by POST, /rpc: ledger.append
 * and ledger.attest of the control protocol. Objects prove themselves, so anybody may
 * hand one over; how many a second is bounded.
 */
#ifndef DAEMON_JOURNAL_SERVER_H
#define DAEMON_JOURNAL_SERVER_H

#include <nonos/addr.h>
#include <nonos/control.h>
#include <nonos/ledger.h>

struct event_base;
struct journal_server;

/* `l` is borrowed; `commands` (NULL: no /rpc) too. `err` gets a sentence. */
int journal_server_new(struct journal_server **ret, struct event_base *base, const struct addr *addrs, size_t n_addrs,
		       struct ledger *l, const struct ctl_commands *commands, char *err, size_t err_cap);
void journal_server_free(struct journal_server *s);	/* NULL is fine */

#endif
