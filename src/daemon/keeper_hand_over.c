/*
 * The keeper in an upgrade without loss, on both sides: what it gives when another asks
 * (hand_over.h), and how it becomes the relay in the place of another (take_over.h).
 */
#include "config.h"

#include "keeper.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/process.h>

#include "counters.h"
#include "http_server.h"
#include "key_agent.h"

bool keeper_may_write(const struct keeper *k)
{
	return !k->giving && !k->moved && !k->taking;
}

/* -- the keeper that goes ---------------------------------------------------------- */

static void on_state(void *arg, struct message_state *ret)
{
	struct keeper *k = arg;

	*ret = (struct message_state){
		.program_dev = k->program_dev, .program_ino = k->program_ino,
		.started_ms = k->started_ms, .watchdog_ms = notify_watchdog_ms(),
		.reached = k->reached, .found_out = strcmp(k->addr_source, "found out") == 0,
		.v4 = k->v4, .v6 = k->v6,
	};
	snprintf(ret->notify, sizeof(ret->notify), "%s", notify_path());
	snprintf(ret->control, sizeof(ret->control), "%s", k->config->control_socket);
	snprintf(ret->release, sizeof(ret->release), "%s", PACKAGE_VERSION);
}

static const char *on_asked(void *arg)
{
	struct keeper *k = arg;

	if (k->state >= KEEPER_DRAINING)
		return "the running nonosd is stopping; start the new one when it has ended";
	if (k->state == KEEPER_STARTING)
		return "the running nonosd is itself still starting; try again when it runs";
	log_notice("Another nonosd asks to take over; it is given the sockets.");
	k->giving = true;
	return NULL;
}

static void on_give(void *arg)
{
	struct keeper *k = arg;

	hand_over_socket(k->hand_over, HAND_LOCK, k->lock_fd);
	if (k->control)
		hand_over_socket(k->hand_over, HAND_CONTROL, ctl_server_fd(k->control));
	for (size_t i = 0; i < k->listeners.n_sets; i++)
		for (size_t j = 0; j < k->listeners.sets[i].n; j++)
			hand_over_socket(k->hand_over, HAND_OR, k->listeners.sets[i].fds[j]);
}

static void on_given_up(void *arg, const char *why)
{
	struct keeper *k = arg;

	k->giving = false;
	log_warn("The other nonosd does not take over; this one goes on as before. reason=\"%s\"", why);
}

void keeper_tell_counters(struct keeper *k)
{
	struct relay_counters c;
	char text[COUNTERS_TEXT_CAP];

	team_counters(k->team, &c);
	counters_format(text, &c);
	hand_over_counters(k->hand_over, text);
}

/* From here on the other one writes the files, answers nonosctl and tells the network. */
static void on_taken(void *arg, pid_t pid)
{
	struct timeval wait = { .tv_sec = 0 };
	struct keeper *k = arg;

	keeper_save_state(k);
	k->giving = false;
	k->moved = true;
	k->state = KEEPER_DRAINING;
	event_state(k);
	log_notice("Another nonosd has taken over; the circuits of this one have %u seconds. pid=%ld",
		   k->config->shutdown_wait, (long)pid);
	notify_send("MAINPID=%ld", (long)pid);
	notify_end();
	event_del(k->watchdog);
	ctl_server_release(k->control);
	k->control = NULL;
	/* Nobody can ask for them here any more. */
	key_agent_drop(k->key_agent, NULL);
	http_server_free(k->metrics);
	k->metrics = NULL;
	directory_free(k->directory);
	k->directory = NULL;
	settle_free(k->settle);
	k->settle = NULL;
	listeners_close(&k->listeners);
	/* The other one holds it by itself; a start after its end need not wait for us. */
	close(k->lock_fd);
	k->lock_fd = -1;
	team_drain(k->team, RELAY_DRAIN_MOVED);
	keeper_feed_config(k);
	keeper_tell_counters(k);
	wait.tv_sec = k->config->shutdown_wait;
	event_add(k->stop_timer, &wait);
}

