/* Methods over the relay's keys and descriptor: onion.rotate, publish. */
#include "config.h"

#include "keeper.h"

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>

int cmd_publish(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	const char *waits = keeper_waits_for(k);

	if (k->state != KEEPER_RUNNING)
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "the relay is not running; see \"status\"");
	if (waits)
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "the descriptor waits for %s", waits);
	if (!call->dry_run)
		keeper_publish(k, "asked for");
	call->result = json_pack("{s:b, s:I}", "dry_run", call->dry_run, "authorities",
				(json_int_t)k->config->authority.n);
	return 0;
}

int cmd_onion_rotate(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	int r = 0;

	if (!keeper_may_write(k))
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "another nonosd is taking over; ask again in a moment");
	if (k->state >= KEEPER_DRAINING)
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "the relay is stopping");
	if (!param_flag(call->params, "force") && keys_old_onion_in_use(k->keys, clock_wall()))
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "the onion keys were replaced less than a day ago, and clients "
				"may still use the ones before: only one old pair is kept, and those would be forgotten. "
				"Wait, or say --force if the keys are known to others");
	if (!call->dry_run) {
		r = keys_rotate_onion(k->keys, clock_wall());
		if (r < 0)
			return ctl_fail(call, r, CTL_FAILED, "the onion keys cannot be replaced: %s; see the log",
					err_str(r));
		log_notice("The onion keys were replaced, as asked for.");
		keeper_feed_onion_keys(k);
		event_keys(k, KEYS_CHANGED_ONION);
		keeper_publish(k, "onion keys replaced");
	}
	call->result = json_pack("{s:b, s:I}", "dry_run", call->dry_run, "next_rotation",
				(json_int_t)keys_onion_rotates(k->keys));
	return 0;
}
