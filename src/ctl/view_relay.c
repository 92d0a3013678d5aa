#include "config.h"

#include "view_relay.h"

#include <string.h>

#include "ctl.h"

enum { LABEL_WIDTH = 14 };

/* An answer may lack anything. */
static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static long long number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static bool is_set(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return v && !json_is_null(v);
}

static void label(FILE *out, const char *name)
{
	fprintf(out, "%-*s", LABEL_WIDTH, name);
}

static void line_text(FILE *out, const char *name, const char *text)
{
	label(out, name);
	view_escaped(out, text);
	fputc('\n', out);
}

static void words(FILE *out, const json_t *list, const char *none)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v) {
		fputs(i ? " " : "", out);
		view_scalar(out, v);
	}
	if (!json_array_size(list))
		fputs(none, out);
	fputc('\n', out);
}

#define N(columns) (sizeof(columns) / sizeof((columns)[0]))

/* -- descriptor --------------------------------------------------------------------- */

static const struct table_column upload_columns[] = {
	{ "authority", "AUTHORITY", TABLE_TEXT }, { "taken", "TAKEN", TABLE_TIME },
	{ "http_status", "SAID", TABLE_NUMBER }, { "message", "MESSAGE", TABLE_TEXT },
	{ "not_new", "DROPPED", TABLE_TEXT }, { "in_consensus", "LISTS US", TABLE_TEXT },
};
const struct table table_uploads = { "uploads", upload_columns, N(upload_columns) };

static void print_document(FILE *out, const char *text)
{
	/* Lines of our own making, but for what the operator wrote into the configuration. */
	while (*text) {
		size_t len = strcspn(text, "\n");

		for (size_t i = 0; i < len; i++) {
			unsigned char c = (unsigned char)text[i];

			if (c >= 0x20 && c < 0x7f)
				fputc(c, out);
			else
				fprintf(out, "\\x%02x", c);
		}
		fputc('\n', out);
		text += len + (text[len] == '\n');
	}
}

void view_descriptor(FILE *out, const json_t *a)
{
	label(out, "made");
	view_time(out, number_of(a, "made"));
	if (text_of(a, "reason")[0]) {
		fputs(", because of: ", out);
		view_escaped(out, text_of(a, "reason"));
	}
	fputc('\n', out);
	if (text_of(a, "waiting_for")[0])
		line_text(out, "waiting for", text_of(a, "waiting_for"));
	if (json_is_true(json_object_get(a, "due")))
		line_text(out, "next", "a new one is about to go up");
	if (text_of(a, "digest")[0])
		line_text(out, "digest", text_of(a, "digest"));
	if (is_set(a, "in_consensus"))
		line_text(out, "consensus", json_is_true(json_object_get(a, "in_consensus")) ? "lists this descriptor" :
			  "lists an earlier descriptor");
	fputc('\n', out);
	table_print(out, &table_uploads, a, FORMAT_TEXT);
	fputc('\n', out);
	print_document(out, text_of(a, "descriptor"));
}

/* -- flags ----------------------------------------------------------------------------- */

static const struct table_column flag_columns[] = {
	{ "flag", "FLAG", TABLE_TEXT }, { "given", "GIVEN", TABLE_TEXT }, { "votes", "VOTES", TABLE_NUMBER },
	{ "voters", "OF", TABLE_NUMBER }, { "wait_s", "AT LEAST", TABLE_DURATION }, { "needs", "NEEDS", TABLE_TEXT },
};
const struct table table_flags = { "missing", flag_columns, N(flag_columns) };

static const struct table_column vote_columns[] = {
	{ "authority", "AUTHORITY", TABLE_TEXT }, { "consensus_lists", "CONSENSUS", TABLE_TEXT },
	{ "valid_after", "VOTE OF", TABLE_TIME }, { "measured_kb", "MEASURED kB/s", TABLE_NUMBER },
	{ "known_s", "KNOWN", TABLE_DURATION }, { "mtbf_s", "MTBF", TABLE_DURATION },
	{ "flags", "VOTES FOR", TABLE_TEXT },
};
static const struct table table_votes = { "authorities", vote_columns, N(vote_columns) };

static const struct table_column trend_columns[] = {
	{ "valid_after", "CONSENSUS OF", TABLE_TIME }, { "listed", "LISTED", TABLE_TEXT },
	{ "weight", "WEIGHT", TABLE_NUMBER }, { "share_ppm", "SHARE ppm", TABLE_NUMBER },
	{ "rank", "RANK", TABLE_NUMBER }, { "relays", "OF", TABLE_NUMBER }, { "measured", "MEASURED", TABLE_TEXT },
};
static const struct table table_trend = { "trend", trend_columns, N(trend_columns) };

