/*
 * One message to an edge: command and circuit kind from the first two bytes, then the body.
 * Nothing is connected to but a closed port on loopback.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/mem.h>

#include "../../relay/edge_msg.h"
#include "../unit/edge_fakes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void parse_alone(const uint8_t *body, size_t len)
{
	struct begin b;
	struct resolve_request q;

	/* A name that was taken is one that can be taken again. */
	if (begin_parse(&b, body, len) == 0 && b.host[0] && host_parse(b.host, b.host, strlen(b.host)) < 0)
		abort();
	if (resolve_parse(&q, body, len) == 0 && q.what != RESOLVE_FORWARD && q.addr.family == ADDR_NONE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t cmds[] = { RELAY_BEGIN, RELAY_RESOLVE, RELAY_END, RELAY_SENDME, RELAY_BEGIN_DIR,
					RELAY_DATA, RELAY_XOFF, RELAY_XON };
	uint8_t *body;

	if (len < 2 || len - 2 > RELAY_DATA_MAX)
		return 0;
	clock_set_manual(1000, 1000);
	body = mem_dup(data + 2, len - 2);
	parse_alone(body, len - 2);
	fakes_start("accept 127.0.0.1:1", data[1] & 1 ? 31 : 0);
	fakes.relay.config.allow_private = !(data[1] & 2);
	fakes.hold = (data[1] & 4) != 0;
	if (data[1] & 8)
		(void)fake_message(RELAY_BEGIN_DIR, 1, "", 0);
	(void)fake_message(cmds[data[0] % sizeof(cmds)], data[1] & 16 ? 1 : data[1] >> 6, body, len - 2);
	fakes_stop();
	fakes_drop_held();
	free(body);
	return 0;
}
