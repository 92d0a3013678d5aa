/* Link cells as bytes on the wire; see cell.h. */
#include "config.h"

#include "cell.h"

#include <nonos/bytes.h>
#include <nonos/err.h>

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

size_t cell_open(struct cell *ret, uint8_t *buf, size_t len)
{
	size_t head_len = CELL_HEAD_LEN, body_len = CELL_BODY_LEN;

	if (len < CELL_HEAD_LEN)
		return 0;
	if (cell_is_variable(buf[4])) {
		if (len < CELL_VAR_HEAD_LEN)
			return 0;
		head_len = CELL_VAR_HEAD_LEN;
		body_len = (size_t)buf[5] << 8 | buf[6];
	}
	if (len - head_len < body_len)
		return 0;
	*ret = (struct cell){
		.circ_id = get_u32(buf),
		.cmd = buf[4],
		.body_len = (uint16_t)body_len,
		.body = buf + head_len,
	};
	return head_len + body_len;
}

void cell_put_head(uint8_t *out, uint32_t circ_id, uint8_t cmd)
{
	out[0] = (uint8_t)(circ_id >> 24);
	out[1] = (uint8_t)(circ_id >> 16);
	out[2] = (uint8_t)(circ_id >> 8);
	out[3] = (uint8_t)circ_id;
	out[4] = cmd;
}

const char *cell_cmd_str(uint8_t cmd)
{
	switch ((enum cell_cmd)cmd) {
	case CELL_PADDING:		return "PADDING";
	case CELL_CREATE:		return "CREATE";
	case CELL_CREATED:		return "CREATED";
	case CELL_RELAY:		return "RELAY";
	case CELL_DESTROY:		return "DESTROY";
	case CELL_CREATE_FAST:		return "CREATE_FAST";
	case CELL_CREATED_FAST:		return "CREATED_FAST";
	case CELL_VERSIONS:		return "VERSIONS";
	case CELL_NETINFO:		return "NETINFO";
	case CELL_RELAY_EARLY:		return "RELAY_EARLY";
	case CELL_CREATE2:		return "CREATE2";
	case CELL_CREATED2:		return "CREATED2";
	case CELL_PADDING_NEGOTIATE:	return "PADDING_NEGOTIATE";
	case CELL_VPADDING:		return "VPADDING";
	case CELL_CERTS:		return "CERTS";
	case CELL_AUTH_CHALLENGE:	return "AUTH_CHALLENGE";
	case CELL_AUTHENTICATE:		return "AUTHENTICATE";
	case CELL_AUTHORIZE:		return "AUTHORIZE";
	}
	return "unknown";
}

const char *destroy_reason_str(uint8_t reason)
{
	switch ((enum destroy_reason)reason) {
	case DESTROY_NONE:		return "none";
	case DESTROY_PROTOCOL:		return "protocol violation";
	case DESTROY_INTERNAL:		return "internal error";
	case DESTROY_REQUESTED:		return "requested";
	case DESTROY_HIBERNATING:	return "hibernating";
	case DESTROY_RESOURCELIMIT:	return "resource limit";
	case DESTROY_CONNECTFAILED:	return "connect failed";
	case DESTROY_OR_IDENTITY:	return "identity mismatch";
	case DESTROY_CHANNEL_CLOSED:	return "channel closed";
	case DESTROY_FINISHED:		return "finished";
	case DESTROY_TIMEOUT:		return "timeout";
	case DESTROY_DESTROYED:		return "destroyed";
	case DESTROY_NOSUCHSERVICE:	return "no such service";
	}
	return "unknown";
}

int create2_parse(uint16_t *ret_type, const uint8_t **ret_data, uint16_t *ret_len,
		  const uint8_t *body, size_t len)
{
	struct rd r = rd_init(body, len);
	uint16_t type = rd_u16(&r);
	uint16_t data_len = rd_u16(&r);
	const uint8_t *data = rd_take(&r, data_len);

	/* What follows in the cell is padding (tor-spec 5.1). */
	if (!rd_ok(&r))
		return ERR_MALFORMED;
	*ret_type = type;
	*ret_data = data;
	*ret_len = data_len;
	return 0;
}

int created2_parse(const uint8_t **ret_data, uint16_t *ret_len, const uint8_t *body, size_t len)
{
	struct rd r = rd_init(body, len);
	uint16_t data_len = rd_u16(&r);
	const uint8_t *data = rd_take(&r, data_len);

	if (!rd_ok(&r))
		return ERR_MALFORMED;
	*ret_data = data;
	*ret_len = data_len;
	return 0;
}
