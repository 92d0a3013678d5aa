/*
 * Exit policies (dir-spec, "exit-policy" and "accept"/"reject" lines; "p" lines of
 * microdescriptors). First match wins; the end of the list accepts nothing
 * unless it says so.
 */
#ifndef NONOS_POLICY_H
#define NONOS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/addr.h>

struct policy;

/*
 * Parse "accept *:443, reject 10.0.0.0/8:*, accept [2001:db8::]/32:80-90,
 * reject *:*". "*", "*4", "*6", "private" and port ranges are known; "accept6" and
 * "reject6" apply to IPv6 alone. On failure ret_err gets a sentence (if not NULL).
 * An empty text rejects everything.
 */
int policy_parse(struct policy **ret, const char *text, char *ret_err, size_t err_cap);
void policy_free(struct policy *p);

/* Add, in front, a rejection of all private addresses, and of one address (own addresses). */
void policy_reject_private(struct policy *p);
void policy_reject_addr(struct policy *p, const struct addr *a);

/* a->port is the port asked for. */
bool policy_allows(const struct policy *p, const struct addr *a);

/* True when no address at all can be reached on `port` for this family: refuse a name before resolving it. */
bool policy_rejects_port(const struct policy *p, enum addr_family family, uint16_t port);

bool policy_rejects_everything(const struct policy *p);

/*
 * Write the descriptor's lines ("accept 1.2.3.0/24:80\n"...). IPv4 rules only;
 * "ipv6-policy" comes from policy_summary(). The text ends with "reject *:*\n"
 * or "accept *:*\n". Rejecting all private addresses leaves out 224.0.0.0/3,
 * see policy.c. ERR_TOO_LONG.
 */
int policy_descriptor_lines(char *out, size_t cap, const struct policy *p);

enum { POLICY_SUMMARY_CAP = 1001 };	/* dir-spec 3.8.2: 1000 characters at most */

/* "accept 80,443" or "reject 1-65535" for one family (dir-spec, "p" line). ERR_TOO_LONG. */
int policy_summary(char *out, size_t cap, const struct policy *p, enum addr_family family);

#endif
