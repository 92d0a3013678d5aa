/*
 * Internet addresses: an IPv4 or IPv6 address with a port. Text forms are
 * "192.0.2.1:9001" and "[2001:db8::1]:9001".
 */
#ifndef NONOS_ADDR_H
#define NONOS_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

struct addr {
	uint8_t family;		/* enum addr_family */
	uint16_t port;		/* host order; 0 when there is none */
	uint8_t ip[16];		/* network order; the first 4 bytes for IPv4, the rest zero */
};

#define ADDR_TEXT_CAP 64

/* Length of the address in bytes: 4, 16, or 0 for ADDR_NONE. */
size_t addr_ip_len(const struct addr *a);

/* Parse an address without port; brackets around IPv6 are optional. */
int addr_parse_ip(struct addr *ret, const char *text, size_t len);

/* Parse "address:port"; IPv6 needs its brackets. Port 0 is ERR_RANGE. */
int addr_parse(struct addr *ret, const char *text, size_t len);

/* Write "address:port", or the address alone, to `out` of ADDR_TEXT_CAP. Returns `out`. */
const char *addr_format(char *out, const struct addr *a);
const char *addr_format_ip(char *out, const struct addr *a);

/*
 * Text for a log line: like addr_format(), or "[scrubbed]" while redaction is
 * on (log_set_redact()). The result is in one of four rotating static buffers.
 */
const char *log_addr(const struct addr *a);

bool addr_eq(const struct addr *a, const struct addr *b);	/* with port */
bool addr_ip_eq(const struct addr *a, const struct addr *b);

/* True when the first `bits` bits agree and the families are the same. */
bool addr_prefix_eq(const struct addr *a, const struct addr *b, unsigned bits);

/*
 * True for what is not reachable on the public Internet: loopback, RFC 1918,
 * link-local, multicast, 0/8, 100.64/10, documentation and benchmark ranges,
 * unique-local IPv6, and the same embedded in IPv4-mapped IPv6.
 */
bool addr_is_private(const struct addr *a);

/*
 * The networks behind addr_is_private(), one by one: false when `i` is past
 * the last. Exit policies spell them out.
 */
bool addr_private_net(struct addr *ret, unsigned *ret_bits, size_t i);

/* Turn an IPv4-mapped IPv6 address (::ffff:192.0.2.1) into the IPv4 one it reaches. */
void addr_unmap(struct addr *a);

/* True for 127/8 and ::1. */
bool addr_is_loopback(const struct addr *a);

/* Convert to and from socket addresses. The first returns the length used. */
socklen_t addr_to_sockaddr(struct sockaddr_storage *ret, const struct addr *a);
int addr_from_sockaddr(struct addr *ret, const struct sockaddr *sa, socklen_t len);

#endif
