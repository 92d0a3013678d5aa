/* Rules over more than one option of the configuration. */
#include "config.h"

#include "conf_priv.h"

#include <string.h>

#include <nonos/addr.h>
#include <nonos/conf_edit.h>

struct check {
	const struct config *c;
	struct config_report *rep;
	const char *name;		/* of the file */
};

static bool listens_on(const struct config *c, enum addr_family family)
{
	for (size_t i = 0; i < c->or_listen.n; i++)
		if (c->or_listen.v[i].family == family)
			return true;
	return false;
}

static void check_addresses(const struct check *p)
{
	const struct config *c = p->c;
	unsigned line = c->line[OPTION_address];

	for (size_t i = 0; i < c->address.n; i++) {
		const struct addr *a = &c->address.v[i];
		char text[ADDR_TEXT_CAP];

		if (!listens_on(c, a->family))
			config_report_add(p->rep, p->name, line, "\"address\" %s needs an \"or_listen\" of its kind",
					  addr_format_ip(text, a));
		if (addr_is_private(a) && !c->allow_private_addresses)
			config_report_add(p->rep, p->name, line,
					  "\"address\" %s is private; only allow_private_addresses = yes takes it",
					  addr_format_ip(text, a));
	}
	if (c->or_listen.n && !listens_on(c, ADDR_V4))
		config_report_add(p->rep, p->name, c->line[OPTION_or_listen],
				  "\"or_listen\" needs at least one IPv4 address: the network has no relay without one");
	if (c->bind_address.n && c->bind_address.v[0].family != ADDR_V4)
		config_report_add(p->rep, p->name, c->line[OPTION_bind_address],
				  "\"bind_address\" must be an IPv4 address");
}

static void check_directory(const struct check *p)
{
	const struct config *c = p->c;

	if (c->network != NETWORK_TEST && c->line[OPTION_authority])
		config_report_add(p->rep, p->name, c->line[OPTION_authority],
				  "\"authority\" is for network = test; a known network's come with it");
	if (c->network == NETWORK_TEST && c->line[OPTION_network_file])
		config_report_add(p->rep, p->name, c->line[OPTION_network_file],
				  "\"network_file\" is for a known network; with network = test give \"authority\" lines");
	if (c->network == NETWORK_TEST && !c->line[OPTION_authority] && c->publish)
		config_report_add(p->rep, p->name, c->line[OPTION_network],
				  "network = test needs \"authority\" lines, or publish = no");
}

/* What is told there helps an observer, and there is no password. */
static void check_metrics(const struct check *p)
{
	const struct config *c = p->c;
	unsigned line = c->line[OPTION_metrics_listen];

	for (size_t i = 0; i < c->metrics_listen.n; i++) {
		char text[ADDR_TEXT_CAP];

		if (!addr_is_loopback(&c->metrics_listen.v[i]))
			config_report_add(p->rep, p->name, line,
					  "\"metrics_listen\" %s is not a loopback address: metrics help an attacker and "
					  "need no password, so they do not leave the machine; use 127.0.0.1",
					  addr_format(text, &c->metrics_listen.v[i]));
	}
	if (!c->metrics && c->metrics_listen.n)
		config_report_add(p->rep, p->name, line, "\"metrics_listen\" does nothing with metrics = no");
	if (!c->metrics && c->metrics_socket)
		config_report_add(p->rep, p->name, c->line[OPTION_metrics_socket],
				  "\"metrics_socket\" does nothing with metrics = no");
}

static void check_version(const struct check *p)
{
	if (p->c->config_version == 1)
		config_report_add(p->rep, p->name, p->c->line[OPTION_config_version],
				  "the file is of version %u, this nonosd of version %d; "
				  "\"nonosctl config migrate\" brings it up to date", p->c->config_version, CONFIG_VERSION);
}

/* What does nothing on a node without a ledger. */
static void check_no_ledger(const struct check *p)
{
	static const enum option_id needs[] = {
		OPTION_follow, OPTION_journal_listen, OPTION_journal_key, OPTION_auditor_key, OPTION_claim_key,
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (p->c->line[needs[i]])
			config_report_add(p->rep, p->name, p->c->line[needs[i]], "\"%s\" needs a \"genesis\"",
					  option_key(needs[i]));
}

static void check_ledger(const struct check *p)
{
	const struct config *c = p->c;

	if (c->follow && strncmp(c->follow, "http://", 7) != 0 && strncmp(c->follow, "https://", 8) != 0)
		config_report_add(p->rep, p->name, c->line[OPTION_follow], "\"follow\" must begin with http:// or https://");
	if (c->follow && c->journal_key)
		config_report_add(p->rep, p->name, c->line[OPTION_follow],
				  "\"follow\" is for nodes that do not write the journal; this one has a \"journal_key\"");
	if (!c->genesis)
		check_no_ledger(p);
}

static void check_limits(const struct check *p)
{
	const struct config *c = p->c;

	if (c->bandwidth_burst && !c->bandwidth_rate && !c->bandwidth_schedule.n)
		config_report_add(p->rep, p->name, c->line[OPTION_bandwidth_burst],
				  "\"bandwidth_burst\" does nothing without \"bandwidth_rate\" or \"bandwidth_schedule\"");
	else if (c->bandwidth_burst && c->bandwidth_burst < c->bandwidth_rate)
		config_report_add(p->rep, p->name, c->line[OPTION_bandwidth_burst],
				  "\"bandwidth_burst\" must not be below one second of \"bandwidth_rate\"");
}

void config_check(const struct config *c, struct config_report *rep, const char *name)
{
	const struct check p = { .c = c, .rep = rep, .name = name };

	check_version(&p);
	check_addresses(&p);
	check_directory(&p);
	check_metrics(&p);
	check_ledger(&p);
	check_limits(&p);
}
