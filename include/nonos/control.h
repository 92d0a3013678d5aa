/*
 * The control socket: JSON-RPC 2.0, one object (or a batch) a line, over a
 * Unix stream socket. commands.def names the methods. The server end lives in
 * the keeper, the client end in nonosctl.
 */
#ifndef NONOS_CONTROL_H
#define NONOS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include <nonos/commands.h>

struct event_base;
struct ctl_server;
struct ctl_pending;
struct ctl_session;
struct token;
struct token_store;

enum {
	CTL_LINE_MAX = 65536,		/* bytes of a request */
	CTL_REPLY_MAX = 4 << 20,	/* bytes of a reply that a client takes */
	CTL_DEPTH_MAX = 8,		/* arrays and objects inside each other */
	CTL_BATCH_MAX = 32,
	CTL_CLIENTS_MAX = 2048,
	CTL_CLIENTS_OF_USER = 1024,	/* of one user who is neither root nor the daemon's */
	CTL_CLIENTS_RESERVED = 64,	/* for those two */
	CTL_PENDING_MAX = 16,		/* unanswered requests of one client */
	CTL_PENDING_ALL = 256,		/* and of all */
	CTL_TOPICS_CAP = 1024,		/* the topics of a subscription, joined by blanks */
	CTL_GLOB_MAX = 64,
};

/* JSON-RPC's own error codes, and ours. */
enum ctl_code {
	CTL_PARSE_ERROR = -32700,
	CTL_INVALID_REQUEST = -32600,
	CTL_UNKNOWN_METHOD = -32601,
	CTL_INVALID_PARAMS = -32602,
	CTL_INTERNAL = -32603,
	CTL_FORBIDDEN = -32001,
	CTL_NOT_NOW = -32002,
	CTL_FAILED = -32003,
};

struct ctl_error {
	int code;			/* enum ctl_code */
	char message[512];		/* what is wrong and what to do about it */
};

/*
 * One request that is being carried out. run() gets it with parameters that
 * command_check() took, and either sets `result` and returns 0, or fails with
 * ctl_fail(), or takes it over with ctl_defer() and answers later.
 */
struct ctl_call {
	void *arg;			/* of struct ctl_commands */
	const struct command *command;
	const json_t *params;		/* an object or NULL; read with param_text() and its like */
	bool dry_run;			/* say what would be done */
	json_t *result;			/* owned by the call once set */
	struct ctl_error err;
	struct ctl_session *session;	/* whose request; NULL outside a server */
	json_t *id;			/* of the request; NULL: no answer is wanted */
	bool in_batch;
	struct ctl_pending *pending;	/* set by ctl_defer() */
};

typedef int (*ctl_run_fn)(struct ctl_call *call);

struct ctl_commands {
	const struct command *v;
	const ctl_run_fn *run;		/* of each row; NULL: not a method */
	size_t n;
	void *arg;			/* for run() */
};

