/* Relay messages as bytes in a cell's body; see relay_msg.h. */
#include "config.h"

#include "relay_msg.h"

#include <assert.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/err.h>
#include <nonos/rand.h>

#include "cell.h"

enum { PAD_ZEROS = 4 };		/* before the random padding (tor-spec 6.1) */

int relay_msg_parse(struct relay_msg *ret, const uint8_t *body)
{
	struct rd r = rd_init(body, CELL_BODY_LEN);
	uint8_t cmd = rd_u8(&r);
	uint16_t stream_id, len;
	const uint8_t *data;

	(void)rd_take(&r, 2);		/* recognized */
	stream_id = rd_u16(&r);
	(void)rd_take(&r, 4);		/* digest */
	len = rd_u16(&r);
	data = rd_take(&r, len);
	if (!rd_ok(&r))
		return ERR_MALFORMED;
	ret->cmd = cmd;
	ret->stream_id = stream_id;
	ret->len = len;
	ret->data = data;
	return 0;
}

/*
 * Random padding makes the digest of a cell unguessable, so that a SENDME
 * proves that the cell arrived (proposal 289). The zeros leave room for
 * a later protocol to put something behind the data.
 */
static void fill_padding(uint8_t *p, size_t room)
{
	size_t zeros = room < PAD_ZEROS ? room : PAD_ZEROS;

	memset(p, 0, zeros);
	if (room > zeros)
		rand_fast(p + zeros, room - zeros);
}

void relay_msg_build(uint8_t *body, uint8_t cmd, uint16_t stream_id, const uint8_t *data, size_t len)
{
	struct wr w = wr_init(body, CELL_BODY_LEN);

	assert(len <= RELAY_DATA_MAX);
	wr_u8(&w, cmd);
	wr_u16(&w, 0);
	wr_u16(&w, stream_id);
	wr_u32(&w, 0);
	wr_u16(&w, (uint16_t)len);
	wr_bytes(&w, data, len);
	fill_padding(body + RELAY_HEAD_LEN + len, RELAY_DATA_MAX - len);
}

const char *relay_cmd_str(uint8_t cmd)
{
	switch ((enum relay_cmd)cmd) {
	case RELAY_BEGIN:		return "BEGIN";
	case RELAY_DATA:		return "DATA";
	case RELAY_END:			return "END";
	case RELAY_CONNECTED:		return "CONNECTED";
	case RELAY_SENDME:		return "SENDME";
	case RELAY_EXTEND:		return "EXTEND";
	case RELAY_EXTENDED:		return "EXTENDED";
	case RELAY_TRUNCATE:		return "TRUNCATE";
	case RELAY_TRUNCATED:		return "TRUNCATED";
	case RELAY_DROP:		return "DROP";
	case RELAY_RESOLVE:		return "RESOLVE";
	case RELAY_RESOLVED:		return "RESOLVED";
	case RELAY_BEGIN_DIR:		return "BEGIN_DIR";
	case RELAY_EXTEND2:		return "EXTEND2";
	case RELAY_EXTENDED2:		return "EXTENDED2";
	case RELAY_PADDING_NEGOTIATE:	return "PADDING_NEGOTIATE";
	case RELAY_PADDING_NEGOTIATED:	return "PADDING_NEGOTIATED";
	case RELAY_XOFF:		return "XOFF";
	case RELAY_XON:			return "XON";
	}
	return "unknown";
}

const char *end_reason_str(uint8_t reason)
{
	switch ((enum end_reason)reason) {
	case END_MISC:			return "unlisted reason";
	case END_RESOLVEFAILED:		return "name not resolved";
	case END_CONNECTREFUSED:	return "connection refused";
	case END_EXITPOLICY:		return "exit policy";
	case END_DESTROY:		return "circuit destroyed";
	case END_DONE:			return "done";
	case END_TIMEOUT:		return "timeout";
	case END_NOROUTE:		return "no route";
	case END_HIBERNATING:		return "hibernating";
	case END_INTERNAL:		return "internal error";
	case END_RESOURCELIMIT:		return "resource limit";
	case END_CONNRESET:		return "connection reset";
	case END_TORPROTOCOL:		return "protocol violation";
	case END_NOTDIRECTORY:		return "not a directory";
	}
	return "unknown";
}
