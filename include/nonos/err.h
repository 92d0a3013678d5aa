/*
 * Error codes. A function that can fail returns 0 or one of these negative
 * values; on failure its outputs keep their old value.
 */
#ifndef NONOS_ERR_H
#define NONOS_ERR_H

#define ERR_TABLE(X) \
	X(ERR_MALFORMED,   1, "malformed input") \
	X(ERR_TOO_LONG,    2, "too long") \
	X(ERR_NOT_FOUND,   3, "not found") \
	X(ERR_EXISTS,      4, "already exists") \
	X(ERR_UNSUPPORTED, 5, "not supported") \
	X(ERR_REFUSED,     6, "refused") \
	X(ERR_AUTH,        7, "authentication failed") \
	X(ERR_EXPIRED,     8, "expired") \
	X(ERR_NOT_YET,     9, "not valid yet") \
	X(ERR_CRYPTO,     10, "cryptographic operation failed") \
	X(ERR_IO,         11, "input/output error") \
	X(ERR_SYSTEM,     12, "system call failed") \
	X(ERR_CLOSED,     13, "closed") \
	X(ERR_AGAIN,      14, "would block") \
	X(ERR_LIMIT,      15, "limit reached") \
	X(ERR_STATE,      16, "not possible in this state") \
	X(ERR_RANGE,      17, "out of range") \
	X(ERR_PROTOCOL,   18, "protocol violation") \
	X(ERR_TIMEOUT,    19, "timed out") \
	X(ERR_MISMATCH,   20, "does not match") \
	X(ERR_CONFIG,     21, "configuration error") \
	X(ERR_NETWORK,    22, "network error") \
	X(ERR_BUSY,       23, "busy") \
	X(ERR_PERMISSION, 24, "permission denied")

enum err {
	ERR_OK = 0,
#define X(name, number, text) name = -(number),
	ERR_TABLE(X)
#undef X
};

/* Return the English name of `code`, never NULL. 0 is "success". */
const char *err_str(int code);

#endif
