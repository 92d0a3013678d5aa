/* What rpc.c and session.c share: the text of replies. */
#ifndef CONTROL_RPC_H
#define CONTROL_RPC_H

#include <nonos/control.h>

/* The reply to a request that was carried out with result `r`; takes over call->result. */
json_t *rpc_reply(const struct ctl_call *call, int r);

/* The text of a message, malloc()ed, with a newline; takes it over. NULL stays NULL. */
char *rpc_line(json_t *message);

#endif
