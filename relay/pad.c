/* Padding that clients ask for; see pad.h. */
#include "config.h"

#include "pad.h"

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/rand.h>

enum pad_command { PAD_STOP = 1, PAD_START = 2 };
enum pad_response { PAD_OK = 1, PAD_ERR = 2 };

/*
 * Bounds below the network's are raised to them; a client that is content
 * with the network's sends zeros (padding-spec 2.5).
 */
int pad_negotiate_parse(struct pad_negotiate *ret, const uint8_t *body, size_t len,
			uint16_t net_low_ms, uint16_t net_high_ms)
{
	bool disabled = net_low_ms == 0 && net_high_ms == 0;
	struct rd r = rd_init(body, len);
	uint8_t version = rd_u8(&r), command = rd_u8(&r);
	uint16_t low = rd_u16(&r), high = rd_u16(&r);

	/* The rest of the cell is its padding. */
	if (!rd_ok(&r))
		return ERR_MALFORMED;
	if (version != 0 || (command != PAD_STOP && command != PAD_START))
		return ERR_UNSUPPORTED;
	if (low < net_low_ms)
		low = net_low_ms;
	if (high < net_high_ms)
		high = net_high_ms;
	if (high < low)
		high = low;
	*ret = (struct pad_negotiate){ .start = command == PAD_START && !disabled, .low_ms = low, .high_ms = high };
	return 0;
}

uint32_t pad_next_ms(uint16_t low_ms, uint16_t high_ms)
{
	uint32_t a, b;

	if (high_ms <= low_ms)
		return low_ms;
	/* Y = max(X, X) costs less than a uniform pick for the same cover (padding-spec 2.3). */
	a = rand_below((uint32_t)high_ms - low_ms);
	b = rand_below((uint32_t)high_ms - low_ms);
	return low_ms + (a > b ? a : b);
}

int pad_circuit_answer(uint8_t out[PAD_ANSWER_LEN], const uint8_t *data, size_t len)
{
	struct rd r = rd_init(data, len);
	uint8_t version = rd_u8(&r), command = rd_u8(&r), machine = rd_u8(&r);
	struct wr w = wr_init(out, PAD_ANSWER_LEN);
	uint32_t counter;

	(void)rd_u8(&r);		/* unused */
	counter = rd_u32(&r);
	if (rd_done(&r) < 0)
		return ERR_MALFORMED;
	if (version != 0 || (command != PAD_STOP && command != PAD_START))
		return ERR_UNSUPPORTED;
	wr_u8(&w, 0);
	wr_u8(&w, command);
	wr_u8(&w, command == PAD_START ? PAD_ERR : PAD_OK);
	wr_u8(&w, machine);
	wr_u32(&w, counter);
	return 0;
}
