/*
 * The listening sockets: one for each worker and address, all bound with
 * SO_REUSEPORT, so that the kernel spreads links over the workers. Opened
 * before the daemon gives up root, kept open by the keeper so that a worker that
 * is restarted finds its waiting connections.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stddef.h>

#include <nonos/addr.h>

struct listeners {
	int *fds;		/* n_workers rows of n_addrs */
	size_t n_workers, n_addrs;
};

/* Open them all or none. `err` gets a sentence. */
int listeners_open(struct listeners *ret, const struct addr *addrs, size_t n_addrs, size_t n_workers,
		   char *err, size_t err_cap);
void listeners_close(struct listeners *l);

#endif
