/* The text of a token, and what it allows. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/token.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t key[TOKEN_KEY_LEN] = { 1 };
	static const struct command row = { "status", COMMAND_DAEMON, 0, "", NULL, 0 };
	char text[TOKEN_TEXT_CAP], why[COMMAND_WHY_CAP];
	struct token t, back;
	json_t *params;

	if (token_parse(&t, (const char *)data, len) < 0)
		return 0;
	token_text(text, &t);
	if (token_parse(&back, text, strlen(text)) < 0 || back.limits_len != t.limits_len ||
	    memcmp(back.limits, t.limits, t.limits_len) != 0)
		abort();
	(void)token_is_genuine(&t, key);
	params = json_pack("{s:s, s:i}", "a", "b", "n", 5);
	(void)token_permits(&t, &row, params, 1700000000, why);
	json_decref(params);
	json_decref(token_limits_json(&t));
	(void)token_rate(&t);
	(void)token_expires(&t);
	return 0;
}
