/* Tokens: finding the one to use, making weaker ones, showing them. */
#include "config.h"

#include "ctl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/secret.h>
#include <nonos/token.h>

static const struct table_column columns[] = {
	{ "id", "id", TABLE_TEXT }, { "name", "name", TABLE_TEXT }, { "created", "created", TABLE_TIME },
	{ "expires", "expires", TABLE_TIME }, { "revoked", "revoked", TABLE_TIME }, { "calls", "calls", TABLE_NUMBER },
	{ "limits", "limits", TABLE_TEXT },
};

const struct table token_table = { "tokens", columns, sizeof(columns) / sizeof(columns[0]) };

/* -- the one to use -------------------------------------------------------------------- */

static int from_variable(char **ret, const char *name)
{
	const char *text = getenv(name);

	if (!text || !text[0])
		return complain(EXIT_USAGE, "the environment variable %s has no token", name);
	*ret = mem_strdup(text);
	return EXIT_OK;
}

static int from_file(char **ret, const char *path)
{
	struct stat st;
	size_t len = 0;
	char *text;
	int r;

	if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & S_IRWXO)
		return complain(EXIT_REFUSED, "%s: everybody may read this token; chmod 600 it", path);
	r = file_read(&text, &len, path, TOKEN_TEXT_CAP + 2);
	if (r != EXIT_OK)
		return r;
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	*ret = mem_strndup(text, len);
	secret_wipe(text, len);
	free(text);
	return EXIT_OK;
}

int token_find(char **ret, const struct ctl_options *o)
{
	const char *env = getenv("NONOS_TOKEN");

	if (o->token)
		return o->token[0] == '@' ? from_variable(ret, o->token + 1) : from_file(ret, o->token);
	*ret = env && env[0] ? mem_strdup(env) : NULL;
	return EXIT_OK;
}

/* -- commands on a token alone ------------------------------------------------------------ */

static int read_token(struct token *ret, const struct invocation *in)
{
	char *text = NULL;
	int r = token_find(&text, &in->options);

	if (r != EXIT_OK)
		return r;
	if (!text)
		return complain(EXIT_USAGE, "name the token: --token FILE, --token @VARIABLE, or set NONOS_TOKEN");
	r = token_parse(ret, text, strlen(text));
	secret_wipe(text, strlen(text));
	free(text);
	if (r == ERR_UNSUPPORTED)
		return complain(EXIT_REFUSED, "the token is of a newer version than this nonosctl");
	return r < 0 ? complain(EXIT_REFUSED, "that is not a token; one begins with \"nonos1.\"") : EXIT_OK;
}

static json_t *describe(const struct token *t)
{
	char id[2 * TOKEN_ID_LEN + 1];
	int64_t expires = token_expires(t);

	hex_encode(id, t->id, TOKEN_ID_LEN);
	return json_pack("{s:s, s:o, s:o}", "id", id, "expires", expires ? json_integer(expires) : json_null(), "limits",
			 token_limits_json(t));
}

int local_token_restrict(const struct invocation *in)
{
	char why[COMMAND_WHY_CAP], text[TOKEN_TEXT_CAP];
	struct token t;
	json_t *answer;
	int r = read_token(&t, in);

	if (r != EXIT_OK)
		return r;
	if (json_object_size(in->params) == 0)
		return complain(EXIT_USAGE, "say what the new token may not do: --method, --valid-for, --rate or --argument");
	if (token_restrict(&t, in->params, time(NULL), why) < 0)
		return complain(EXIT_USAGE, "%s", why);
	token_text(text, &t);
	answer = describe(&t);
	json_object_set_new(answer, "token", json_string(text));
	secret_wipe(text, sizeof(text));
	secret_wipe(&t, sizeof(t));
	return print_answer(in, answer);
}

int local_token_show(const struct invocation *in)
{
	struct token t;
	int r = read_token(&t, in);

	return r == EXIT_OK ? print_answer(in, describe(&t)) : r;
}

void view_token(FILE *out, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "token"));

	if (token)
		fprintf(out, "%s\n", token);
	else
		view_any(out, answer);
}
