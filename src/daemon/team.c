#include "config.h"

#include "team.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>

#include "counters.h"
#include "pipe.h"
#include "worker.h"

extern char **environ;

enum { END_WAIT_MS = 2000, END_STEP_MS = 10 };

struct member {
	struct team *team;
	unsigned index;
	enum member_state state;
	pid_t pid;			/* 0: none */
	struct pipe *pipe;		/* NULL: none */
	struct worker *inside;		/* --one-process */
	struct event *restart;
	unsigned restarts, failures;
	uint64_t started_ms, heard_ms;
	struct relay_counters counters;
	struct sandbox_state sandbox;
	struct relay_counters gone;	/* what those before it had counted */
};

struct team {
	struct event_base *base;
	struct team_hooks hooks;
	bool one_process, draining;
	unsigned n;
	struct member *members;
	uint64_t ticked_ms;
	struct relay_counters past;	/* team_set_past() */
};

const char *member_state_str(enum member_state state)
{
	switch (state) {
	case MEMBER_DOWN:
		return "down";
	case MEMBER_STARTING:
		return "starting";
	case MEMBER_READY:
		return "ready";
	case MEMBER_DRAINED:
		return "drained";
	}
	return "?";
}

unsigned team_backoff_ms(unsigned failures)
{
	unsigned ms = TEAM_BACKOFF_MIN_MS;

	while (failures-- > 0 && ms < TEAM_BACKOFF_MAX_MS)
		ms *= 2;
	return ms < TEAM_BACKOFF_MAX_MS ? ms : TEAM_BACKOFF_MAX_MS;
}

static bool all_are(const struct team *t, enum member_state state)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->members[i].state != state)
			return false;
	return true;
}

/* While draining, a worker that is gone has nothing left to drain. */
static void check_drained(struct team *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->members[i].state != MEMBER_DRAINED && t->members[i].state != MEMBER_DOWN)
			return;
	t->hooks.drained(t->hooks.arg);
}

static void tell_change(const struct member *m, enum member_step step, int status)
{
	const struct team *t = m->team;
	struct member_change c = { .step = step, .index = m->index, .restarts = m->restarts,
				   .pid = m->inside ? getpid() : m->pid, .status = status };

	if (t->hooks.changed)
		t->hooks.changed(t->hooks.arg, &c);
}

/* -- the end of a worker ------------------------------------------------------- */

static void set_timer(struct event *timer, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(timer, &tv);
}

/* Process and pipe are both gone: the pipe is read to its end first, for the last counters. */
static void member_gone(struct member *m)
{
	struct team *t = m->team;
	unsigned pause;

	if (m->pid || m->pipe)
		return;
	counters_add_totals(&m->gone, &m->counters);
	memset(&m->counters, 0, sizeof(m->counters));
	m->state = MEMBER_DOWN;
	if (t->draining) {
		check_drained(t);
		return;
	}
	if (clock_now_ms() - m->started_ms >= TEAM_HEALTHY_MS)
		m->failures = 0;
	pause = team_backoff_ms(m->failures++);
	log_notice("A worker is started again. worker=%u pause_ms=%u", m->index, pause);
	set_timer(m->restart, pause);
}

static void on_ended(void *arg, int why)
{
	struct member *m = arg;

	if (why != ERR_CLOSED)
		log_error("A worker's pipe failed, so the worker is ended. worker=%u error=\"%s\"", m->index,
			  err_str(why));
	pipe_free(m->pipe);
	m->pipe = NULL;
	if (m->pid)
		kill(m->pid, SIGKILL);
	worker_free(m->inside);
	m->inside = NULL;
	member_gone(m);
}

