/* Reading the configuration again while everything runs. */
#include "config.h"

#include "keeper.h"

#include <stdio.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/log.h>

struct reload {
	json_t *changes;		/* array */
	bool dry_run;
	bool log, descriptor, any;	/* what the applied changes touch */
};

/* Which of the applied options a peer can read in the descriptor. */
static bool is_in_descriptor(enum option_id id)
{
	static const enum option_id ids[] = {
		OPTION_nickname, OPTION_address, OPTION_exit_policy, OPTION_contact, OPTION_family, OPTION_family_id,
		OPTION_allow_private_addresses, OPTION_bandwidth_rate, OPTION_bandwidth_burst, OPTION_bandwidth_schedule, OPTION_publish,
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void on_changed(void *arg, enum option_id id, bool applied)
{
	struct reload *r = arg;

	json_array_append_new(r->changes, json_pack("{s:s, s:s, s:b}", "section", option_section(id),
						    "option", option_key(id), "applied", applied));
	if (r->dry_run)
		return;
	if (!applied) {
		log_warn("An option changed that takes effect at the next start only. section=%s option=%s",
			 option_section(id), option_key(id));
		return;
	}
	log_notice("An option changed. section=%s option=%s", option_section(id), option_key(id));
	r->any = true;
	r->log = r->log || id == OPTION_log_level || id == OPTION_log_target || id == OPTION_log_redact;
	r->descriptor = r->descriptor || is_in_descriptor(id);
}

static void apply(struct keeper *k, const struct reload *r)
{
	const struct config *c = k->config;

	if (r->log) {
		log_set_level(c->log_level);
		log_set_redact(c->log_redact);
		log_set_target(c->log_target);
		keeper_feed_log(k);
	}
	if (!r->any)
		return;
	if (keys_write_fingerprints(k->keys, c->nickname) < 0)
		log_warn("The fingerprint files in %s cannot be written.", c->data_dir);
	keeper_update_address(k);
	keeper_feed_config(k);
	if (r->descriptor)
		keeper_publish(k, "configuration changed");
}

/* With the master key offline: what the operator copied in, long before it is due or just in time. */
static void take_signing_key(struct keeper *k, const struct reload *r)
{
	int changed = 0;

	if (r->dry_run || !keys_take_signing(k->keys, clock_wall(), &changed))
		return;
	log_notice("A new signing key was taken over. days=%lld",
		   (long long)(keys_signing_expires(k->keys) - clock_wall()) / 86400);
	if (r->changes)
		json_array_append_new(r->changes, json_pack("{s:s, s:s, s:b}", "section", "keys", "option", "signing key",
							     "applied", 1));
	k->expiry_warned = 0;
	keeper_keys_changed(k, changed);
}

static void log_lines(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		log_error("%.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void refuse(const struct config_report *rep, bool dry_run, char *err, size_t err_cap)
{
	if (!dry_run) {
		log_error("The configuration is not good; what was in force stays. mistakes=%u", rep->count);
		log_lines(rep->text);
	}
	snprintf(err, err_cap, "%s", rep->text);
}

/* A key may have come, gone or been replaced under the same option. */
static bool same_families(const struct families *a, const struct families *b)
{
	if (families_count(a) != families_count(b))
		return false;
	for (size_t i = 0; i < families_count(a); i++) {
		bool found = false;

		for (size_t j = 0; j < families_count(b); j++)
			found = found || memcmp(families_id(a, i), families_id(b, j), FAMILY_ID_LEN) == 0;
		if (!found)
			return false;
	}
	return true;
}

static int load(struct keeper *k, struct config **ret, struct families **ret_families, struct config_report *rep)
{
	char text[512];
	int r = config_load(ret, rep, k->config_path);

	if (r < 0)
		return r;
	if (keeper_open_families(ret_families, k, *ret, text, sizeof(text)) == 0)
		return 0;
	config_report_add(rep, k->config_path, 0, "\"family_id\": %s", text);
	config_free(*ret);
	return ERR_CONFIG;
}

int keeper_reload(struct keeper *k, bool dry_run, json_t **ret_report, char *err, size_t err_cap)
{
	struct reload r = { .changes = json_array(), .dry_run = dry_run };
	struct config_report rep = { 0 };
	struct families *families = NULL;
	struct config *fresh;
	int result;

	if (!keeper_may_write(k)) {
		json_decref(r.changes);
		snprintf(err, err_cap, "another nonosd is taking over; it reads the configuration itself");
		return ERR_STATE;
	}
	result = load(k, &fresh, &families, &rep);
	if (result < 0) {
		refuse(&rep, dry_run, err, err_cap);
		config_report_free(&rep);
		json_decref(r.changes);
		return result;
	}
	config_compare(fresh, k->config, on_changed, &r);
	if (dry_run) {
		config_free(fresh);
		families_free(families);
	} else {
		r.any = r.any || !same_families(families, k->families);
		r.descriptor = r.descriptor || !same_families(families, k->families);
		families_free(k->families);
		k->families = families;
		config_adopt(fresh, k->config);
		config_free(k->config);
		k->config = fresh;
		settle_use(k->settle, fresh, k->directory);
		apply(k, &r);
		take_signing_key(k, &r);
		event_reload(k, r.changes);
	}
	if (ret_report)
		*ret_report = r.changes;
	else
		json_decref(r.changes);
	return 0;
}