/* Set the error of `call`; returns `r`, for "return ctl_fail(...)". */
int ctl_fail(struct ctl_call *call, int r, enum ctl_code code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* -- answers that take time ----------------------------------------------------- */

/*
 * Answer `call` later: run() returns 0 after this and the caller keeps *ret until
 * it has called ctl_pending_finish() or ctl_pending_fail() once. When the client goes
 * away first, `gone`(arg) is called and *ret is no more. ERR_STATE with the error set, when the
 * request is part of a batch.
 */
int ctl_defer(struct ctl_pending **ret, struct ctl_call *call, void (*gone)(void *arg), void *arg);
void ctl_pending_finish(struct ctl_pending *p, json_t *result);
void ctl_pending_fail(struct ctl_pending *p, enum ctl_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Tell the client how far it is: a notification "progress". `total` 0: not known. */
void ctl_pending_progress(struct ctl_pending *p, uint64_t done, uint64_t total, const char *what);

/* One client of a server, or a test's stand-in for one. */
struct ctl_session {
	bool may_change;		/* may use methods with CMD_CHANGES */
	struct token *token;		/* its rights are these instead; NULL: none was shown */
	struct token_store *tokens;	/* that it was checked against */
	struct ctl_pending *pending;	/* answers owed */
	unsigned n_pending;
	unsigned *n_pending_all;	/* of all sessions; NULL: not counted */
	char topics[CTL_TOPICS_CAP];	/* what it has subscribed to; "": nothing */
	uint64_t n_lost;		/* events that it was too slow for, not told yet */
	/* Write one line that ends with a newline. */
	void (*write)(struct ctl_session *s, const char *line, size_t len);
	/* Whether an event can be written; NULL: always. */
	bool (*has_room)(const struct ctl_session *s);
	/* An answer that was owed is no more; may be NULL. */
	void (*settled)(struct ctl_session *s);
};

/*
 * From here on the session has exactly the rights of the token that `text` is. On failure sets the
 * error of the call and leaves the session as it was.
 */
int ctl_session_auth(struct ctl_call *call, struct token_store *tokens, const char *text);

/* The session ends: nothing more is owed. */
void ctl_session_end(struct ctl_session *s);

/* -- events ---------------------------------------------------------------------- */

/*
 * Subscribe to the topics that a list of globs names, instead of what it had.
 * "worker" stands for "worker.*", too. NULL is all, an empty list none. ERR_MALFORMED, ERR_TOO_LONG.
 */
int ctl_session_subscribe(struct ctl_session *s, const json_t *topics);
bool ctl_session_hears(const struct ctl_session *s, const char *topic);

/* Write an event, or count it as lost when the client is too slow. */
void ctl_session_event(struct ctl_session *s, const char *line, size_t len);

/* The notification that carries an event, malloc()ed and with a newline; takes over `data`. */
char *ctl_event_line(const char *topic, json_t *data);

/* True when text is letters, digits, "_-.*", at most CTL_GLOB_MAX; "*" stands for any text. */
bool ctl_glob_is_good(const char *glob);

/* Whether one of the globs, `len` bytes joined by blanks, matches all of `text`. */
bool ctl_globs_match(const char *globs, size_t len, const char *text);

/*
 * Answer one line of `len` bytes, hostile or not. Returns malloc()ed text that ends with
 * a newline, or NULL when nothing is to be said now (notifications, answers that take time).
 */
char *ctl_answer(const struct ctl_commands *commands, struct ctl_session *session, const char *line, size_t len);

/*
 * Listen on `path`. A socket file that nobody answers on is replaced; one that
 * somebody does is ERR_BUSY. Members of `group` may connect, as far as `mode` lets them; with -1 it is the
 * daemon's own, and they may change things, too. `commands` is borrowed. On failure `err` gets a sentence.
 */
int ctl_server_new(struct ctl_server **ret, struct event_base *base, const char *path, mode_t mode, gid_t group,
		   const struct ctl_commands *commands, char *err, size_t err_cap);

/* Close the clients, after what is still in their buffers could be written, and remove the file. */
void ctl_server_free(struct ctl_server *s);

/* Whether anybody has subscribed to the topic: ask before making what is costly. `s` may be NULL. */
bool ctl_has_listener(const struct ctl_server *s, const char *topic);

/*
 * Tell those who have subscribed; costs nothing when there are none. `topic` is a row of
 * events.def. Takes over `data`, an object. Nothing that joins two hops or names a
 * client's address may be in it. `s` may be NULL.
 */
void ctl_publish(struct ctl_server *s, const char *topic, json_t *data);

/*
 * For a daemon that takes another's place: the listening socket, borrowed; serve on one that another
 * made at `path`, taking it over; stop serving, leaving the file to whom the socket was given.
 */
int ctl_server_fd(const struct ctl_server *s);
void ctl_server_adopt(struct ctl_server **ret, struct event_base *base, int fd, const char *path, mode_t mode,
		      gid_t group, const struct ctl_commands *commands);
void ctl_server_release(struct ctl_server *s);

/* -- the client ------------------------------------------------------------------ */

/* One connection, for one call after the other. */
struct ctl_client;

/* ERR_NETWORK: nobody answers at `path`; `err` gets a sentence. */
int ctl_client_open(struct ctl_client **ret, const char *path, char *err, size_t err_cap);
void ctl_client_free(struct ctl_client *c);

/* What came before the reply, as "progress". */
typedef void (*ctl_note_fn)(void *arg, const char *method, const json_t *params);

/*
 * Call `method` (params may be NULL; borrowed) and wait, at most `timeout_ms` after the last
 * sign of life. *ret is the reply: an object with "result" or "error". `note` may be NULL.
 * ERR_TIMEOUT; ERR_CLOSED; ERR_PROTOCOL: what came is not a reply. ctl_client_error() is the sentence.
 */
int ctl_client_call(struct ctl_client *c, json_t **ret, const char *method, json_t *params, unsigned timeout_ms,
		    ctl_note_fn note, void *arg);

/*
 * Wait for the next notification, until `deadline_us` of clock_precise_us() (0: for ever) or until
 * `stop_fd` (-1: none) can be read. ERR_TIMEOUT; ERR_AGAIN: `stop_fd`; else as ctl_client_call().
 */
int ctl_client_next(struct ctl_client *c, json_t **ret, uint64_t deadline_us, int stop_fd);

const char *ctl_client_error(const struct ctl_client *c);

/* All in one: connect, call, close. `err` gets a sentence. */
int ctl_call(json_t **ret, const char *path, const char *method, json_t *params, unsigned timeout_ms,
	     char *err, size_t err_cap);

#endif
