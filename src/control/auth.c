/* Who may do what: the peer's own rights, or exactly those of a token that it showed. */
#include "config.h"

#include <nonos/control.h>

#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/secret.h>
#include <nonos/token.h>

#include "rpc.h"

static int refuse_token(struct ctl_call *call, int r)
{
	log_limited(LOG_LEVEL_NOTICE, "A control client showed a token that is not good. error=\"%s\"", err_str(r));
	if (r == ERR_EXPIRED)
		return ctl_fail(call, r, CTL_FORBIDDEN, "the token has expired or was revoked; ask for a new one");
	if (r == ERR_UNSUPPORTED)
		return ctl_fail(call, r, CTL_FORBIDDEN, "the token is of a newer version than this daemon");
	return ctl_fail(call, r, CTL_FORBIDDEN, "this daemon did not make that token");
}

int ctl_session_auth(struct ctl_call *call, struct token_store *tokens, const char *text)
{
	struct ctl_session *s = call->session;
	struct token *t = mem_new(sizeof(*t));
	int r = token_parse(t, text, strlen(text));

	if (r == 0)
		r = token_store_check(tokens, t, clock_wall());
	if (r < 0) {
		free(t);
		return refuse_token(call, r);
	}
	auth_forget(s);
	s->token = t;
	s->tokens = tokens;
	/* What it heard so far, it heard by other rights. */
	s->topics[0] = '\0';
	return 0;
}

void auth_forget(struct ctl_session *s)
{
	if (s->token)
		secret_wipe(s->token, sizeof(*s->token));
	free(s->token);
	s->token = NULL;
}

bool auth_holds(const struct ctl_session *s)
{
	return !s->token || token_store_knows(s->tokens, s->token, clock_wall());
}

static int check_token(struct ctl_call *call)
{
	struct ctl_session *s = call->session;
	char why[COMMAND_WHY_CAP];
	int r;

	if (!auth_holds(s))
		return refuse_token(call, ERR_EXPIRED);
	r = token_permits(s->token, call->command, call->params, clock_wall(), why);
	if (r < 0)
		return ctl_fail(call, r, CTL_FORBIDDEN, "%s", why);
	r = token_store_count(s->tokens, s->token, clock_now_ms(), clock_wall());
	if (r < 0)
		return ctl_fail(call, r, CTL_NOT_NOW, "the token allows %u calls a minute; wait", token_rate(s->token));
	return 0;
}

int auth_check(struct ctl_call *call)
{
	const struct command *c = call->command;

	if (c->flags & CMD_AUTH)
		return 0;
	if (call->session->token)
		return check_token(call);
	if (c->flags & (CMD_CHANGES | CMD_OWNER) && !call->session->may_change)
		return ctl_fail(call, ERR_PERMISSION, CTL_FORBIDDEN,
				"%s needs root, the daemon's user, the group of the control socket, or a token that allows it",
				c->words);
	return 0;
}
