/* Methods over capability tokens: auth, token.create, token.list, token.revoke. */
#include "config.h"

#include "keeper.h"

#include <string.h>

#include <nonos/clock.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/secret.h>
#include <nonos/token.h>

int cmd_auth(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	int r = ctl_session_auth(call, k->tokens, param_text(call->params, "token"));

	if (r == 0)
		call->result = json_pack("{s:o}", "limits", token_limits_json(call->session->token));
	return r;
}

static void put_token(struct ctl_call *call, const struct token *t)
{
	char text[TOKEN_TEXT_CAP], id[2 * TOKEN_ID_LEN + 1];

	hex_encode(id, t->id, TOKEN_ID_LEN);
	token_text(text, t);
	json_object_set_new(call->result, "id", json_string(id));
	json_object_set_new(call->result, "limits", token_limits_json(t));
	json_object_set_new(call->result, "token", json_string(text));
	secret_wipe(text, sizeof(text));
	log_notice("A control token was made. id=%s", id);
}

int cmd_token_create(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	char why[COMMAND_WHY_CAP];
	struct token t;
	int r = token_store_create(k->tokens, &t, call->params, call->dry_run, clock_wall(), why);

	if (r < 0)
		return ctl_fail(call, r, r == ERR_MALFORMED || r == ERR_TOO_LONG ? CTL_INVALID_PARAMS : CTL_FAILED, "%s", why);
	call->result = json_pack("{s:b}", "dry_run", call->dry_run);
	if (!call->dry_run) {
		put_token(call, &t);
		secret_wipe(&t, sizeof(t));
	}
	return 0;
}

int cmd_token_list(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	char why[COMMAND_WHY_CAP];
	json_t *list = token_store_list(k->tokens, why);

	if (!list)
		return ctl_fail(call, ERR_STATE, CTL_FAILED, "%s", why);
	call->result = json_pack("{s:o}", "tokens", list);
	return 0;
}

int cmd_token_revoke(struct ctl_call *call)
{
	struct keeper *k = call->arg;
	const char *text = param_text(call->params, "id");
	uint8_t id[TOKEN_ID_LEN];
	char why[COMMAND_WHY_CAP];
	int r;

	if (strncmp(text, "0x", 2) == 0)
		text += 2;
	r = hex_decode(id, sizeof(id), text, strlen(text));
	if (r == 0)
		r = token_store_revoke(k->tokens, id, call->dry_run, clock_wall(), why);
	if (r < 0)
		return ctl_fail(call, r, CTL_FAILED, "%s", why);
	if (!call->dry_run)
		log_notice("A control token was revoked. id=%s", text);
	call->result = json_pack("{s:b, s:s}", "dry_run", call->dry_run, "id", text);
	return 0;
}
