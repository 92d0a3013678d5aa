/* What the files of the server share: the text of replies, and rights. */
#ifndef CONTROL_RPC_H
#define CONTROL_RPC_H

#include <nonos/control.h>

/* The reply to a request that was carried out with result `r`; takes over call->result. */
json_t *rpc_reply(const struct ctl_call *call, int r);

/* The text of a message, malloc()ed, with a newline; takes it over. NULL stays NULL. */
char *rpc_line(json_t *message);

/* -- auth.c */

/* Whether the session may make this call; sets its error. */
int auth_check(struct ctl_call *call);

/* Whether the session's token, if it has one, is still good. */
bool auth_holds(const struct ctl_session *s);

/* Give up the session's token. */
void auth_forget(struct ctl_session *s);

#endif
