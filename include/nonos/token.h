/*
 * Capability tokens of the control socket. A token is an id, limits, and a MAC:
 * the daemon makes the first MAC from a key that only it has, and each limit that is
 * added turns the MAC into the next one, MAC' = HMAC-SHA256(MAC, limit). So
 * whoever holds a token can make a weaker one without asking anybody, and nobody
 * can make a stronger one.
 *
 * Text: "nonos1." and base64 without padding of
 *
 *   version 1 (1) | id (8) | limits | MAC (32)
 *   a limit:        kind (1) | length (2) | bytes
 */
#ifndef NONOS_TOKEN_H
#define NONOS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/commands.h>

enum {
	TOKEN_ID_LEN = 8,
	TOKEN_KEY_LEN = 32,
	TOKEN_LIMITS_CAP = 2048,	/* bytes of all limits */
	TOKEN_TEXT_CAP = 2816,
	TOKEN_GLOBS_MAX = 512,
};

enum token_limit {
	TOKEN_METHODS = 1,	/* globs joined by blanks */
	TOKEN_EXPIRES = 2,	/* seconds since 1970, 8 bytes */
	TOKEN_RATE = 3,		/* calls a minute, 4 bytes */
	TOKEN_ARGUMENT = 4,	/* name=value: a parameter that each call must have */
};

struct token {
	uint8_t id[TOKEN_ID_LEN];
	uint8_t limits[TOKEN_LIMITS_CAP];	/* as they are sent */
	size_t limits_len;
	uint8_t mac[32];
};

/* A token without limits: the daemon's, before the first is added. */
void token_new(struct token *ret, const uint8_t id[TOKEN_ID_LEN], const uint8_t key[TOKEN_KEY_LEN]);

/*
 * Add the limits that the parameters of "token.create" and "token.restrict" name:
 * method, valid_for, rate, argument. On failure `why` says what is wrong with them and the
 * token is as it was.
 */
int token_restrict(struct token *t, const json_t *params, int64_t now, char why[COMMAND_WHY_CAP]);

/* Hostile text. ERR_MALFORMED; ERR_UNSUPPORTED: a limit that this version does not know. */
int token_parse(struct token *ret, const char *text, size_t len);
void token_text(char out[TOKEN_TEXT_CAP], const struct token *t);

/* In constant time. */
bool token_is_genuine(const struct token *t, const uint8_t key[TOKEN_KEY_LEN]);

/*
 * Whether the limits let this call through; parameters are as they came. Tokens
 * never make, list or revoke tokens. ERR_EXPIRED or ERR_PERMISSION with `why`.
 */
int token_permits(const struct token *t, const struct command *c, const json_t *params, int64_t now,
		  char why[COMMAND_WHY_CAP]);

int64_t token_expires(const struct token *t);	/* 0: never */
uint32_t token_rate(const struct token *t);	/* calls a minute; 0: no limit */

/* The limits as a list of {"methods": ...}, {"expires": ...}, {"rate": ...}, {"argument": ...}. */
json_t *token_limits_json(const struct token *t);

/* -- the daemon's list --------------------------------------------------------- */

/*
 * The key and the list of tokens that are good, in two files of the data directory. A token
 * that is not in the list is not accepted, so a lost list revokes all.
 */
struct token_store;

enum { TOKENS_MAX = 256, TOKEN_NAME_MAX = 64 };

/* Nothing is read or made before it is needed. */
struct token_store *token_store_new(const char *data_dir);
void token_store_free(struct token_store *s);

/*
 * Make a token from the parameters of "token.create". With `dry_run` only check them.
 * On failure `why` is a sentence.
 */
int token_store_create(struct token_store *s, struct token *ret, const json_t *params, bool dry_run, int64_t now,
		       char why[COMMAND_WHY_CAP]);

/* ERR_NOT_FOUND: no such token, or it is revoked. */
int token_store_revoke(struct token_store *s, const uint8_t id[TOKEN_ID_LEN], bool dry_run, int64_t now,
		       char why[COMMAND_WHY_CAP]);

/* A list of objects; NULL with `why` when the file is not good. */
json_t *token_store_list(struct token_store *s, char why[COMMAND_WHY_CAP]);

/* 0 when the daemon made it, and it is neither revoked nor expired. */
int token_store_check(struct token_store *s, const struct token *t, int64_t now);

/* The same for a token that was checked before. */
bool token_store_knows(const struct token_store *s, const struct token *t, int64_t now);

/* Count a call. ERR_LIMIT when the token's rate is used up. */
int token_store_count(struct token_store *s, const struct token *t, uint64_t now_ms, int64_t now);

#endif
