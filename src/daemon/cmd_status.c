/* Methods that look: status, counters, metrics, version, events. */
#include "config.h"

#include "keeper.h"

#include <event2/buffer.h>

#include <nonos/err.h>
#include <nonos/mem.h>

int cmd_status(struct ctl_call *call)
{
	call->result = status_make(call->arg);
	return 0;
}

int cmd_counters(struct ctl_call *call)
{
	call->result = status_counters(call->arg);
	return 0;
}

int cmd_metrics(struct ctl_call *call)
{
	struct evbuffer *out = evbuffer_new();

	if (!out)
		mem_fail();
	keeper_metrics_text(call->arg, out);
	call->result = json_pack("{s:s%}", "text", (const char *)evbuffer_pullup(out, -1), evbuffer_get_length(out));
	evbuffer_free(out);
	return 0;
}

int cmd_version(struct ctl_call *call)
{
	call->result = json_pack("{s:s}", "version", PACKAGE_VERSION);
	return 0;
}

int cmd_events(struct ctl_call *call)
{
	const json_t *topics = json_object_get(call->params, "topics");
	int r = ctl_session_subscribe(call->session, topics);

	if (r < 0)
		return ctl_fail(call, r, CTL_INVALID_PARAMS, r == ERR_TOO_LONG ? "these are too many topics; use * in their names"
				: "a topic is lower-case words joined by dots, and * for any; see nonos-control(7)");
	call->result = json_pack("{s:O?}", "topics", topics);
	return 0;
}
