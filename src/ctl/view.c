#include "config.h"

#include "ctl.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <nonos/clock.h>

enum { LABEL_WIDTH = 14 };

void view_escaped(FILE *out, const char *text)
{
	static const char dash[] = "\xe2\x80\x94";	/* before each signature of a checkpoint, which is there to be copied */

	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p >= 0x20 && *p < 0x7f) {
			fputc(*p, out);
		} else if (strncmp((const char *)p, dash, sizeof(dash) - 1) == 0) {
			fputs(dash, out);
			p += sizeof(dash) - 2;
		} else {
			fprintf(out, "\\x%02x", *p);
		}
	}
}

bool view_has_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(out)) && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
}

/* -- reading an answer that may lack anything ---------------------------------- */

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static long long number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static bool flag_of(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

/* -- words for numbers ---------------------------------------------------------- */

static void label(FILE *out, const char *name)
{
	fprintf(out, "%-*s", LABEL_WIDTH, name);
}

void view_bytes(FILE *out, long long bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1000 && i + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1000;
		i++;
	}
	fprintf(out, i ? "%.1f %s" : "%.0f %s", v, units[i]);
}

void view_duration(FILE *out, long long s)
{
	if (s < 0)
		s = 0;
	if (s >= 2 * 86400)
		fprintf(out, "%lld days %lld h", s / 86400, s % 86400 / 3600);
	else if (s >= 3600)
		fprintf(out, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else if (s >= 60)
		fprintf(out, "%lld min %lld s", s / 60, s % 60);
	else
		fprintf(out, "%lld s", s);
}

void view_time(FILE *out, long long wall_s)
{
	char text[CLOCK_TEXT_CAP];

	fputs(wall_s > 0 ? clock_text(text, (uint64_t)wall_s) : "never", out);
}

static void print_flags(FILE *out, const json_t *flags)
{
	const json_t *flag;
	size_t i;

	json_array_foreach(flags, i, flag) {
		fputs(i ? " " : "", out);
		view_escaped(out, json_string_value(flag) ? json_string_value(flag) : "?");
	}
}

/* -- status ------------------------------------------------------------------- */

static void view_head(FILE *out, const json_t *s)
{
	label(out, "relay");
	view_escaped(out, text_of(s, "nickname"));
	fputs("  ", out);
	view_escaped(out, text_of(s, "state"));
	fputs(", up ", out);
	view_duration(out, number_of(s, "uptime_s"));
	fputs(", version ", out);
	view_escaped(out, text_of(s, "version"));
	fputc('\n', out);
	if (text_of(s, "waiting_for")[0]) {
		label(out, "waiting for");
		view_escaped(out, text_of(s, "waiting_for"));
		fputc('\n', out);
	}
	label(out, "fingerprint");
	view_escaped(out, text_of(s, "fingerprint"));
	fputc('\n', out);
	label(out, "ed25519");
	view_escaped(out, text_of(s, "ed25519"));
	fputc('\n', out);
}

static void view_addresses(FILE *out, const json_t *s)
{
	const json_t *a = json_object_get(s, "addresses");
	const char *v4 = text_of(a, "ipv4"), *v6 = text_of(a, "ipv6");

	label(out, "address");
	view_escaped(out, v4[0] ? v4 : "not known yet");
	if (v6[0]) {
		fputs("  ", out);
		view_escaped(out, v6);
	}
	fprintf(out, " (%s%s)\n", text_of(a, "source"),
		flag_of(s, "reached") ? "; other relays have connected" : "");
}

static void view_pair(FILE *out, const json_t *o, const char *unit)
{
	fputs("read ", out);
	view_bytes(out, number_of(o, "read"));
	fprintf(out, "%s, written ", unit);
	view_bytes(out, number_of(o, "written"));
	fputs(unit, out);
}

/* Now, today and yesterday. */
static void view_rates(FILE *out, const json_t *s)
{
	const json_t *b = json_object_get(s, "bandwidth"), *days = json_object_get(b, "days");
	size_t n = json_array_size(days);

	label(out, "bandwidth");
	view_pair(out, json_object_get(b, "now"), "/s");
	if (number_of(b, "rate")) {
		fputs("; at most ", out);
		view_bytes(out, number_of(b, "rate"));
		fprintf(out, "/s%s", flag_of(b, "scheduled") ? " by the schedule" : "");
	}
	fputc('\n', out);
	for (size_t i = n; i > 0 && n - i < 2; i--) {
		const json_t *day = json_array_get(days, i - 1);

		label(out, "");
		view_escaped(out, text_of(day, "date"));
		fputs(": ", out);
		view_pair(out, day, "");
		fputc('\n', out);
	}
}

static void view_service(FILE *out, const json_t *s)
{
	const json_t *a = json_object_get(s, "accounting");
	const char *service = text_of(s, "service");

	if (service[0] && strcmp(service, "open") != 0) {
		label(out, "service");
		view_escaped(out, service);
		fputs(strcmp(service, "drained") == 0 ? ": new circuits are refused; \"nonosctl drain --off\" ends that\n" : "\n", out);
	}
	if (!number_of(a, "max"))
		return;
	label(out, "accounting");
	view_bytes(out, number_of(a, "used"));
	fputs(" of ", out);
	view_bytes(out, number_of(a, "max"));
	fputs(" used, ", out);
	view_bytes(out, number_of(a, "left"));
	fputs(" left until ", out);
	view_time(out, number_of(a, "until"));
	fputc('\n', out);
}

static void view_traffic(FILE *out, const json_t *s)
{
	label(out, "traffic");
	fputs("read ", out);
	view_bytes(out, number_of(s, "read_bytes"));
	fputs(", written ", out);
	view_bytes(out, number_of(s, "written_bytes"));
	fprintf(out, "; %lld links, %lld circuits, %lld streams\n", number_of(s, "links"),
		number_of(s, "circuits"), number_of(s, "streams"));
	label(out, "memory");
	view_bytes(out, number_of(s, "memory_bytes"));
	fputs(" of ", out);
	view_bytes(out, number_of(s, "max_memory"));
	fputs("; queued ", out);
	view_bytes(out, number_of(s, "queued_bytes"));
	fputc('\n', out);
}

static void view_workers(FILE *out, const json_t *s)
{
	const json_t *workers = json_object_get(s, "workers"), *w;
	size_t i;

	json_array_foreach(workers, i, w) {
		label(out, i ? "" : "workers");
		fprintf(out, "%lld: pid %lld, ", number_of(w, "index"), number_of(w, "pid"));
		view_escaped(out, text_of(w, "state"));
		fprintf(out, ", %lld links, %lld circuits, %lld restarts\n", number_of(w, "links"),
			number_of(w, "circuits"), number_of(w, "restarts"));
	}
}

static void view_sandbox_of(FILE *out, const char *role, const json_t *o)
{
	const json_t *s = json_object_get(o, "sandbox");

	fprintf(out, "%s: %s", role, flag_of(s, "no_new_privs") ? "no_new_privs, " : "");
	if (number_of(s, "landlock"))
		fprintf(out, "Landlock %lld, ", number_of(s, "landlock"));
	else
		fputs("no Landlock, ", out);
	fputs(flag_of(s, "seccomp") ? "seccomp" : "no seccomp", out);
}

/* All workers are alike once they listen; the first stands for them. */
static void view_sandbox(FILE *out, const json_t *s)
{
	const json_t *worker = json_array_get(json_object_get(s, "workers"), 0);

	label(out, "sandbox");
	view_sandbox_of(out, "keeper", s);
	if (worker) {
		fputs("; ", out);
		view_sandbox_of(out, "workers", worker);
	}
	fputc('\n', out);
}

static void view_keys(FILE *out, const json_t *s)
{
	const json_t *k = json_object_get(s, "keys");

	label(out, "signing key");
	fputs("until ", out);
	view_time(out, number_of(k, "signing_expires"));
	if (flag_of(k, "master_offline")) {
		fputs(", for ", out);
		view_duration(out, number_of(k, "signing_expires") - (long long)time(NULL));
		fputs("; the master key is offline\n", out);
	} else {
		fputs(", renewed by itself\n", out);
	}
	label(out, "onion keys");
	fputs("rotate ", out);
	view_time(out, number_of(k, "onion_rotates"));
	fputc('\n', out);
}

static void view_listing(FILE *out, const json_t *o, const char *listed_name)
{
	if (!flag_of(o, listed_name)) {
		fputs("not listed", out);
		return;
	}
	fprintf(out, "listed, weight %lld, ", number_of(o, "weight"));
	print_flags(out, json_object_get(o, "flags"));
}

static void view_consensus(FILE *out, const json_t *s)
{
	const json_t *c = json_object_get(s, "consensus");

	label(out, "consensus");
	if (number_of(c, "valid_after") == 0) {
		fputs("none yet\n", out);
		return;
	}
	view_listing(out, c, "listed");
	if (json_is_integer(json_object_get(c, "share_ppm")))
		fprintf(out, " (%.4f %% of all weight, rank %lld)", (double)number_of(c, "share_ppm") / 10000,
			number_of(c, "rank"));
	fprintf(out, " (%lld relays, valid until ", number_of(c, "relays"));
	view_time(out, number_of(c, "valid_until"));
	fputs(")\n", out);
}

static void view_attention(FILE *out, const json_t *s)
{
	const json_t *list = json_object_get(s, "attention"), *a;
	size_t i;

	label(out, "attention");
	if (json_array_size(list) == 0)
		fputs("nothing\n", out);
	json_array_foreach(list, i, a) {
		if (i)
			label(out, "");
		view_escaped(out, text_of(a, "severity"));
		fputs(": ", out);
		view_escaped(out, text_of(a, "what"));
		fprintf(out, "\n%*s  ", LABEL_WIDTH, "");
		view_escaped(out, text_of(a, "do"));
		fputc('\n', out);
	}
}

/* The authorities have lines of their own. */
static void view_dependencies(FILE *out, const json_t *s)
{
	const json_t *d;
	bool first = true;
	size_t i;

	json_array_foreach(json_object_get(s, "dependencies"), i, d) {
		if (strncmp(text_of(d, "name"), "authority", 9) == 0)
			continue;
		label(out, first ? "outside" : "");
		first = false;
		view_escaped(out, text_of(d, "name"));
		fputs(" ", out);
		view_escaped(out, text_of(d, "health"));
		fputs(": ", out);
		view_escaped(out, text_of(d, "detail"));
		fputc('\n', out);
	}
}

/* An upload's answer alone proves nothing, so what the consensus says stands beside it. */
static void view_authority(FILE *out, const json_t *a)
{
	long long status = number_of(a, "http_status");

	view_escaped(out, text_of(a, "name"));
	fputs(": ", out);
	if (number_of(a, "last_upload") == 0 && status == 0) {
		fputs("nothing uploaded", out);
	} else {
		fputs("upload ", out);
		view_time(out, number_of(a, "last_upload"));
		if (status > 0)
			fprintf(out, ", said %lld", status);
		else
			fputs(status < 0 ? ", failed" : ", no answer yet", out);
		if (text_of(a, "message")[0]) {
			fputs(" \"", out);
			view_escaped(out, text_of(a, "message"));
			fputc('"', out);
		}
		if (flag_of(a, "not_new"))
			fputs(" (dropped as a cosmetic change)", out);
	}
	fputs("; ", out);
	view_listing(out, a, "in_consensus");
	fputc('\n', out);
}

void view_status(FILE *out, const json_t *s)
{
	const json_t *a;
	size_t i;

	view_head(out, s);
	view_addresses(out, s);
	view_traffic(out, s);
	view_rates(out, s);
	view_service(out, s);
	view_workers(out, s);
	view_sandbox(out, s);
	view_keys(out, s);
	view_consensus(out, s);
	json_array_foreach(json_object_get(s, "directory"), i, a) {
		label(out, i ? "" : "authorities");
		view_authority(out, a);
	}
	view_dependencies(out, s);
	view_attention(out, s);
}

/* -- metrics ------------------------------------------------------------------- */

/* A program reads its lines, so only their ends are let through besides printable text. */
void view_metrics(FILE *out, const json_t *answer)
{
	for (const char *p = text_of(answer, "text"); *p; p++)
		if (*p == '\n' || (*p >= 0x20 && *p < 0x7f))
			fputc(*p, out);
}

/* -- anything else -------------------------------------------------------------- */

void view_scalar(FILE *out, const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		view_escaped(out, json_string_value(v));
		break;
	case JSON_INTEGER:
		fprintf(out, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		fprintf(out, "%g", json_real_value(v));
		break;
	case JSON_TRUE:
		fputs("yes", out);
		break;
	case JSON_FALSE:
		fputs("no", out);
		break;
	case JSON_NULL:
		fputs("-", out);
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
		break;
	}
}

void view_each(const char *path, const json_t *v, view_leaf_fn *leaf, void *arg)
{
	const char *name;
	const json_t *item;
	char below[256];
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach((json_t *)(uintptr_t)v, name, item) {
			snprintf(below, sizeof(below), "%s%s%s", path, path[0] ? "." : "", name);
			view_each(below, item, leaf, arg);
		}
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, item) {
			snprintf(below, sizeof(below), "%s[%zu]", path, i);
			view_each(below, item, leaf, arg);
		}
	} else {
		leaf(arg, path, v);
	}
}

static void view_line(void *arg, const char *path, const json_t *v)
{
	FILE *out = arg;

	view_escaped(out, path);
	fputs(path[0] ? " " : "", out);
	view_scalar(out, v);
	fputc('\n', out);
}

void view_any(FILE *out, const json_t *value)
{
	view_each("", value, view_line, out);
}
