#include "config.h"

#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
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

int listeners_open(struct listeners *ret, const struct addr *addrs, size_t n_addrs, size_t n_workers,
		   char *err, size_t err_cap)
{
	struct listeners l = { .n_workers = n_workers, .n_addrs = n_addrs };

	for (size_t i = 0; i < n_addrs; i++)
		if (port_is_free(&addrs[i]) < 0)
			return fail(&addrs[i], err, err_cap);
	l.fds = mem_new_array(n_workers * n_addrs, sizeof(int));
	memset(l.fds, 0xff, n_workers * n_addrs * sizeof(int));
	for (size_t i = 0; i < n_workers * n_addrs; i++) {
		const struct addr *a = &addrs[i % n_addrs];

		l.fds[i] = open_one(a);
		if (l.fds[i] < 0) {
			int r = fail(a, err, err_cap);

			listeners_close(&l);
			return r;
		}
	}
	*ret = l;
	return 0;
}

void listeners_close(struct listeners *l)
{
	for (size_t i = 0; l->fds && i < l->n_workers * l->n_addrs; i++)
		if (l->fds[i] >= 0)
			close(l->fds[i]);
	free(l->fds);
	*l = (struct listeners){ 0 };
}
