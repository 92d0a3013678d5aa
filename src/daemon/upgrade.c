#include "config.h"

#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/conf.h>
#include <nonos/err.h>
#include <nonos/process.h>

#include "take_over.h"

int upgrade_to_background(void)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		fprintf(stderr, "nonosd: cannot go to the background: %s\n", strerror(errno));
		return -1;
	}
	if (pid == 0) {
		close(fds[0]);
		setsid();
		/* A service manager waits only for a main process whose parent it is itself; any other it kills at a stop. */
		if (fork() != 0)
			_exit(0);
		return fds[1];
	}
	close(fds[1]);
	exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
}

static bool is_our_program(const struct message_state *s)
{
	struct stat st;

	return stat("/proc/self/exe", &st) == 0 && (uint64_t)st.st_dev == s->program_dev &&
	       (uint64_t)st.st_ino == s->program_ino;
}

static int act_on(bool *ret_take_over, const struct take_over *t)
{
	const struct message_state *s = take_over_state(t);

	*ret_take_over = !is_our_program(s);
	if (*ret_take_over) {
		printf("nonosd: version %s replaces %s, which runs as process %ld\n", PACKAGE_VERSION, s->release,
		       (long)take_over_pid(t));
		return 0;
	}
	if (take_over_pid(t) <= 0 || kill(take_over_pid(t), SIGHUP) < 0) {
		fprintf(stderr, "nonosd: the running daemon cannot be told to reload: %s\n", strerror(errno));
		return ERR_PERMISSION;
	}
	printf("nonosd: process %ld runs this very program and reads its configuration again\n", (long)take_over_pid(t));
	return 0;
}

/* The user of "user" in the configuration, whom the daemon may run as when we are root. */
static uid_t configured_uid(const struct config *c)
{
	char err[PROCESS_ERR_CAP];
	uid_t uid = (uid_t)-1;
	gid_t gid;

	if (c->user)
		(void)process_find_user(&uid, &gid, c->user, err, sizeof(err));
	return uid;
}

static int ask(bool *ret_take_over, const struct config *c)
{
	struct event_base *base = event_base_new();
	struct take_over *t = NULL;
	char err[PROCESS_ERR_CAP] = "libevent cannot start.";
	int r = ERR_SYSTEM;

	if (base)
		r = take_over_begin(&t, base, c->data_dir, configured_uid(c), true, err, sizeof(err));
	if (r == 0)
		r = act_on(ret_take_over, t);
	else if (r == ERR_NOT_FOUND)
		fprintf(stderr, "nonosd: no nonosd runs on %s; start it\n", c->data_dir);
	else
		fprintf(stderr, "nonosd: %s\n", err);
	fflush(stdout);
	take_over_free(t);
	if (base)
		event_base_free(base);
	return r;
}

int upgrade_or_reload(bool *ret_take_over, const char *config_path)
{
	struct config_report rep = { 0 };
	struct config *c = NULL;
	int r = config_load(&c, &rep, config_path);

	if (r == 0)
		r = ask(ret_take_over, c);
	else
		fputs(rep.text, stderr);
	config_free(c);
	config_report_free(&rep);
	return r;
}
