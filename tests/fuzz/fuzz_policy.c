/* Exit policies: any text; whatever parses is asked everything. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/mem.h>
#include <nonos/policy.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void ask(const struct policy *p)
{
	static const struct addr targets[] = {
		{ .family = ADDR_V4, .port = 80, .ip = { 10, 1, 2, 3 } },
		{ .family = ADDR_V6, .port = 443, .ip = { 0x20, 1 } },
	};
	static char lines[65536];
	char summary[POLICY_SUMMARY_CAP];
	bool nothing = policy_rejects_everything(p);

	for (size_t i = 0; i < 2; i++) {
		bool allowed = policy_allows(p, &targets[i]);

		/* What refuses before resolving must never contradict what decides afterwards. */
		if (allowed && (nothing || policy_rejects_port(p, targets[i].family, targets[i].port)))
			abort();
		if (policy_summary(summary, sizeof(summary), p, targets[i].family) < 0)
			abort();
	}
	(void)policy_descriptor_lines(lines, sizeof(lines), p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = mem_strndup((const char *)data, len), err[32];
	struct policy *p;

	if (policy_parse(&p, text, err, sizeof(err)) == 0) {
		ask(p);
		policy_reject_private(p);
		ask(p);
		policy_free(p);
	}
	free(text);
	return 0;
}
