/* A relay message out of an arbitrary body; what is read builds the same head again. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "../../relay/cell.h"
#include "../../relay/relay_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t body[CELL_BODY_LEN] = { 0 }, again[CELL_BODY_LEN];
	struct relay_msg m;

	memcpy(body, data, len < sizeof(body) ? len : sizeof(body));
	if (relay_msg_parse(&m, body) < 0)
		return 0;
	if (m.len > RELAY_DATA_MAX || m.data + m.len > body + sizeof(body))
		abort();
	relay_msg_build(again, m.cmd, m.stream_id, m.data, m.len);
	if (again[0] != body[0] || memcmp(again + 3, body + 3, 2) != 0 ||
	    memcmp(again + 9, body + 9, 2u + m.len) != 0)
		abort();
	return 0;
}
