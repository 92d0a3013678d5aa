/*
 * How a command makes an object for the journal: the daemon gives a template
 * with the signer's next nonce, sign.h signs it, and the daemon takes it. With
 * --dry-run it is only shown; with --cold it ends in a file.
 */
#ifndef CTL_OBJECT_H
#define CTL_OBJECT_H

#include "ctl.h"

/* Whose object it will be: the key's, or with --cold the account that parameter `param` names. */
int object_signer(struct eth_addr *ret, const struct invocation *in, const char *param);

/* An amount given in tokens, in base units. */
void object_put_tokens(json_t *fields, const char *name, const char *tokens);

/*
 * Whether an object that the daemon made is of `type` and says what was asked for in `fields`. A daemon that was
 * taken over must not get anything else signed with the key of somebody's money.
 */
int object_expect(const json_t *object, const char *type, const json_t *fields);

/* Template, sign, submit and print; takes over `fields`. Returns the exit status. */
int object_make(const struct invocation *in, const char *type, json_t *fields);

/* Sign, submit and print; takes over `object`. */
int object_finish(const struct invocation *in, json_t *object);

#endif