void view_flags(FILE *out, const json_t *a)
{
	label(out, "consensus");
	view_time(out, number_of(a, "valid_after"));
	fputs(json_is_true(json_object_get(a, "listed")) ? ", lists this relay\n" : ", does not list this relay\n", out);
	label(out, "flags");
	words(out, json_object_get(a, "flags"), "none");
	label(out, "weight");
	fprintf(out, "%lld, %lld.%04lld %% of all", number_of(a, "weight"), number_of(a, "share_ppm") / 10000,
		number_of(a, "share_ppm") % 10000);
	if (is_set(a, "rank"))
		fprintf(out, ", rank %lld of %lld", number_of(a, "rank"), number_of(a, "relays"));
	if (is_set(a, "measured") && !json_is_true(json_object_get(a, "measured")))
		fputs("; fewer than three authorities measure it, so the weight is a default", out);
	fputs("\n\n", out);
	table_print(out, &table_flags, a, FORMAT_TEXT);
	fputc('\n', out);
	table_print(out, &table_votes, a, FORMAT_TEXT);
	if (number_of(a, "votes_pending"))
		fprintf(out, "%lld votes are still on their way; ask again for them.\n", number_of(a, "votes_pending"));
	fputc('\n', out);
	table_print(out, &table_trend, a, FORMAT_TEXT);
}

/* -- links and circuits -------------------------------------------------------------------- */

static void view_silent(FILE *out, const json_t *a)
{
	if (number_of(a, "workers_silent"))
		fprintf(out, "%lld of %lld workers did not answer in time, and are left out.\n",
			number_of(a, "workers_silent"), number_of(a, "workers"));
}

static const struct table_column link_columns[] = {
	{ "nickname", "RELAY", TABLE_TEXT }, { "fingerprint", "FINGERPRINT", TABLE_TEXT },
	{ "opened_by", "OPENED BY", TABLE_TEXT }, { "version", "VERSION", TABLE_NUMBER },
	{ "age_s", "AGE", TABLE_DURATION }, { "read_bytes", "READ", TABLE_BYTES },
	{ "written_bytes", "WRITTEN", TABLE_BYTES },
};
const struct table table_links = { "links", link_columns, N(link_columns) };

static void view_sum(FILE *out, const char *name, const json_t *s, const char *what)
{
	label(out, name);
	fprintf(out, "%lld links, read ", number_of(s, "links"));
	view_bytes(out, number_of(s, "read_bytes"));
	fputs(", written ", out);
	view_bytes(out, number_of(s, "written_bytes"));
	fprintf(out, "%s\n", what);
}

void view_links(FILE *out, const json_t *a)
{
	table_print(out, &table_links, a, FORMAT_TEXT);
	if ((size_t)number_of(a, "relays") > json_array_size(json_object_get(a, "links")))
		fprintf(out, "and %lld more\n", number_of(a, "relays") -
			(long long)json_array_size(json_object_get(a, "links")));
	fputc('\n', out);
	view_sum(out, "clients", json_object_get(a, "clients"), "");
	view_sum(out, "unlisted", json_object_get(a, "unlisted"), " (prove an identity that the consensus does not list)");
	view_silent(out, a);
}

static const struct table_column state_columns[] = {
	{ "state", "STATE", TABLE_TEXT }, { "circuits", "CIRCUITS", TABLE_NUMBER },
};
const struct table table_states = { "states", state_columns, N(state_columns) };
static const struct table_column age_columns[] = {
	{ "age", "AGE", TABLE_TEXT }, { "circuits", "CIRCUITS", TABLE_NUMBER },
};
static const struct table table_ages = { "ages", age_columns, N(age_columns) };
static const struct table_column queue_columns[] = {
	{ "cells", "CELLS QUEUED", TABLE_TEXT }, { "circuits", "CIRCUITS", TABLE_NUMBER },
};
static const struct table table_queues = { "queues", queue_columns, N(queue_columns) };

void view_circuits(FILE *out, const json_t *a)
{
	label(out, "circuits");
	fprintf(out, "%lld, of which %lld from clients and %lld with congestion control; %lld cells queued\n\n",
		number_of(a, "circuits"), number_of(a, "from_clients"), number_of(a, "congestion_control"),
		number_of(a, "queued_cells"));
	table_print(out, &table_states, a, FORMAT_TEXT);
	fputc('\n', out);
	table_print(out, &table_ages, a, FORMAT_TEXT);
	fputc('\n', out);
	table_print(out, &table_queues, a, FORMAT_TEXT);
	view_silent(out, a);
}

/* -- family ----------------------------------------------------------------------------------- */

static const struct table_column member_columns[] = {
	{ "nickname", "RELAY", TABLE_TEXT }, { "fingerprint", "FINGERPRINT", TABLE_TEXT },
	{ "counts", "IN FAMILY", TABLE_TEXT }, { "same_id", "SAME ID", TABLE_TEXT },
	{ "we_list", "WE LIST IT", TABLE_TEXT }, { "lists_us", "LISTS US", TABLE_TEXT },
	{ "weight", "WEIGHT", TABLE_NUMBER },
};
const struct table table_members = { "members", member_columns, N(member_columns) };

