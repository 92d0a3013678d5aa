/*
 * The control socket: JSON-RPC 2.0, one object (or a batch) a line, over a
 * Unix stream socket. commands.def names the methods. The server end lives in
 * the keeper, the client end in nonosctl.
 */
#ifndef NONOS_CONTROL_H
#define NONOS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

struct event_base;
struct ctl_server;

enum {
	CTL_LINE_MAX = 65536,		/* bytes of a request */
	CTL_REPLY_MAX = 4 << 20,	/* bytes of a reply that a client takes */
	CTL_DEPTH_MAX = 8,		/* arrays and objects inside each other */
	CTL_BATCH_MAX = 32,
	CTL_CLIENTS_MAX = 16,
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

enum { CTL_CHANGES = 1 };

struct ctl_command {
	const char *method;
	unsigned flags;
	/*
	 * Answer: 0 and a new *ret_result, or a negative enum err and *err.
	 * `dry_run`: say what would be done.
	 */
	int (*run)(void *arg, bool dry_run, json_t **ret_result, struct ctl_error *err);
};

struct ctl_commands {
	const struct ctl_command *v;
	size_t n;
	void *arg;			/* for run() */
};

/*
 * Answer one line of `len` bytes, hostile or not. Returns malloc()ed text that ends with
 * a newline, or NULL when nothing is to be said (notifications). `may_change`:
 * the caller may use methods with CTL_CHANGES.
 */
char *ctl_answer(const struct ctl_commands *commands, bool may_change, const char *line, size_t len);

/*
 * Listen on `path`. A socket file that nobody answers on is replaced; one that
 * somebody does is ERR_BUSY. `commands` is borrowed. On failure `err` gets a sentence.
 */
int ctl_server_new(struct ctl_server **ret, struct event_base *base, const char *path, mode_t mode,
		   const struct ctl_commands *commands, char *err, size_t err_cap);

/* Close the clients, after what is still in their buffers could be written, and remove the file. */
void ctl_server_free(struct ctl_server *s);

/*
 * Call `method` (params may be NULL; borrowed) and wait. *ret is the reply: an object with
 * "result" or "error". ERR_NETWORK: nobody answers at `path`; ERR_TIMEOUT;
 * ERR_PROTOCOL: what came is not a reply. `err` gets a sentence.
 */
int ctl_call(json_t **ret, const char *path, const char *method, json_t *params, unsigned timeout_ms,
	     char *err, size_t err_cap);

#endif
