/*
 * The contract ABI of Ethereum: call data of a function, its return data, and
 * the logs of an event. A signature is parsed once, "stake(bytes32,uint256)",
 * and then leads the encoder and the decoder. Types are uint8 to uint256,
 * address, bytes32, bytes, string, tuples in parentheses and arrays T[].
 *
 * The decoder accepts what the encoder writes and nothing else: offsets in
 * order and without gaps or overlaps, padding of zeros, no trailing bytes. So
 * no answer of a node can make a little data look like much, and the work is
 * linear in its length.
 */
#ifndef LEDGER_ABI_H
#define LEDGER_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/bytes.h>
#include <nonos/keccak.h>

enum {
	ABI_WORD = 32,
	ABI_SELECTOR_LEN = 4,
	ABI_SIG_TEXT_MAX = 255,
	ABI_TYPES_MAX = 48,		/* in a signature */
	ABI_DEPTH_MAX = 8,		/* of tuples and arrays */
	ABI_TOPICS_MAX = 4,		/* of a log: the event, and three indexed parameters */
};

enum abi_kind { ABI_UINT, ABI_ADDRESS, ABI_BYTES32, ABI_BYTES, ABI_STRING, ABI_ARRAY, ABI_TUPLE };

struct abi_type {
	enum abi_kind kind;
	unsigned bits;			/* of an ABI_UINT */
	bool dynamic;			/* stands behind an offset */
	bool indexed;			/* a parameter of an event that is a topic */
	size_t head;			/* bytes among its neighbours, an offset or all of it */
	uint8_t child;			/* index of the element, or of the first member; 0: none */
	uint8_t next;			/* index of the next member; 0: none */
};

struct abi_sig {
	uint8_t hash[KECCAK256_LEN];	/* topic of the event; its first 4 bytes select the function */
	bool named;
	size_t n_types;
	struct abi_type types[ABI_TYPES_MAX];	/* the first is the tuple of all parameters */
};

/* A value, of the member that its type says. */
struct abi_value {
	uint8_t word[ABI_WORD];		/* uint, address, bytes32: as encoded, a number at the right end */
	const uint8_t *data;		/* bytes, string; borrowed */
	size_t len;
	const struct abi_value *items;	/* array, tuple; borrowed */
	size_t n_items;
};

/*
 * Parse "name(type,...)", or "(type,...)" for what a function returns. In an
 * event " indexed" follows the types of up to three parameters. ERR_MALFORMED, or
 * ERR_LIMIT for more than the bounds above.
 */
int abi_sig_parse(struct abi_sig *ret, const char *text);

/*
 * Write the parameters, and with abi_call() the selector before them.
 * ERR_MISMATCH when the number of values is another, or for a call of what has no
 * name; ERR_RANGE when a number or address does not fit; ERR_TOO_LONG when `w` is full.
 */
int abi_encode(struct wr *w, const struct abi_sig *s, const struct abi_value *args, size_t n);
int abi_call(struct wr *w, const struct abi_sig *s, const struct abi_value *args, size_t n);

/*
 * Decode to `values`, of which there are `cap`: first the parameters in order,
 * then the items of arrays and tuples. Bytes are borrowed from `data`; those of
 * a string are as they came, perhaps not UTF-8. ERR_MALFORMED, ERR_RANGE when a number
 * or address does not fit, ERR_LIMIT for more than `cap` values. On failure the values are undefined.
 */
int abi_decode(struct abi_value *values, size_t cap, const struct abi_sig *s, const void *data, size_t len);

/*
 * As abi_decode(), for a log. An indexed parameter that is not one word has
 * the hash that stands for it in `word`. ERR_MISMATCH for the log of another event.
 */
int abi_log(struct abi_value *values, size_t cap, const struct abi_sig *s, const uint8_t (*topics)[ABI_WORD],
	    size_t n_topics, const void *data, size_t len);

#endif
