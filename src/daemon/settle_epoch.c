/*
 * Closing epochs. When an epoch has ended and none of its consensuses can come
 * any more, its evidence is written and its EpochRoot drafted, the same by every
 * auditor that took the same consensuses. With our signature, if we are one, and as
 * many others as genesis wants, the writer appends it. Epochs missed while the daemon
 * was away are closed one after the other; which one is next, only the journal says, so
 * that none is ever closed twice.
 */
#include "config.h"

#include "settle_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/epochs.h>
#include <nonos/err.h>
#include <nonos/genesis.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "settle_evidence.h"

enum {
	TICK_US = 500 * 1000,		/* epochs are closed one after the other for so long; the rest a second later */
	AGAIN_MS = 900,			/* after a draft that could not be made: less than a tick */
	DRAFT_MS = 60 * 1000,		/* until a draft that waits for auditors is made again */
	RETRY_MS = 5000,		/* after the journal refused, or the disk failed */
	INTERVAL_S = 3600,		/* of consensuses, where none has been seen */
	CONSENSUSES_TOLD = 200,		/* in an attestation */
	LATE_INTERVALS = 3,		/* so long after its end an epoch is closed with what there is ... */
	LACKING_MS = 600 * 1000,	/* ... but not before it was tried for so long to get what is lacking */
	LACKING_TEST_MS = 10 * 1000,
};

static const char not_closed[] = "The epoch cannot be closed";

/* -- evidence ------------------------------------------------------------------------------ */

static struct settle_relay *registered(const struct ledger_register *reg)
{
	struct settle_relay *v = mem_new_array(reg->n, sizeof(*v));

	for (size_t i = 0; i < reg->n; i++) {
		memcpy(v[i].relay_id, reg->relays[i].relay_id, sizeof(v[i].relay_id));
		memcpy(v[i].fingerprint, reg->relays[i].fingerprint, sizeof(v[i].fingerprint));
	}
	return v;
}

/*
 * The directory fetches what the latest consensus lists. Of an earlier one that came from another auditor, or
 * that the latest followed at once, a relay's microdescriptor may be another.
 */
static void want_microdescs(struct settle *s, const struct measured *m, const struct settle_relay *relays, size_t n)
{
	for (size_t i = 0; i < n && s->directory; i++)
		if (settle_match(m, &relays[i]) == SETTLE_MICRODESC_MISSING)
			directory_want_microdesc(s->directory, measured_find(m, relays[i].fingerprint)->microdesc);
}

/* The evidence of an epoch, with the register as of `at`. Errors of settle_evidence(); `why` gets a sentence. */
static int make_evidence(struct settle *s, struct evidence **ret, char why[LEDGER_WHY_CAP], uint64_t epoch,
			 const struct ledger_snapshot *at, bool give_up)
{
	const struct genesis *g = ledger_genesis(s->ledger);
	int64_t from = (int64_t)genesis_epoch_start(g, epoch), to = (int64_t)genesis_epoch_start(g, epoch + 1);
	struct ledger_register *reg = NULL;
	const struct settle_relay *missing = NULL;
	struct settle_relay *relays;
	struct measured *m = NULL;
	int r = measure_read(s->measure, &m, from, to);

	if (r < 0) {
		snprintf(why, LEDGER_WHY_CAP, "the measurement cannot be read: %s", err_str(r));
		return r;
	}
	r = provider_register_at(s->provider, &reg, at);
	if (r < 0) {
		snprintf(why, LEDGER_WHY_CAP, "the register cannot be read: %s", ledger_error(s->ledger));
		measured_free(m);
		return r;
	}
	relays = registered(reg);
	r = settle_evidence(ret, give_up ? NULL : &missing, epoch, m, relays, reg->n);
	want_microdescs(s, m, relays, reg->n);
	if (r == ERR_AGAIN)
		snprintf(why, LEDGER_WHY_CAP, "the microdescriptor of a registered relay has not come yet. relay=%02X%02X%02X%02X...",
			 missing->fingerprint[0], missing->fingerprint[1], missing->fingerprint[2], missing->fingerprint[3]);
	else if (r < 0)
		snprintf(why, LEDGER_WHY_CAP, "there are more consensuses than evidence may hold");
	free(relays);
	ledger_register_free(reg);
	measured_free(m);
	return r;
}

