/* What doctor asks of the machine and of the network around it. */
#include "config.h"

#include "ctl.h"
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <nonos/addr.h>
#include <nonos/mem.h>

enum {
	CONNECT_MS = 3000, DNS_MS = 2000, NAMESERVERS_MAX = 3, DNS_PACKET = 17, OLDEST_CLOCK = 1780000000,
	FILES_SPARE = 1000, LANDLOCK_VERSION = 1,
};

/* -- clock ------------------------------------------------------------------------------ */

void doctor_check_clock(struct doctor *d)
{
	struct timex t = { 0 };
	int state = adjtimex(&t);
	const json_t *consensus = json_object_get(d->status, "consensus");
	int64_t now = time(NULL), valid_after = param_integer(consensus, "valid_after", 0);

	if (now < OLDEST_CLOCK)
		doctor_say(d, VERDICT_FAIL, "clock", "set it, and install chrony or systemd-timesyncd",
			   "it shows a time before this program was made");
	else if (valid_after > now + 60)
		doctor_say(d, VERDICT_FAIL, "clock", "set it, and install chrony or systemd-timesyncd",
			   "it is behind: the consensus is %lld s in its future", (long long)(valid_after - now));
	else if (state < 0)
		doctor_say(d, VERDICT_SKIP, "clock", NULL, "the kernel does not tell whether it is kept in time");
	else if (state == TIME_ERROR || t.status & STA_UNSYNC)
		doctor_say(d, VERDICT_WARN, "clock", "install chrony or systemd-timesyncd: an hour's error makes certificates fail",
			   "nothing keeps it in time");
	else
		doctor_say(d, VERDICT_PASS, "clock", NULL, "kept in time, within %lld ms", (long long)t.maxerror / 1000);
}

/* -- limits ----------------------------------------------------------------------------- */

/* The hard limit of open files of the running daemon, else of this process. */
static unsigned long long files_limit(const struct doctor *d)
{
	long pid = (long)param_integer(d->status, "pid", 0);
	unsigned long long hard = 0;
	struct rlimit own;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/limits", pid);
	f = pid ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Max open files %*s %llu", &hard) == 1)
			break;
	if (f)
		fclose(f);
	if (!hard && getrlimit(RLIMIT_NOFILE, &own) == 0)
		hard = own.rlim_max;
	return hard;
}

void doctor_check_limits(struct doctor *d)
{
	unsigned long long hard = files_limit(d), wanted = (unsigned long long)d->config->links_total + FILES_SPARE;

	if (hard < wanted)
		doctor_say(d, hard < 4096 ? VERDICT_FAIL : VERDICT_WARN, "open files",
			   "raise LimitNOFILE= in the unit or \"ulimit -n\", or lower links_total",
			   "the limit is %llu; %u links want %llu", hard, d->config->links_total, wanted);
	else
		doctor_say(d, VERDICT_PASS, "open files", NULL, "the limit is %llu, for %u links", hard, d->config->links_total);
}

/* -- kernel ------------------------------------------------------------------------------ */

static unsigned long long number_in(const char *path)
{
	unsigned long long v = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (fscanf(f, "%llu", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

static void check_conntrack(struct doctor *d)
{
	unsigned long long count = number_in("/proc/sys/net/netfilter/nf_conntrack_count");
	unsigned long long max = number_in("/proc/sys/net/netfilter/nf_conntrack_max");

	if (max && count > max / 10 * 8)
		doctor_say(d, VERDICT_WARN, "conntrack", "raise net.netfilter.nf_conntrack_max, or do not track the OR port",
			   "the firewall tracks %llu connections of at most %llu; beyond that it drops", count, max);
}

void doctor_check_kernel(struct doctor *d)
{
	/* landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) */
	long landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	bool seccomp = access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
	struct utsname u;

	uname(&u);
	if (landlock > 0 && seccomp)
		doctor_say(d, VERDICT_PASS, "kernel", NULL, "%s, Landlock %ld, seccomp", u.release, landlock);
	else
		doctor_say(d, VERDICT_WARN, "kernel", "use a kernel with Landlock (5.13 or later, lsm=landlock,...) and seccomp",
			   "%s has %s%s: the daemon is less confined", u.release, landlock > 0 ? "" : "no Landlock",
			   seccomp ? "" : landlock > 0 ? "no seccomp" : ", no seccomp");
	check_conntrack(d);
}

/* -- ports -------------------------------------------------------------------------------- */

static int try_bind(const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, a);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, error = 0;

	if (fd < 0)
		return errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ss.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 1) < 0)
		error = errno;
	close(fd);
	return error;
}

static void check_port(struct doctor *d, const struct addr *a)
{
	char text[ADDR_TEXT_CAP];
	int error = try_bind(a);

	addr_format(text, a);
	if (error == EADDRINUSE && d->status)
		doctor_say(d, VERDICT_PASS, "port", NULL, "%s is taken, and the daemon runs", text);
	else if (error == EADDRINUSE)
		doctor_say(d, VERDICT_FAIL, "port", "stop the other program (ss -ltnp names it), or choose another or_listen",
			   "%s is taken by another program", text);
	else if (error == EACCES)
		doctor_say(d, VERDICT_WARN, "port", "run this as root, or start the daemon with CAP_NET_BIND_SERVICE as the unit does",
			   "%s is below 1024 and this user may not use it", text);
	else if (error == EADDRNOTAVAIL)
		doctor_say(d, VERDICT_FAIL, "port", "use an address that \"ip address\" shows, or 0.0.0.0",
			   "%s is not an address of this machine", text);
	else if (error)
		doctor_say(d, VERDICT_FAIL, "port", "choose another or_listen", "%s: %s", text, strerror(error));
	else if (d->status)
		doctor_say(d, VERDICT_FAIL, "port", "look at the log of the daemon", "%s is free although the daemon runs", text);
	else
		doctor_say(d, VERDICT_PASS, "port", NULL, "%s can be used", text);
}

