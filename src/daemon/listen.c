#include "config.h"

#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/mem.h>

enum { BACKLOG = 4096 };

static int socket_for(const struct addr *a, bool shared)
{
	int fd = socket(a->family == ADDR_V6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	static const int on = 1;

	if (fd < 0)
		return -1;
	(void)!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* "[::]" and "0.0.0.0" are two listeners; neither takes the other's links. */
	if (a->family == ADDR_V6)
		(void)!setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int try_port(const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, a);
	int fd = socket_for(a, false), r, saved;

	if (fd < 0)
		return -1;
	r = bind(fd, (struct sockaddr *)&ss, len);
	saved = errno;
	close(fd);
	errno = saved;
	return r;
}

/*
 * SO_REUSEPORT lets any daemon of the same user share the port. Binding without
 * it first tells whether somebody is there already. The workers of a keeper
 * that was killed need a moment to notice, so a taken port is tried for a second.
 */
static int port_is_free(const struct addr *a)
{
	for (int i = 0; i < 10; i++) {
		if (try_port(a) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -1;
		usleep(100000);
	}
	errno = EADDRINUSE;
	return -1;
}

static int open_one(const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, a);
	int fd = socket_for(a, true), saved;

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&ss, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int fail(const struct addr *a, char *err, size_t err_cap)
{
	const char *advice = errno == EADDRINUSE ? "; another program has the port"
			     : errno == EADDRNOTAVAIL ? "; this machine does not have the address"
			     : errno == EACCES ? "; start as root (with \"user\") or use a port above 1023" : "";
	char text[ADDR_TEXT_CAP];

	snprintf(err, err_cap, "Cannot listen on %s: %s%s.", addr_format(text, a), strerror(errno), advice);
	return ERR_NETWORK;
}

static size_t take_given(struct listener_set *set, struct given_listener *given, size_t n_given)
{
	set->fds = mem_new_array(n_given ? n_given : 1, sizeof(int));
	for (size_t i = 0; i < n_given; i++) {
		if (given[i].fd < 0 || !addr_eq(&given[i].addr, &set->addr))
			continue;
		set->fds[set->n++] = given[i].fd;
		given[i].fd = -1;
	}
	return set->n;
}

static int open_set(struct listener_set *set, size_t n_workers, struct given_listener *given, size_t n_given,
		    char *err, size_t err_cap)
{
	if (take_given(set, given, n_given) > 0)
		return 0;
	if (port_is_free(&set->addr) < 0)
		return fail(&set->addr, err, err_cap);
	set->fds = mem_resize(set->fds, n_workers, sizeof(int));
	while (set->n < n_workers) {
		int fd = open_one(&set->addr);

		if (fd < 0)
			return fail(&set->addr, err, err_cap);
		set->fds[set->n++] = fd;
	}
	return 0;
}

int listeners_open(struct listeners *ret, const struct addr *addrs, size_t n_addrs, size_t n_workers,
		   struct given_listener *given, size_t n_given, char *err, size_t err_cap)
{
	struct listeners l = { .sets = mem_new_array(n_addrs, sizeof(*l.sets)), .n_sets = n_addrs };

	for (size_t i = 0; i < n_addrs; i++) {
		int r;

		l.sets[i].addr = addrs[i];
		r = open_set(&l.sets[i], n_workers, given, n_given, err, err_cap);
		if (r < 0) {
			listeners_close(&l);
			return r;
		}
	}
	*ret = l;
	return 0;
}

void listeners_close(struct listeners *l)
{
	for (size_t i = 0; i < l->n_sets; i++) {
		for (size_t j = 0; j < l->sets[i].n; j++)
			close(l->sets[i].fds[j]);
		free(l->sets[i].fds);
	}
	free(l->sets);
	*l = (struct listeners){ 0 };
}

/* More sockets than workers: each has some. Fewer: several have the same. */
static bool is_for(size_t socket, size_t n_sockets, unsigned index, unsigned n_workers)
{
	return n_sockets >= n_workers ? socket % n_workers == index : index % n_sockets == socket;
}

size_t listeners_of(int **ret_fds, const struct listeners *l, unsigned index, unsigned n_workers)
{
	size_t cap = 0, n = 0;
	int *fds;

	for (size_t i = 0; i < l->n_sets; i++)
		cap += l->sets[i].n;
	fds = mem_new_array(cap ? cap : 1, sizeof(int));
	for (size_t i = 0; i < l->n_sets; i++)
		for (size_t j = 0; j < l->sets[i].n; j++)
			if (is_for(j, l->sets[i].n, index, n_workers))
				fds[n++] = l->sets[i].fds[j];
	*ret_fds = fds;
	return n;
}
