/* doctor: what could keep a relay from working, checked one by one. */
#include "config.h"

#include "ctl.h"
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <nonos/err.h>
#include <nonos/mem.h>

enum { MEGA = 1000000, DISK_FAIL_MB = 50, DISK_WARN_MB = 500, DAY_S = 86400, EXPIRY_WARN_DAYS = 7 };

static const char default_config[] = NONOS_SYSCONFDIR "/nonosd.conf";

void doctor_say(struct doctor *d, enum verdict v, const char *name, const char *fix, const char *fmt, ...)
{
	static const char *const words[VERDICTS] = { "pass", "warn", "fail", "skip" };
	char detail[512];
	va_list ap;
	json_t *row;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	row = json_pack("{s:s, s:s, s:s, s:s}", "check", name, "result", words[v], "detail", detail, "fix", fix ? fix : "");
	if (!row)	/* a file name that is not UTF-8 */
		row = json_pack("{s:s, s:s, s:s, s:s}", "check", name, "result", words[v], "detail", "see the file names",
				"fix", fix ? fix : "");
	if (!row || json_array_append_new(d->checks, row) < 0)
		mem_fail();
	d->count[v]++;
}

/* -- files -------------------------------------------------------------------------------- */

/* Nobody else may read or write what lies here. */
static void check_private(struct doctor *d, const char *path, const char *name)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		doctor_say(d, VERDICT_WARN, name, "run this as root or as the daemon's user", "%s: %s", path, strerror(errno));
	} else if (st.st_mode & 077) {
		char fix[1200];

		snprintf(fix, sizeof(fix), "chmod %s %s", S_ISDIR(st.st_mode) ? "700" : "600", path);
		doctor_say(d, VERDICT_FAIL, name, fix, "others may use %s (mode %04o)", path, st.st_mode & 07777);
	}
}

static void check_key_files(struct doctor *d)
{
	char *dir = mem_printf("%s/keys", d->config->data_dir);
	unsigned before = d->count[VERDICT_FAIL] + d->count[VERDICT_WARN], n = 0;
	DIR *list = opendir(dir);
	struct dirent *e;

	if (!list) {
		doctor_say(d, errno == ENOENT ? VERDICT_PASS : VERDICT_WARN, "keys",
			   errno == ENOENT ? NULL : "run this as root or as the daemon's user", "%s",
			   errno == ENOENT ? "no identity yet; the first start makes one" : strerror(errno));
		free(dir);
		return;
	}
	check_private(d, dir, "keys");
	while ((e = readdir(list))) {
		char *path = mem_printf("%s/%s", dir, e->d_name);

		if (strstr(e->d_name, "secret") && ++n)
			check_private(d, path, "keys");
		free(path);
	}
	closedir(list);
	if (d->count[VERDICT_FAIL] + d->count[VERDICT_WARN] == before)
		doctor_say(d, VERDICT_PASS, "keys", NULL, "%u secret keys, closed to others", n);
	free(dir);
}

static void check_data_dir(struct doctor *d)
{
	const char *path = d->config->data_dir;
	struct stat st;

	if (stat(path, &st) < 0) {
		doctor_say(d, errno == ENOENT ? VERDICT_PASS : VERDICT_FAIL, "data directory",
			   errno == ENOENT ? NULL : "run this as root or as the daemon's user", "%s: %s", path,
			   errno == ENOENT ? "not there yet; the first start makes it" : strerror(errno));
		return;
	}
	if (!S_ISDIR(st.st_mode))
		doctor_say(d, VERDICT_FAIL, "data directory", "move it away, or choose another data_dir", "%s is no directory", path);
	else if (st.st_mode & 022)
		check_private(d, path, "data directory");
	else
		doctor_say(d, VERDICT_PASS, "data directory", NULL, "%s", path);
	check_key_files(d);
}

/* The file system of the data directory, or of what is there of its path. */
static void check_disk(struct doctor *d)
{
	char *path = mem_strdup(d->config->data_dir), *slash;
	struct statvfs vfs;
	unsigned long long free_mb;

	while (statvfs(path, &vfs) < 0 && (slash = strrchr(path, '/')) && slash != path)
		*slash = '\0';
	free_mb = (unsigned long long)vfs.f_bavail * vfs.f_frsize / MEGA;
	if (vfs.f_flag & ST_RDONLY)
		doctor_say(d, VERDICT_FAIL, "disk", "mount it for writing, or choose another data_dir",
			   "the file system of %s is read-only", path);
	else
		doctor_say(d, free_mb < DISK_FAIL_MB ? VERDICT_FAIL : free_mb < DISK_WARN_MB ? VERDICT_WARN : VERDICT_PASS, "disk",
			   free_mb < DISK_WARN_MB ? "make room: cached documents and the ledger are written there" : NULL,
			   "%llu MB free for %s", free_mb, d->config->data_dir);
	free(path);
}

/* -- what the daemon knows ------------------------------------------------------------------- */

static void check_daemon(struct doctor *d)
{
	const json_t *a;
	size_t i;

	if (!d->status) {
		doctor_say(d, VERDICT_SKIP, "daemon", NULL, "none runs with this configuration: what only it knows was not checked");
		return;
	}
	doctor_say(d, VERDICT_PASS, "daemon", NULL, "version %s, %s", param_text(d->status, "version"),
		   param_text(d->status, "state"));
	json_array_foreach(json_object_get(d->status, "attention"), i, a)
		doctor_say(d, strcmp(param_text(a, "severity"), "problem") == 0 ? VERDICT_FAIL : VERDICT_WARN, "daemon",
			   param_text(a, "do"), "%s", param_text(a, "what"));
}