void doctor_check_ports(struct doctor *d)
{
	for (size_t i = 0; i < d->config->or_listen.n; i++)
		check_port(d, &d->config->or_listen.v[i]);
}

/* -- address --------------------------------------------------------------------------------- */

static bool has_public_address(void)
{
	struct ifaddrs *list, *i;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (i = list; i && !found; i = i->ifa_next) {
		struct addr a;

		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		if (addr_from_sockaddr(&a, i->ifa_addr, sizeof(struct sockaddr_in)) == 0)
			found = !addr_is_private(&a);
	}
	freeifaddrs(list);
	return found;
}

void doctor_check_address(struct doctor *d)
{
	const char *found = param_text(json_object_get(d->status, "addresses"), "ipv4");
	char text[ADDR_TEXT_CAP];

	if (found && *found)
		doctor_say(d, VERDICT_PASS, "address", NULL, "%s", found);
	else if (d->config->address.n)
		doctor_say(d, VERDICT_PASS, "address", NULL, "%s, as configured", addr_format_ip(text, &d->config->address.v[0]));
	else if (has_public_address())
		doctor_say(d, VERDICT_PASS, "address", NULL, "this machine has a public IPv4 address");
	else
		doctor_say(d, VERDICT_WARN, "address", "forward the OR port in the router; the address is found out through the "
			   "authorities, or set \"address\"", "this machine has no public IPv4 address of its own");
}

/* -- directory authorities ------------------------------------------------------------------- */

static int start_connect(const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, a);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&ss, len) == 0 || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* How many of the sockets connect in time; closes them all. */
static size_t finish_connects(struct pollfd *fds, size_t n)
{
	uint64_t end = now_ms() + CONNECT_MS;
	size_t good = 0, open = n;

	while (open > 0 && now_ms() < end && poll(fds, n, (int)(end - now_ms()) + 1) > 0)
		for (size_t i = 0; i < n; i++) {
			int error = 0;
			socklen_t len = sizeof(error);

			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			if (getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && !error)
				good++;
			close(fds[i].fd);
			fds[i].fd = -1;
			open--;
		}
	for (size_t i = 0; i < n; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return good;
}

void doctor_check_authorities(struct doctor *d)
{
	const struct authority_list *list = &d->config->authority;
	struct pollfd *fds = mem_new_array(list->n + 1, sizeof(*fds));
	size_t n = 0, good;

	for (size_t i = 0; i < list->n; i++) {
		int fd = start_connect(&list->v[i].dir);

		if (fd >= 0)
			fds[n++] = (struct pollfd){ .fd = fd, .events = POLLOUT };
	}
	good = finish_connects(fds, n);
	free(fds);
	if (list->n == 0)
		doctor_say(d, VERDICT_SKIP, "authorities", NULL, "none are configured");
	else if (2 * good > list->n)
		doctor_say(d, VERDICT_PASS, "authorities", NULL, "%zu of %zu can be reached", good, list->n);
	else
		doctor_say(d, good ? VERDICT_WARN : VERDICT_FAIL, "authorities",
			   "let outgoing connections through the firewall; a relay connects to everybody",
			   "%zu of %zu can be reached", good, list->n);
}

/* -- name servers -------------------------------------------------------------------------------- */

static size_t read_nameservers(struct addr *out, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512], ip[64];
	size_t n = 0;

	while (f && n < NAMESERVERS_MAX && fgets(line, sizeof(line), f))
		if (sscanf(line, " nameserver %63s", ip) == 1 && addr_parse_ip(&out[n], ip, strlen(ip)) == 0)
			out[n++].port = 53;
	if (f)
		fclose(f);
	return n;
}

/* Ask for the name servers of the root, which every server knows (RFC 1035 section 4.1). */
static bool answers(const struct addr *server)
{
	static const uint8_t query[DNS_PACKET] = { 0x6e, 0x6f, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1 };
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&ss, server);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t reply[512];
	bool good = false;

	if (fd < 0)
		return false;
	if (connect(fd, (struct sockaddr *)&ss, len) == 0 && send(fd, query, sizeof(query), 0) == sizeof(query) &&
	    poll(&p, 1, DNS_MS) == 1)
		good = recv(fd, reply, sizeof(reply), 0) >= 12 && memcmp(reply, query, 2) == 0 && reply[2] & 0x80;
	close(fd);
	return good;
}

void doctor_check_dns(struct doctor *d)
{
	const char *path = d->config->resolv_conf ? d->config->resolv_conf : "/etc/resolv.conf";
	bool is_exit = strstr(d->config->exit_policy, "accept") != NULL;
	struct addr servers[NAMESERVERS_MAX];
	size_t n, good = 0;

	if (!is_exit) {
		doctor_say(d, VERDICT_SKIP, "name servers", NULL, "only exits ask them");
		return;
	}
	n = read_nameservers(servers, path);
	for (size_t i = 0; i < n; i++)
		good += answers(&servers[i]);
	if (n && good == n)
		doctor_say(d, VERDICT_PASS, "name servers", NULL, "%zu of %s answer", n, path);
	else
		doctor_say(d, good ? VERDICT_WARN : VERDICT_FAIL, "name servers",
			   "an exit needs a resolver, best one of its own on this machine (unbound)", "%zu of %zu in %s answer", good,
			   n, path);
}
