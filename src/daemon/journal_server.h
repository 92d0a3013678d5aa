/*
 * The journal for others, over HTTP (C2SP tlog-tiles): /checkpoint, /tile/…,
 * and beside those /genesis, /evidence/INDEX (what stands beside an entry) and, by POST, /rpc: ledger.append
 * and ledger.attest of the control protocol. Objects prove themselves, so anybody may
 * hand one over; how many a second is bounded, for each source and for all together. /consensus and
 * /consensus/VALID_AFTER are for other auditors (exchange.h).
 */
#ifndef DAEMON_JOURNAL_SERVER_H
#define DAEMON_JOURNAL_SERVER_H

#include <nonos/addr.h>
#include <nonos/control.h>
#include <nonos/ledger.h>

struct event_base;
struct journal_server;

/*
 * `l` is borrowed; `commands` (NULL: no /rpc) too. `forwards`: calls go on to another node, for which all of
 * them come from here. `err` gets a sentence.
 */
int journal_server_new(struct journal_server **ret, struct event_base *base, const struct addr *addrs, size_t n_addrs,
		       struct ledger *l, const struct ctl_commands *commands, bool forwards, char *err, size_t err_cap);

/* The consensuses that are kept: a JSON array of rows; the document of one, compressed. ERR_NOT_FOUND. */
struct journal_consensuses {
	int (*list)(void *arg, json_t **ret);
	int (*read)(void *arg, uint8_t **ret, size_t *ret_len, int64_t valid_after);
	void *arg;
};

void journal_server_give(struct journal_server *s, const struct journal_consensuses *c);
void journal_server_free(struct journal_server *s);	/* NULL is fine */

#endif