static void log_exit(const struct member *m, int status)
{
	if (m->team->draining || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		log_info("A worker has ended. worker=%u pid=%ld", m->index, (long)m->pid);
	else if (WIFSIGNALED(status))
		log_error("A worker died; its links and circuits are lost. worker=%u pid=%ld signal=%d (%s)",
			  m->index, (long)m->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error("A worker died; its links and circuits are lost. worker=%u pid=%ld status=%d",
			  m->index, (long)m->pid, WEXITSTATUS(status));
}

void team_reap(struct team *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		struct member *m = &t->members[i];
		int status;

		if (!m->pid || waitpid(m->pid, &status, WNOHANG) != m->pid)
			continue;
		log_exit(m, status);
		tell_change(m, MEMBER_ENDED, status);
		m->pid = 0;
		member_gone(m);
	}
}

void team_tick(struct team *t)
{
	uint64_t now = clock_now_ms();
	/* A keeper that was stopped, or waited for a disk, has yet to read what they said meanwhile. */
	bool was_away = t->ticked_ms && now - t->ticked_ms >= TEAM_AWAY_MS;

	t->ticked_ms = now;
	for (unsigned i = 0; i < t->n; i++) {
		struct member *m = &t->members[i];

		if (was_away)
			m->heard_ms = now;
		if (!m->pid || now - m->heard_ms < TEAM_SILENT_MS)
			continue;
		log_error("A worker has said nothing for a minute and is killed. worker=%u pid=%ld", m->index,
			  (long)m->pid);
		m->heard_ms = now;
		kill(m->pid, SIGKILL);
	}
}

/* -- messages from a worker ------------------------------------------------------ */

static void on_ready(struct member *m)
{
	struct team *t = m->team;

	if (m->state != MEMBER_STARTING)
		return;
	m->state = MEMBER_READY;
	tell_change(m, MEMBER_LISTENS, 0);
	log_info("A worker is ready. worker=%u", m->index);
	if (!t->draining && all_are(t, MEMBER_READY))
		t->hooks.ready(t->hooks.arg);
}

static int on_message(void *arg, struct frame *f, int fd)
{
	struct member *m = arg;

	(void)fd;	/* no message from a worker carries one */
	m->heard_ms = clock_now_ms();
	switch ((enum message_type)f->row->type) {
	case MSG_READY:
		on_ready(m);
		return 0;
	case MSG_COUNTERS:
		return message_counters_read(&m->counters, &f->payload);
	case MSG_CONFINED:
		return message_confined_read(&m->sandbox, &f->payload);
	case MSG_DRAINED:
		m->state = MEMBER_DRAINED;
		if (m->team->draining)
			check_drained(m->team);
		return 0;
	default:
		return m->team->hooks.message(m->team->hooks.arg, m->index, f);
	}
}

/* -- the start of a worker ------------------------------------------------------ */

static void inside_ended(void *arg, int why)
{
	struct member *m = arg;

	(void)why;	/* the other end says so, too */
	worker_free(m->inside);
	m->inside = NULL;
}

/*
 * posix_spawn() shares our memory with the child until it execs, so nothing
 * of it is copied; the new image starts with its pipe and the log.
 */
static int spawn(pid_t *ret, int fd, unsigned index)
{
	char name[] = "nonosd", role[] = "--worker", number[16], *argv[] = { name, role, number, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	snprintf(number, sizeof(number), "%u", index);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, WORKER_FD);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(ret, "/proc/self/exe", &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (r == 0)
		return 0;
	log_error("A worker cannot be started: %s. Is /proc mounted?", strerror(r));
	return ERR_SYSTEM;
}

static int start_process(struct member *m, int worker_fd)
{
	struct worker_hooks hooks = { .ended = inside_ended, .arg = m };

	if (m->team->one_process) {
		m->inside = worker_new(m->team->base, worker_fd, false, &hooks);
		return 0;
	}
	return spawn(&m->pid, worker_fd, m->index);
}

static int member_start(struct member *m)
{
	struct pipe_hooks hooks = { .message = on_message, .ended = on_ended, .arg = m };
	int fds[2], r;

	r = pipe_pair(fds);
	if (r < 0)
		return r;
	r = start_process(m, fds[1]);
	if (!m->inside)
		close(fds[1]);
	if (r < 0) {
		close(fds[0]);
		return r;
	}
	m->pipe = pipe_new(m->team->base, fds[0], MSG_UP, &hooks);
	m->state = MEMBER_STARTING;
	m->sandbox = (struct sandbox_state){ 0 };
	m->started_ms = m->heard_ms = clock_now_ms();
	tell_change(m, MEMBER_STARTED, 0);
	m->team->hooks.greet(m->team->hooks.arg, m->index);
	return 0;
}

static void restart_cb(evutil_socket_t fd, short what, void *arg)
{
	struct member *m = arg;

	(void)fd;
	(void)what;
	clock_update();
	if (m->team->draining)
		return;
	m->restarts++;
	if (member_start(m) < 0)
		set_timer(m->restart, team_backoff_ms(m->failures++));
}

/* -- the team -------------------------------------------------------------------- */

struct team *team_new(struct event_base *base, unsigned n, bool one_process, const struct team_hooks *hooks)
{
	struct team *t = mem_new(sizeof(*t));

	t->base = base;
	t->hooks = *hooks;
	t->one_process = one_process;
	t->n = one_process ? 1 : n;
	t->members = mem_new_array(t->n, sizeof(*t->members));
	for (unsigned i = 0; i < t->n; i++) {
		struct member *m = &t->members[i];

		m->team = t;
		m->index = i;
		m->restart = event_new(base, -1, 0, restart_cb, m);
		if (!m->restart)
			mem_fail();
	}
	return t;
}

int team_start(struct team *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		int r = member_start(&t->members[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

void team_greet(struct team *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->members[i].pipe)
			t->hooks.greet(t->hooks.arg, i);
}

void team_send(struct team *t, unsigned index, enum message_type type, const void *payload, size_t len, int fd)
{
	struct member *m = &t->members[index];
	int r = m->pipe ? pipe_send(m->pipe, type, payload, len, fd) : 0;

	if (r == ERR_RANGE)
		log_error("A message to a worker does not fit its row. type=%d length=%zu", (int)type, len);
}

void team_send_all(struct team *t, enum message_type type, const void *payload, size_t len, int fd)
{
	for (unsigned i = 0; i < t->n; i++)
		team_send(t, i, type, payload, len, fd);
}

void team_drain(struct team *t, enum relay_drain how)
{
	uint8_t payload = (uint8_t)how;

	t->draining = how == RELAY_DRAIN_STOP || how == RELAY_DRAIN_MOVED;
	team_send_all(t, MSG_DRAIN, &payload, 1, -1);
}

void team_set_past(struct team *t, const struct relay_counters *totals)
{
	memset(&t->past, 0, sizeof(t->past));
	counters_add_totals(&t->past, totals);
}

static bool wait_for_all(struct team *t)
{
	bool left = false;

	for (unsigned i = 0; i < t->n; i++) {
		struct member *m = &t->members[i];

		if (m->pid && waitpid(m->pid, NULL, WNOHANG) == m->pid)
			m->pid = 0;
		left = left || m->pid;
	}
	return !left;
}

void team_free(struct team *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < t->n; i++) {
		event_free(t->members[i].restart);
		worker_free(t->members[i].inside);
		pipe_free(t->members[i].pipe);
	}
	for (int ms = 0; !wait_for_all(t) && ms < END_WAIT_MS; ms += END_STEP_MS)
		usleep(END_STEP_MS * 1000);
	for (unsigned i = 0; i < t->n; i++) {
		if (!t->members[i].pid)
			continue;
		kill(t->members[i].pid, SIGKILL);
		waitpid(t->members[i].pid, NULL, 0);
	}
	free(t->members);
	free(t);
}

unsigned team_size(const struct team *t)
{
	return t->n;
}

void team_status(const struct team *t, unsigned index, struct member_status *ret)
{
	const struct member *m = &t->members[index];

	*ret = (struct member_status){
		.index = index, .pid = m->inside ? getpid() : m->pid, .state = m->state,
		.restarts = m->restarts, .counters = &m->counters, .sandbox = m->sandbox,
		.cpu_us = m->gone.cpu_us + m->counters.cpu_us,
	};
}

void team_counters(const struct team *t, struct relay_counters *ret)
{
	*ret = t->past;
	for (unsigned i = 0; i < t->n; i++) {
		counters_add_totals(ret, &t->members[i].gone);
		counters_add(ret, &t->members[i].counters);
	}
}
