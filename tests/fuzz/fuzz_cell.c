/* A stream of link cells, opened one after the other as a link does. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/mem.h>

#include "../../relay/cell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void open_body(const struct cell *c)
{
	const uint8_t *hdata;
	uint16_t htype, hlen;

	if (c->cmd == CELL_CREATE2 && create2_parse(&htype, &hdata, &hlen, c->body, c->body_len) == 0 &&
	    (hlen > c->body_len || hdata < c->body || hdata + hlen > c->body + c->body_len))
		abort();
	if (c->cmd == CELL_CREATED2 && created2_parse(&hdata, &hlen, c->body, c->body_len) == 0 &&
	    (hlen > c->body_len || hdata < c->body || hdata + hlen > c->body + c->body_len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *buf = mem_dup(data, len);
	size_t at = 0, used;
	struct cell c;

	while ((used = cell_open(&c, buf + at, len - at))) {
		if (used > len - at || c.body + c.body_len != buf + at + used)
			abort();
		if (c.body_len)
			c.body[c.body_len - 1] ^= 1;	/* the whole body is ours to write */
		open_body(&c);
		if (!cell_cmd_str(c.cmd))
			abort();
		at += used;
	}
	free(buf);
	return 0;
}