/* -- when -------------------------------------------------------------------------------------- */

/*
 * Consensuses come in order, so one from after the end means that the last of the epoch has
 * come, or never will. Without one, as when the authorities are down, time decides.
 */
static bool is_complete(struct settle *s, int64_t end, bool *ret_late)
{
	struct measured_consensus newest = { .valid_after = 0 };
	int64_t interval = INTERVAL_S;

	if (measure_newest(s->measure, &newest) == 0 && newest.fresh_until > newest.valid_after)
		interval = newest.fresh_until - newest.valid_after;
	*ret_late = clock_wall() >= end + LATE_INTERVALS * interval;
	return clock_wall() >= end && (newest.valid_after >= end || *ret_late);
}

/* -- the draft --------------------------------------------------------------------------------- */

static void drop_draft(struct settle *s)
{
	json_decref(s->draft);
	s->draft = NULL;
}

/* Whether what is lacking has been waited for long enough: it may have become late while nobody could ask for it. */
static bool has_waited(const struct settle *s, uint64_t epoch)
{
	return s->lacking_epoch == epoch && s->lacking_ms &&
	       clock_now_ms() >= s->lacking_ms + (s->config->network == NETWORK_TEST ? LACKING_TEST_MS : LACKING_MS);
}

static void note_lacking(struct settle *s, uint64_t epoch)
{
	if (s->lacking_epoch == epoch && s->lacking_ms)
		return;
	s->lacking_epoch = epoch;
	s->lacking_ms = clock_now_ms();
}

/* ERR_NOT_YET: the next epoch still runs, or may still be measured. */
static int make_draft(struct settle *s, json_t **ret, uint64_t epoch, char why[LEDGER_WHY_CAP])
{
	int64_t end = (int64_t)genesis_epoch_start(ledger_genesis(s->ledger), epoch + 1);
	struct ledger_snapshot at = { .time = (uint64_t)end };
	struct evidence *e = NULL;
	json_t *draft = NULL;
	bool late;
	int r;

	if (!is_complete(s, end, &late))
		return ERR_NOT_YET;
	r = ledger_height_at(s->ledger, &at.height, at.time);
	if (r == 0)
		r = make_evidence(s, &e, why, epoch, &at, late && has_waited(s, epoch));
	if (r == ERR_AGAIN)
		note_lacking(s, epoch);
	if (r == 0)
		r = epoch_draft(s->ledger, &draft, why, e, (uint64_t)clock_wall());
	if (r == 0 && s->auditor_key)
		r = epoch_sign(draft, secret_data(s->auditor_key));
	evidence_free(e);
	if (r < 0) {
		json_decref(draft);
		return r;
	}
	*ret = draft;
	return 0;
}

/* Auditors that are late hold up everybody's pay: that is a problem, though not one of this node. */
static void wait_for_auditors(struct settle *s, size_t have, unsigned threshold)
{
	const struct genesis *g = ledger_genesis(s->ledger);
	char why[LEDGER_WHY_CAP];

	if ((uint64_t)clock_wall() < genesis_epoch_start(g, s->draft_epoch + 2)) {
		settle_problem_set(&s->epoch_problem, not_closed, "");
		return;
	}
	snprintf(why, sizeof(why), "epoch %" PRIu64 " waits for auditors: %zu of %u have signed what this node computed",
		 s->draft_epoch, have, threshold);
	settle_problem_set(&s->epoch_problem, not_closed, why);
}