int keeper_offer(struct keeper *k, char *err, size_t err_cap)
{
	struct hand_over_hooks hooks = {
		.state = on_state, .asked = on_asked, .give = on_give, .given_up = on_given_up, .taken = on_taken,
		.arg = k,
	};

	return hand_over_open(&k->hand_over, k->base, k->config->data_dir, &hooks, err, err_cap);
}

/* -- the keeper that comes --------------------------------------------------------- */

/* The file that we run; upgrading puts another in its place. */
void keeper_note_program(struct keeper *k)
{
	struct stat st;

	if (stat("/proc/self/exe", &st) < 0)
		return;
	k->program_dev = st.st_dev;
	k->program_ino = st.st_ino;
}

int keeper_take_over(struct keeper *k, uid_t uid, char *err, size_t err_cap)
{
	const struct message_state *s;
	int r = take_over_begin(&k->take, k->base, k->config->data_dir, uid, false, err, err_cap);

	if (r == ERR_NOT_FOUND) {
		log_notice("No nonosd runs on this data_dir; there is nothing to take over.");
		return 0;
	}
	if (r < 0)
		return r;
	s = take_over_state(k->take);
	log_notice("Taking over from the running nonosd. pid=%ld version=%s", (long)take_over_pid(k->take), s->release);
	k->taking = true;
	k->overlap = true;
	k->reached = s->reached;
	if (s->started_ms < k->started_ms)
		k->started_ms = s->started_ms;
	if (s->found_out) {
		k->v4 = s->v4;
		k->addr_source = "found out";
	}
	notify_adopt(s->notify, s->watchdog_ms);
	return 0;
}

bool keeper_is_given_control(const struct keeper *k)
{
	return k->taking && strcmp(take_over_state(k->take)->control, k->config->control_socket) == 0;
}

static void on_counters(void *arg, const char *text)
{
	struct relay_counters c;
	struct keeper *k = arg;

	if (counters_parse(&c, text) < 0)
		return;
	team_set_past(k->team, &c);
	k->past_told = true;
}

static void on_done(void *arg, bool died)
{
	char err[PROCESS_ERR_CAP];
	struct keeper *k = arg;

	if (died)
		log_warn("The other nonosd died while it handed over; this one goes on alone.");
	if (!k->control && keeper_open_control(k, take_over_socket(k->take, HAND_CONTROL)) < 0)
		log_error("nonosctl cannot reach this daemon; restart it when the control socket is free.");
	k->taking = false;
	k->overlap = !died;
	if (process_mark_lock(k->lock_fd) < 0 ||
	    (k->config->pid_file && process_rewrite_pid(k->config->pid_file) < 0))
		log_warn("The pid cannot be written to the lock or the pid file.");
	/* Too late to refuse: what is missing can be mended by a restart. */
	if (keeper_open_ours(k, err, sizeof(err)) < 0 || keeper_directory_start(k, err, sizeof(err)) < 0)
		log_error("Not all could be taken over; restart when that is mended. %s", err);
	keeper_settle_keys(k);
	keeper_open_listeners(k);
	keeper_running(k);
	keeper_update_address(k);
	keeper_feed_config(k);
}

static void on_refused(void *arg, const char *why)
{
	struct keeper *k = arg;

	log_error("Nothing was taken over; the running nonosd goes on. reason=\"%s\"", why);
	k->failed = true;
	keeper_stop_now(k);
}

static void on_ended(void *arg)
{
	struct keeper *k = arg;

	k->overlap = false;
	log_notice("The nonosd before this one has ended.");
	keeper_feed_config(k);
	keeper_predecessor_ended(k);
}

void keeper_ready_to_take(struct keeper *k)
{
	struct take_over_hooks hooks = {
		.done = on_done, .refused = on_refused, .counters = on_counters, .ended = on_ended, .arg = k,
	};

	if (k->ready_to_take)
		return;
	k->ready_to_take = true;
	take_over_ready(k->take, &hooks);
}
