/* Methods over the relay's keys and descriptor: onion.rotate, publish. */
#include "config.h"

#include "keeper.h"

#include <stdio.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>

static int not_now(struct ctl_error *err, const char *what)
{
	err->code = CTL_NOT_NOW;
	snprintf(err->message, sizeof(err->message), "%s", what);
	return ERR_STATE;
}

int cmd_publish(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err)
{
	struct keeper *k = arg;
	const char *waits = keeper_waits_for(k);
	char text[256];

	if (k->state != KEEPER_RUNNING)
		return not_now(err, "the relay is not running; see \"status\"");
	if (waits) {
		snprintf(text, sizeof(text), "the descriptor waits for %s", waits);
		return not_now(err, text);
	}
	if (!dry_run)
		keeper_publish(k, "asked for");
	*ret_result = json_pack("{s:b, s:I}", "dry_run", dry_run, "authorities",
				(json_int_t)k->config->authority.n);
	return 0;
}

int cmd_onion_rotate(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err)
{
	struct keeper *k = arg;
	int r = 0;

	if (k->state >= KEEPER_DRAINING)
		return not_now(err, "the relay is stopping");
	if (!dry_run) {
		r = keys_rotate_onion(k->keys, clock_wall());
		if (r < 0) {
			err->code = CTL_FAILED;
			snprintf(err->message, sizeof(err->message), "the onion keys cannot be replaced: %s; see the log",
				 err_str(r));
			return r;
		}
		log_notice("The onion keys were replaced, as asked for.");
		keeper_feed_onion_keys(k);
		keeper_publish(k, "onion keys replaced");
	}
	*ret_result = json_pack("{s:b, s:I}", "dry_run", dry_run, "next_rotation",
				(json_int_t)keys_onion_rotates(k->keys));
	return 0;
}