/* Append the draft when enough have signed it. ERR_AGAIN: not yet. */
static int submit_draft(struct settle *s)
{
	unsigned threshold = ledger_genesis(s->ledger)->auditors.threshold;
	size_t have = epoch_signers(s->ledger, s->draft);
	struct ledger_refusal refusal = { 0 };
	struct ledger_receipt receipt;
	char why[LEDGER_WHY_CAP + 64];
	int r;

	if (have < threshold) {
		wait_for_auditors(s, have, threshold);
		return ERR_AGAIN;
	}
	r = provider_submit(s->provider, &receipt, &refusal, s->draft);
	if (r == 0) {
		r = settle_ledger_commit(s);
	} else if (r == ERR_REFUSED) {
		snprintf(why, sizeof(why), "the journal refuses its root: %s: %s", refusal_name(refusal.code), refusal.why);
		settle_problem_set(&s->epoch_problem, not_closed, why);
		drop_draft(s);
	} else {
		settle_ledger_failed(s);
	}
	if (r < 0) {
		s->epoch_retry_ms = clock_now_ms() + RETRY_MS;
		return r;
	}
	settle_problem_set(&s->epoch_problem, not_closed, "");
	log_notice("An epoch is closed. epoch=%" PRIu64 " entry=%" PRIu64, s->draft_epoch, receipt.index);
	settle_tell(s, "ledger.epoch", json_pack("{s:I, s:I}", "epoch", (json_int_t)s->draft_epoch, "entry",
						 (json_int_t)receipt.index));
	drop_draft(s);
	return 0;
}

/*
 * One that waits for auditors is made again now and then: what was lacking, and left out, may have come since,
 * and only the same message gets their signatures.
 */
static int draft_again(struct settle *s, uint64_t epoch)
{
	char why[LEDGER_WHY_CAP];
	json_t *draft = NULL;

	if (clock_now_ms() < s->draft_ms + DRAFT_MS)
		return 0;
	s->draft_ms = clock_now_ms();
	if (make_draft(s, &draft, epoch, why) < 0)
		return 0;
	if (json_equal(json_object_get(draft, "message"), json_object_get(s->draft, "message"))) {
		json_decref(draft);
		return 0;
	}
	drop_draft(s);
	s->draft = draft;
	return 0;
}

static int draft_next(struct settle *s)
{
	char why[LEDGER_WHY_CAP] = "";
	uint64_t epoch;
	int r = epoch_next(s->ledger, &epoch);

	if (r < 0)
		return r;
	if (s->draft && s->draft_epoch == epoch)
		return draft_again(s, epoch);
	drop_draft(s);
	r = make_draft(s, &s->draft, epoch, why);
	if (r == 0) {
		s->draft_epoch = epoch;
		s->draft_ms = clock_now_ms();
	} else if (r != ERR_NOT_YET) {
		settle_problem_set(&s->epoch_problem, not_closed, why[0] ? why : err_str(r));
		/* It is costly, and anybody may have it tried again: settle_attest(). */
		s->epoch_retry_ms = clock_now_ms() + AGAIN_MS;
	}
	return r;
}

void settle_epoch_tick(struct settle *s)
{
	uint64_t began = clock_precise_us();

	/* A follower that is an auditor hands its signature to the writer: settle_share.c. */
	if (!s->ledger || !s->measure || !s->writer || clock_now_ms() < s->epoch_retry_ms)
		return;
	while (draft_next(s) == 0 && submit_draft(s) == 0)
		if (clock_precise_us() - began >= TICK_US)
			return;
}

void settle_epoch_stop(struct settle *s)
{
	drop_draft(s);
}

/* -- attestations -------------------------------------------------------------------------------- */

static json_t *consensuses_of(const json_t *draft)
{
	return json_object_get(json_object_get(json_object_get(draft, "attachments"), "evidence"), "consensuses");
}

/*
 * What others need of a draft: its evidence they have themselves. Which consensuses it is
 * made of is told, as long as they fit, because they are the usual difference.
 */
