/* Parts that messages have in common, for message.c and message_view.c. */
#ifndef DAEMON_MESSAGE_PRIV_H
#define DAEMON_MESSAGE_PRIV_H

#include <stdbool.h>

#include <nonos/addr.h>
#include <nonos/bytes.h>

void message_addr_write(struct wr *w, const struct addr *a);
bool message_addr_read(struct addr *ret, struct rd *r);	/* false: a family that does not exist */

/* One byte, 0 or 1. */
bool message_flag_read(bool *ret, struct rd *r);

#endif