static void check_keys_expiry(struct doctor *d)
{
	const json_t *keys = json_object_get(d->status, "keys");
	int64_t days = (param_integer(keys, "signing_expires", 0) - (int64_t)time(NULL)) / DAY_S;

	if (!keys)
		doctor_say(d, VERDICT_SKIP, "signing key", NULL, "the running daemon knows when it expires");
	else if (days >= EXPIRY_WARN_DAYS || !param_flag(keys, "master_offline"))
		doctor_say(d, VERDICT_PASS, "signing key", NULL, "valid for %lld days%s", (long long)days,
			   param_flag(keys, "master_offline") ? "; the master key is offline" : ", renewed by itself");
}

static void check_reachable(struct doctor *d)
{
	if (!d->status)
		doctor_say(d, VERDICT_SKIP, "reachable", NULL, "needs the running daemon");
	else if (param_flag(d->status, "reached"))
		doctor_say(d, VERDICT_PASS, "reachable", NULL, "other relays have connected");
	else
		doctor_say(d, VERDICT_WARN, "reachable", "open the OR port in the firewall, forward it in a router; "
			   "authorities try within the hour", "no other relay has connected yet");
}

static void check_memory(struct doctor *d)
{
	unsigned long long total = (unsigned long long)sysconf(_SC_PHYS_PAGES) * (unsigned long long)sysconf(_SC_PAGESIZE);
	unsigned long long limit = config_max_memory(d->config);

	if (limit > total)
		doctor_say(d, VERDICT_FAIL, "memory", "lower max_memory, or leave it out",
			   "max_memory is %llu MB, the machine has %llu MB", limit / MEGA, total / MEGA);
	else
		doctor_say(d, total < 500 * MEGA ? VERDICT_WARN : VERDICT_PASS, "memory",
			   total < 500 * MEGA ? "a relay of 10 MB/s wants 512 MB" : NULL, "at most %llu MB of %llu MB", limit / MEGA,
			   total / MEGA);
}

/* -- all of it ----------------------------------------------------------------------------------- */

static int load(struct config **ret, struct doctor *d)
{
	struct config_report rep = { 0 };
	char *rest, *line;
	int r = config_load(ret, &rep, d->config_path);

	if (r == 0)
		doctor_say(d, VERDICT_PASS, "configuration", NULL, "%s is good", d->config_path);
	rest = rep.text;
	while (rest && (line = strsep(&rest, "\n")))
		if (*line)
			doctor_say(d, VERDICT_FAIL, "configuration", "nonosctl config explain tells what is allowed; "
				   "nonosctl init makes a first file", "%s", line);
	config_report_free(&rep);
	return r;
}

/* The status of the daemon, if it runs with this very file. */
static json_t *find_daemon(const struct invocation *in, struct ctl_options *o, char **path)
{
	json_t *params = json_pack("{s:[s]}", "option", "nickname"), *shown = NULL, *status = NULL;
	const char *named = param_text(in->params, "config"), *theirs = NULL;

	if (daemon_ask(&shown, o, "config.show", params))
		theirs = param_text(shown, "file");
	*path = mem_strdup(named ? named : theirs ? theirs : default_config);
	if (theirs && strcmp(theirs, *path) == 0 && !daemon_ask(&status, o, "status", NULL))
		status = NULL;
	json_decref(params);
	json_decref(shown);
	return status;
}

static void check_all(struct doctor *d)
{
	static void (*const checks[])(struct doctor *d) = {
		check_daemon, check_data_dir, check_disk, check_keys_expiry, doctor_check_clock, doctor_check_limits, check_memory,
		doctor_check_kernel, doctor_check_ports, doctor_check_address, check_reachable, doctor_check_authorities,
		doctor_check_dns,
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](d);
}

int local_doctor(const struct invocation *in)
{
	struct ctl_options o = in->options;
	struct config *config = NULL;
	struct doctor d = { .checks = json_array() };
	char *path;

	d.status = find_daemon(in, &o, &path);
	d.config_path = path;
	if (load(&config, &d) == 0) {
		d.config = config;
		check_all(&d);
	}
	print_answer(in, json_pack("{s:O, s:i, s:i, s:i, s:i}", "checks", d.checks, "passed", (int)d.count[VERDICT_PASS],
				   "warnings", (int)d.count[VERDICT_WARN], "failed", (int)d.count[VERDICT_FAIL], "skipped",
				   (int)d.count[VERDICT_SKIP]));
	json_decref(d.checks);
	json_decref(d.status);
	config_free(config);
	free(path);
	return d.count[VERDICT_FAIL] ? EXIT_REFUSED : EXIT_OK;
}

void view_doctor(FILE *out, const json_t *answer)
{
	const json_t *c;
	size_t i;

	json_array_foreach(json_object_get(answer, "checks"), i, c) {
		fprintf(out, "%-5s %-16s ", param_text(c, "result"), param_text(c, "check"));
		view_escaped(out, param_text(c, "detail"));
		fputc('\n', out);
		if (*param_text(c, "fix")) {
			fprintf(out, "%-22s -> ", "");
			view_escaped(out, param_text(c, "fix"));
			fputc('\n', out);
		}
	}
	fprintf(out, "\n%lld passed, %lld warnings, %lld failed, %lld skipped\n", (long long)param_integer(answer, "passed", 0),
		(long long)param_integer(answer, "warnings", 0), (long long)param_integer(answer, "failed", 0),
		(long long)param_integer(answer, "skipped", 0));
}