static json_t *without_evidence(const json_t *draft)
{
	static const char *const names[] = { "domain", "primaryType", "message", "signatures" };
	const json_t *row;
	json_t *o = json_object(), *list = json_array();
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		json_object_set(o, names[i], json_object_get(draft, names[i]));
	json_array_foreach(consensuses_of(draft), i, row)
		if (i < CONSENSUSES_TOLD)
			json_array_append_new(list, json_pack("{s:O, s:O}", "validAfter", json_object_get(row, "validAfter"),
							      "sha256", json_object_get(row, "sha256")));
	json_object_set_new(o, "consensuses", list);
	return o;
}

static const json_t *same_time(const json_t *list, const json_t *row)
{
	const json_t *other;
	size_t i;

	json_array_foreach(list, i, other)
		if (json_equal(json_object_get(other, "validAfter"), json_object_get(row, "validAfter")))
			return other;
	return NULL;
}

/* The first consensus of `a` that `b` does not have, among those that are told. */
static bool say_missing(char why[LEDGER_WHY_CAP], const json_t *a, const json_t *b, const char *where)
{
	const json_t *row, *other;
	size_t i;

	json_array_foreach(a, i, row) {
		if (i >= CONSENSUSES_TOLD)
			break;
		other = same_time(b, row);
		if (other && json_equal(json_object_get(other, "sha256"), json_object_get(row, "sha256")))
			continue;
		snprintf(why, LEDGER_WHY_CAP, "the consensus of %lld was %s", (long long)json_integer_value(
			 json_object_get(row, "validAfter")), other ? "another one there" : where);
		return true;
	}
	return false;
}

/* Where two auditors part: a consensus that one of them missed, or else fields of the message. */
static void say_difference(char why[LEDGER_WHY_CAP], const json_t *ours, const json_t *theirs)
{
	const json_t *here = consensuses_of(ours), *there = json_object_get(theirs, "consensuses"), *v;
	const char *name;
	size_t at;

	/* A longer list is a stranger's: each row is looked for among ours. */
	if (json_is_array(there) && json_array_size(there) <= CONSENSUSES_TOLD &&
	    (say_missing(why, here, there, "not taken there") || say_missing(why, there, here, "not taken here")))
		return;
	at = (size_t)snprintf(why, LEDGER_WHY_CAP, "these differ:");
	json_object_foreach(json_object_get((json_t *)(uintptr_t)ours, "message"), name, v)
		if (!json_equal(v, json_object_get(json_object_get(theirs, "message"), name)) && at < LEDGER_WHY_CAP)
			at += (size_t)snprintf(why + at, LEDGER_WHY_CAP - at, " %s", name);
}

int settle_epoch_attestation(struct settle *s, json_t **ret, uint64_t *ret_epoch, char why[LEDGER_WHY_CAP])
{
	json_t *draft = NULL;
	int r = epoch_next(s->ledger, ret_epoch);

	why[0] = '\0';
	if (r == 0)
		r = make_draft(s, &draft, *ret_epoch, why);
	if (r < 0)
		return r;
	*ret = without_evidence(draft);
	json_decref(draft);
	return 0;
}

int settle_attestation(struct settle *s, struct ctl_call *call)
{
	struct ledger *l = settle_ledger(s, call);
	char why[LEDGER_WHY_CAP];
	json_t *attestation;
	uint64_t epoch = 0;
	int r;

	if (!l)
		return ERR_STATE;
	if (!s->auditor_key)
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "this node attests nothing: set \"auditor_key\" in section [ledger], "
				"then restart");
	if (!s->measure)
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "this node measures nothing: %s",
				s->measure_problem.text[0] ? s->measure_problem.text : "set measure = yes");
	r = settle_epoch_attestation(s, &attestation, &epoch, why);
	if (r == ERR_NOT_YET)
		return ctl_fail(call, r, CTL_NOT_NOW, "epoch %" PRIu64 " has not ended, or its last consensus may still come", epoch);
	if (r < 0)
		return ctl_fail(call, r, CTL_FAILED, "%s", why[0] ? why : err_str(r));
	call->result = json_pack("{s:I, s:o}", "epoch", (json_int_t)epoch, "attestation", attestation);
	return 0;
}

