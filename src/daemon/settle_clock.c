/*
 * The clock of the machine that writes the journal. When it is far ahead of what is known of
 * the time, nothing is appended until it is set right, until the authorities' newest
 * consensus says the same as it, or until the operator says that it is right.
 */
#include "config.h"

#include "settle_priv.h"

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>

/* A consensus of now that most authorities have signed. */
static bool is_confirmed(const struct settle *s, const struct measured_consensus *newest)
{
	return clock_wall() >= newest->valid_after && clock_wall() <= newest->fresh_until + (int64_t)s->config->clock_ahead;
}

void settle_clock_tick(struct settle *s)
{
	struct measured_consensus newest;
	uint64_t ahead, due;
	bool measures, may_measure;	/* the latter also before measure.db could be opened */

	if (!s->ledger || !s->writer)
		return;
	/* Where consensuses come, one of now will come after a stop, too, and say whether it was that long. */
	measures = s->measure && measure_newest(s->measure, &newest) == 0;
	may_measure = measures || (s->config->measure && !s->measure);
	ledger_watch_clock(s->ledger, s->config->clock_ahead, may_measure ? s->config->clock_ahead : s->config->clock_stop);
	ahead = ledger_clock_ahead(s->ledger, &due);
	if (ahead && measures && is_confirmed(s, &newest)) {
		log_notice("This machine's clock went ahead, and the newest consensus says that it is right. seconds=%llu",
			   (unsigned long long)ahead);
		ledger_trust_clock(s->ledger);
		ahead = 0;
	}
	settle_problem_set(&s->clock_problem, "The journal takes nothing",
			   ahead ? "this machine's clock is far ahead of the journal's last entry and of its own running time" : "");
}

int settle_clock(struct settle *s, struct ctl_call *call, bool right)
{
	struct ledger *l = settle_ledger(s, call);
	uint64_t due, ahead;

	if (!l)
		return ERR_STATE;
	if (!s->writer)
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "this node does not write the journal: the times in it are those of its writer");
	settle_clock_tick(s);
	ahead = ledger_clock_ahead(l, &due);
	if (right && !call->dry_run) {
		ledger_trust_clock(l);
		log_notice("The operator says that this machine's clock is right. time=%lld", (long long)clock_wall());
		settle_clock_tick(s);
	}
	call->result = json_pack("{s:I, s:I, s:I, s:b, s:b}", "clock", (json_int_t)clock_wall(), "due", (json_int_t)due, "ahead_s",
				 (json_int_t)ahead, "believed", ahead == 0 || right, "dry_run", call->dry_run);
	return 0;
}
