/* Objects that are handed to the writer of the journal. */
#include "config.h"

#include "follow_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nonos/clock.h>
#include <nonos/control.h>
#include <nonos/err.h>
#include <nonos/mem.h>

enum { CALLS_MAX = 32, REPLY_MAX = 1 << 20 };

/* A call to the writer under way. */
struct forward {
	struct follow *follow;
	struct forward *next, **prev;
	struct http_call *call;
	follow_done_fn *done;
	void *arg;
};

static void forward_free(struct forward *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->follow->n_forwards--;
	http_cancel(w->call);
	free(w);
}

/* It refused to listen before it looked at what is asked. */
static json_t *not_heard(void)
{
	return json_pack("{s:{s:i, s:s}}", "error", "code", CTL_NOT_NOW, "message",
			 "the writer has been asked too often from here and has not looked at it; try again in a minute");
}

/* Ask at the next tick. */
static void follow_hurry(struct follow *f)
{
	if (!f->failures)
		f->next_ms = 0;
}

static void on_forwarded(void *arg, const struct http_reply *reply)
{
	struct forward *w = arg;
	json_t *answer = NULL;
	char error[256] = "";

	clock_update();
	w->call = NULL;
	if (reply->err == 0 && reply->status == 200)
		answer = json_loadb((const char *)reply->body, reply->body_len, JSON_REJECT_DUPLICATES, NULL);
	else if (reply->err == 0 && reply->status == 429)
		answer = not_heard();
	if (reply->err)
		snprintf(error, sizeof(error), "the writer was not reached: %s", reply->error);
	else if (!json_object_get(answer, "result") && !json_is_string(json_object_get(json_object_get(answer, "error"), "message")))
		snprintf(error, sizeof(error), "the writer's answer makes no sense (%d)", reply->status);
	follow_hurry(w->follow);
	w->done(w->arg, error[0] ? NULL : answer, error);
	json_decref(answer);
	forward_free(w);
}

int follow_call(struct follow *f, const char *method, json_t *params, follow_done_fn *done, void *arg)
{
	json_t *request = json_pack("{s:s, s:i, s:s, s:O}", "jsonrpc", "2.0", "id", 1, "method", method, "params", params);
	char *text = json_dumps(request, JSON_COMPACT), url[FOLLOW_URL_CAP];
	struct http_request req = { .url = url, .content_type = "application/json", .max_bytes = REPLY_MAX, .body = text,
				    .body_len = text ? strlen(text) : 0, .total_timeout_ms = FOLLOW_TIMEOUT_MS };
	struct forward *w;
	int r = ERR_LIMIT;

	json_decref(request);
	snprintf(url, sizeof(url), "%s/rpc", f->url);
	if (text && f->n_forwards < CALLS_MAX) {
		w = mem_new(sizeof(*w));
		*w = (struct forward){ f, f->forwards, &f->forwards, NULL, done, arg };
		if (w->next)
			w->next->prev = &w->next;
		f->forwards = w;
		f->n_forwards++;
		r = http_start(f->http, &w->call, &req, on_forwarded, w);
		if (r < 0) {
			w->call = NULL;
			forward_free(w);
		}
	}
	free(text);
	return r;
}

void follow_forget(struct follow *f, void *arg)
{
	for (struct forward *w = f->forwards, *next; w; w = next) {
		next = w->next;
		if (w->arg == arg)
			forward_free(w);
	}
}

void follow_end_calls(struct follow *f)
{
	while (f->forwards)
		forward_free(f->forwards);
}
