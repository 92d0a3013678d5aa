/*
 * Padding: what a client asks for on its link (padding-spec 2) and on its
 * circuit (padding-spec 3). Pure functions.
 */
#ifndef RELAY_PAD_H
#define RELAY_PAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A link's PADDING_NEGOTIATE cell. */
struct pad_negotiate {
	bool start;			/* else stop */
	uint16_t low_ms, high_ms;	/* bounds of the time between padding cells, already clipped */
};

/* Defaults of the consensus parameters nf_ito_low and nf_ito_high (padding-spec 2.6). */
enum { PAD_LOW_MS = 1500, PAD_HIGH_MS = 9500 };

/*
 * The network's bounds are what nf_ito_low and nf_ito_high say; zeros turn a start into a stop.
 * ERR_MALFORMED, ERR_UNSUPPORTED for another version or command.
 */
int pad_negotiate_parse(struct pad_negotiate *ret, const uint8_t *body, size_t len,
			uint16_t net_low_ms, uint16_t net_high_ms);

/* When to send the next PADDING on an idle link: the larger of two uniform picks between the bounds. */
uint32_t pad_next_ms(uint16_t low_ms, uint16_t high_ms);

enum { PAD_ANSWER_LEN = 8 };

/*
 * Answer a circuit's PADDING_NEGOTIATE (relay command 41): we run no padding machines, so
 * the answer to a start is an error, and a stop is acknowledged. ERR_MALFORMED, or
 * ERR_UNSUPPORTED for another version or command: no answer.
 */
int pad_circuit_answer(uint8_t out[PAD_ANSWER_LEN], const uint8_t *data, size_t len);

#endif
