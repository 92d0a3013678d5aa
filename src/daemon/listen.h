/*
 * The listening sockets: as many for each address as there are workers, all
 * bound with SO_REUSEPORT, so that the kernel spreads links over the workers.
 * Opened before the daemon gives up root, kept open by the keeper so that a worker
 * that is restarted finds its waiting connections. A keeper that takes over from
 * another is given these very sockets, with what waits in them.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stddef.h>

#include <nonos/addr.h>

struct listener_set {
	struct addr addr;
	int *fds;
	size_t n;
};

struct listeners {
	struct listener_set *sets;	/* one for each address */
	size_t n_sets;
};

/* A socket that another keeper opened; -1 once somebody owns it. */
struct given_listener {
	int fd;
	struct addr addr;
};

/*
 * Have listeners for all addresses or none. For an address that sockets were given for, these
 * are taken, however many they are: one more in the group would get its share
 * of the links at once, and lose them if this process does not come to accept. `err`
 * gets a sentence.
 */
int listeners_open(struct listeners *ret, const struct addr *addrs, size_t n_addrs, size_t n_workers,
		   struct given_listener *given, size_t n_given, char *err, size_t err_cap);
void listeners_close(struct listeners *l);

/*
 * The sockets that worker `index` of `n_workers` accepts on, in a fresh array that the caller
 * frees; the descriptors stay the listeners'. Each socket is somebody's, and each
 * worker has one of each address, which it may share.
 */
size_t listeners_of(int **ret_fds, const struct listeners *l, unsigned index, unsigned n_workers);

#endif