void view_family(FILE *out, const json_t *a)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(a, "families"), i, f) {
		label(out, i ? "" : "family_id");
		view_escaped(out, text_of(f, "id"));
		fputs(" (", out);
		view_escaped(out, text_of(f, "key_file"));
		fputs(")\n", out);
	}
	if (i == 0)
		line_text(out, "family_id", "none");
	label(out, "family");
	words(out, json_object_get(a, "family_lines"), "none");
	if (!json_is_true(json_object_get(a, "known"))) {
		line_text(out, "network", text_of(a, "unknown_because"));
		return;
	}
	label(out, "network knows");
	words(out, json_object_get(a, "network_ids"), "no family id of this relay");
	fputc('\n', out);
	table_print(out, &table_members, a, FORMAT_TEXT);
}

void view_family_key(FILE *out, const json_t *a)
{
	if (json_is_true(json_object_get(a, "dry_run"))) {
		line_text(out, "would make", text_of(a, "file"));
		return;
	}
	line_text(out, "key", text_of(a, "file"));
	line_text(out, "family_id", text_of(a, "id"));
	fputs("\nPut the key into keys/ of each relay's data directory (mode 600, the daemon's user), and\n"
	      "\"family_id = ", out);
	view_escaped(out, text_of(a, "id"));
	fputs("\" into its [relay] section, or \"FamilyId\" with it into a torrc.\n", out);
}

/* -- bandwidth, names, exits ----------------------------------------------------------------------- */

static const struct table_column day_columns[] = {
	{ "until", "24 HOURS UNTIL", TABLE_TIME }, { "read_bytes", "READ", TABLE_BYTES },
	{ "written_bytes", "WRITTEN", TABLE_BYTES }, { "read_peak", "PEAK READ /s", TABLE_BYTES },
	{ "write_peak", "PEAK WRITTEN /s", TABLE_BYTES },
};
const struct table table_days = { "days", day_columns, N(day_columns) };

static void line_rate(FILE *out, const char *name, const json_t *a, const char *member, const char *zero)
{
	label(out, name);
	if (number_of(a, member)) {
		view_bytes(out, number_of(a, member));
		fputs("/s", out);
	} else {
		fputs(zero, out);
	}
	fputc('\n', out);
}

void view_bandwidth(FILE *out, const json_t *a)
{
	line_rate(out, "reading", a, "read_now", "nothing");
	line_rate(out, "writing", a, "written_now", "nothing");
	line_rate(out, "limit", a, "rate", "none");
	line_rate(out, "observed", a, "observed", "nothing yet: the best ten seconds count");
	line_rate(out, "published", a, "published", "nothing yet");
	fputc('\n', out);
	table_print(out, &table_days, a, FORMAT_TEXT);
}

static const struct table_column server_columns[] = {
	{ "address", "NAME SERVER", TABLE_TEXT }, { "state", "STATE", TABLE_TEXT },
	{ "failures", "FAILED", TABLE_NUMBER },
};
const struct table table_servers = { "servers", server_columns, N(server_columns) };

void view_dns(FILE *out, const json_t *a)
{
	if (!json_is_true(json_object_get(a, "usable")))
		line_text(out, "resolver", "cannot be used; see the log");
	label(out, "look-ups");
	fprintf(out, "%lld, of which %lld from the cache; %lld not found, %lld without an answer, %lld under way\n",
		number_of(a, "asked"), number_of(a, "from_cache"), number_of(a, "not_found"),
		number_of(a, "no_answer"), number_of(a, "under_way"));
	label(out, "cache");
	fprintf(out, "%lld answers, ", number_of(a, "cached"));
	view_bytes(out, number_of(a, "cache_bytes"));
	fputs("\n\n", out);
	table_print(out, &table_servers, a, FORMAT_TEXT);
	view_silent(out, a);
}

void view_exit_policy(FILE *out, const json_t *a)
{
	bool allowed = json_is_true(json_object_get(a, "allowed"));

	view_escaped(out, text_of(a, "address"));
	if (is_set(a, "port")) {
		fprintf(out, " port %lld: %s", number_of(a, "port"), allowed ? "allowed" : "refused");
		fputs(", by ", out);
		view_escaped(out, text_of(a, "because"));
		if (text_of(a, "rule")[0]) {
			fputs(" \"", out);
			view_escaped(out, text_of(a, "rule"));
			fputc('"', out);
		}
		fputc('\n', out);
	} else {
		fputs(allowed ? ": allowed ports " : ": no port is allowed", out);
		words(out, json_object_get(a, "ports"), "");
	}
	if (allowed && !json_is_true(json_object_get(a, "published")))
		fputs("This relay has no IPv6 address of its own, so it tells the network of no way out over IPv6.\n", out);
}
