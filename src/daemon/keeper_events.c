/* What subscribers of the control socket are told: the rows of events.def. */
#include "config.h"

#include "keeper.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <nonos/mem.h>

void event_state(struct keeper *k)
{
	ctl_publish(k->control, "state", json_pack("{s:s}", "state", keeper_state_str(k->state)));
}

void event_service(struct keeper *k)
{
	ctl_publish(k->control, "service", json_pack("{s:s}", "service", keeper_service_str(k)));
}

/* What the totals grew by: they never go back. */
#define GREW(name) ((json_int_t)(now->name - before->name))
#define NOW(name) ((json_int_t)now->name)

void event_second(struct keeper *k, const struct relay_counters *now)
{
	const struct relay_counters *before = &k->counted;

	if (ctl_has_listener(k->control, "links"))
		ctl_publish(k->control, "links",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "links", NOW(links), "opened", GREW(links_opened), "accepted",
				      GREW(links_accepted), "refused", GREW(links_refused), "failed", GREW(links_failed)));
	if (ctl_has_listener(k->control, "circuits"))
		ctl_publish(k->control, "circuits",
			    json_pack("{s:I, s:I, s:I, s:I}", "circuits", NOW(circuits), "made", GREW(circuits_made),
				      "destroyed", GREW(circuits_destroyed), "streams", NOW(streams)));
	if (ctl_has_listener(k->control, "bandwidth"))
		ctl_publish(k->control, "bandwidth",
			    json_pack("{s:I, s:I, s:I}", "read_bytes", GREW(read_bytes), "written_bytes", GREW(written_bytes),
				      "queued_bytes", NOW(queued_bytes)));
	k->counted = *now;
}

void event_worker(void *arg, const struct member_change *c)
{
	static const char *const topics[] = {
		[MEMBER_STARTED] = "worker.started", [MEMBER_LISTENS] = "worker.ready", [MEMBER_ENDED] = "worker.ended",
	};
	struct keeper *k = arg;
	json_t *data = json_pack("{s:i, s:I, s:i}", "worker", (int)c->index, "pid", (json_int_t)c->pid, "restarts",
				 (int)c->restarts);

	if (c->step == MEMBER_ENDED) {
		json_object_set_new(data, "status", WIFEXITED(c->status) ? json_integer(WEXITSTATUS(c->status)) : json_null());
		json_object_set_new(data, "signal", WIFSIGNALED(c->status) ? json_integer(WTERMSIG(c->status)) : json_null());
	}
	ctl_publish(k->control, topics[c->step], data);
}

/* -- the directory ---------------------------------------------------------------- */

void event_consensus(struct keeper *k, const struct consensus_facts *c)
{
	struct consensus_status s;

	if (!ctl_has_listener(k->control, "directory.consensus") || !k->directory)
		return;
	directory_consensus(k->directory, &s);
	ctl_publish(k->control, "directory.consensus",
		    json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:o, s:I}", "flavour",
			      c->flavour == FLAVOUR_NS ? "ns" : "microdesc", "valid_after", (json_int_t)c->valid_after,
			      "fresh_until", (json_int_t)c->fresh_until, "valid_until", (json_int_t)c->valid_until,
			      "relays", (json_int_t)c->n_routers, "listed", s.listed, "flags",
			      status_flags(s.listed ? s.flags : 0), "weight", (json_int_t)(s.listed ? s.weight : 0)));
}

void event_upload(void *arg, size_t index)
{
	struct keeper *k = arg;
	size_t n = k->config->authority.n;
	struct authority_status *rows;

	if (!ctl_has_listener(k->control, "directory.upload"))
		return;
	rows = mem_new_array(n, sizeof(*rows));
	if (index < directory_status(k->directory, rows, n))
		ctl_publish(k->control, "directory.upload",
			    json_pack("{s:s, s:i, s:s}", "authority", rows[index].authority->name, "http_status",
				      rows[index].http_status, "message", rows[index].message));
	free(rows);
}

/* -- keys, configuration ------------------------------------------------------------ */

void event_keys(struct keeper *k, int changed)
{
	if (changed & KEYS_CHANGED_SIGNING)
		ctl_publish(k->control, "key.signing",
			    json_pack("{s:I}", "expires", (json_int_t)keys_signing_expires(k->keys)));
	if (changed & KEYS_CHANGED_ONION)
		ctl_publish(k->control, "key.onion", json_pack("{s:I}", "rotates", (json_int_t)keys_onion_rotates(k->keys)));
}

void event_reload(struct keeper *k, json_t *changes)
{
	ctl_publish(k->control, "config.reload", json_pack("{s:O}", "changes", changes));
}

void event_tell(void *arg, const char *topic, json_t *data)
{
	struct keeper *k = arg;

	ctl_publish(k->control, topic, data);
}