int settle_attest(struct settle *s, struct ctl_call *call, const json_t *attestation)
{
	struct ledger *l = settle_ledger(s, call);
	char why[LEDGER_WHY_CAP] = "";
	size_t n;
	int r = 0;

	if (!l)
		return ERR_STATE;
	if (!s->writer)
		return settle_forward(s, call);
	settle_epoch_tick(s);
	if (!s->draft)
		return ctl_fail(call, ERR_NOT_YET, CTL_NOT_NOW, "no epoch waits for auditors here%s%s",
				s->epoch_problem.text[0] ? ": " : "", s->epoch_problem.text);
	if (!json_equal(json_object_get(s->draft, "message"), json_object_get(attestation, "message"))) {
		say_difference(why, s->draft, attestation);
		r = ERR_MISMATCH;
	}
	if (r == 0)
		r = epoch_merge(l, s->draft, why, attestation);
	if (r < 0)
		return ctl_fail(call, r, CTL_FAILED, "it is not of what this node computed for epoch %" PRIu64 ": %s",
				s->draft_epoch, why);
	n = epoch_signers(l, s->draft);
	call->result = json_pack("{s:I, s:I, s:I}", "epoch", (json_int_t)s->draft_epoch, "signers", (json_int_t)n,
				 "threshold", (json_int_t)ledger_genesis(l)->auditors.threshold);
	r = submit_draft(s);
	json_object_set_new(call->result, "closed", json_boolean(r == 0));
	return 0;
}

/* -- the open epoch -------------------------------------------------------------------------------- */

int settle_open_evidence(struct settle *s, struct ctl_call *call, struct evidence **ret)
{
	char why[LEDGER_WHY_CAP] = "";
	struct ledger_snapshot now;
	uint64_t epoch;
	int r;

	if (!s->measure)
		return ctl_fail(call, ERR_STATE, CTL_NOT_NOW, "this node measures nothing: %s",
				s->measure_problem.text[0] ? s->measure_problem.text : "set measure = yes");
	now = settle_now(s->ledger);
	epoch = genesis_epoch(ledger_genesis(s->ledger), now.time);
	r = make_evidence(s, ret, why, epoch, &now, true);
	return r < 0 ? ctl_fail(call, r, CTL_FAILED, "%s", why) : 0;
}

int settle_epochs(struct settle *s, uint64_t *ret_closed, uint64_t *ret_behind)
{
	uint64_t epoch = genesis_epoch(ledger_genesis(s->ledger), (uint64_t)clock_wall());
	int r = epoch_next(s->ledger, ret_closed);

	if (r == 0)
		*ret_behind = epoch > *ret_closed ? epoch - *ret_closed : 0;
	return r;
}

void settle_epoch_status(struct settle *s, json_t *o)
{
	const struct genesis *g = ledger_genesis(s->ledger);
	uint64_t closed, behind, epoch = genesis_epoch(g, (uint64_t)clock_wall());

	if (settle_epochs(s, &closed, &behind) < 0)
		return;
	json_object_set_new(o, "epoch", json_integer((json_int_t)epoch));
	json_object_set_new(o, "epoch_ends", json_integer((json_int_t)genesis_epoch_start(g, epoch + 1)));
	json_object_set_new(o, "epochs_closed", json_integer((json_int_t)closed));
	json_object_set_new(o, "epochs_behind", json_integer((json_int_t)behind));
	json_object_set_new(o, "epoch_signers", s->draft ? json_integer((json_int_t)epoch_signers(s->ledger, s->draft)) :
							   json_null());
}
