/*
 * One stream of a circuit: a TCP connection at an exit, a directory request,
 * or a name look-up under way. Made by its edge when BEGIN, BEGIN_DIR or
 * RESOLVE comes; owned by the edge; ends with END from either side. Any call
 * that sends a cell may close the circuit, and any call named stream_end or
 * stream_free takes the stream away: its caller touches it no more.
 */
#ifndef RELAY_STREAM_H
#define RELAY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "flow.h"
#include "relay_msg.h"
#include "stream_table.h"

struct circuit;
struct dir_reply;
struct edge;
struct evbuffer;
struct exit_target;
struct relay;
struct resolve_query;
struct stream;

enum stream_kind { STREAM_EXIT, STREAM_DIR, STREAM_RESOLVE };

enum stream_state {
	STREAM_LOOKUP,		/* its name is being resolved */
	STREAM_CONNECTING,
	STREAM_OPEN,
	STREAM_LINGERING,	/* closed to the client; what it sent goes out to the socket */
};

enum {
	STREAM_CONNECT_S = 20,	/* for one address */
	STREAM_LINGER_S = 60,	/* without progress */
	STREAM_REQUEST_S = 60,	/* to send a directory request */
	/* Cells waiting for a socket whose client was told XOFF: no honest window is larger. */
	STREAM_BUFFER_CELLS = 16000,
};

struct edge {
	struct relay *relay;		/* borrowed */
	struct circuit *circuit;	/* owns this */
	struct flow flow;
	struct stream_table table;
	struct stream *streams;		/* all, lingering ones too */
	struct stream *wait_first, *wait_last;	/* have or may have data, and wait for room in the circuit */
	size_t n_streams;
	size_t bytes;			/* held by the streams */
	bool had_exit;			/* carried a stream to the outside */
};

struct stream {
	struct edge *edge;
	struct stream *next, *prev;
	struct stream *wait_next, *wait_prev;
	uint16_t id;
	uint8_t kind;			/* enum stream_kind */
	uint8_t state;			/* enum stream_state */
	bool waiting;			/* in the edge's list */
	bool read_on, write_on;		/* events are added */
	bool xoff;			/* the client does not want more now */
	uint16_t package_window;	/* fixed windows: DATA cells we may send */
	uint16_t deliver_window;	/* and that may come */
	size_t held;			/* bytes counted in edge->bytes */
	struct drain drain;		/* with congestion control */

	/* STREAM_EXIT */
	int fd;
	struct event read_event, write_event;	/* a directory stream's timer is write_event */
	struct evbuffer *out;		/* from the client, for the socket */
	struct exit_target *target;	/* until connected */
	struct resolve_query *query;	/* also STREAM_RESOLVE */

	/* STREAM_DIR */
	uint8_t *request;
	size_t request_len;
	struct dir_reply *reply;
};

/* A new stream, in the edge's table and list. */
struct stream *stream_new(struct edge *e, enum stream_kind kind, uint16_t id);

/* Take the stream out of everything and free it; nothing is sent. */
void stream_free(struct stream *s);

/*
 * End the stream from our side: END with this reason (and `body`, when given, in
 * its place), then the stream is gone, or lingers while the socket takes what is left.
 */
void stream_end(struct stream *s, enum end_reason reason);
void stream_end_body(struct stream *s, const uint8_t *body, size_t len);

/* The client's END came. */
void stream_ended(struct stream *s);

/* A DATA, XON, XOFF or SENDME came for this stream. Negative: a violation. */
int stream_data(struct stream *s, const struct relay_msg *m);
int stream_sendme(struct stream *s);
int stream_xoff(struct stream *s, const struct relay_msg *m);
int stream_xon(struct stream *s, const struct relay_msg *m);

/* Read on or pause, by what windows, XOFF and the circuit's queue say. */
void stream_update(struct stream *s);

/* Take one burst from the stream's source and send it as DATA. */
void stream_pull(struct stream *s);

/*
 * Pack `len` bytes, no more than flow_burst_bytes() allowed, into DATA cells. Negative when
 * the circuit has closed: touch nothing then.
 */
int stream_package(struct stream *s, const uint8_t *data, size_t len);

/* Bytes waiting for the socket changed, or the request, or the reply. */
void stream_account(struct stream *s);

/* Window and XOFF rules after `len` bytes came, and after the socket took `len`. Negative: a violation or closed. */
int stream_received(struct stream *s);
int stream_flushed(struct stream *s, size_t len);
size_t stream_buffered(const struct stream *s);

/* Bytes for one burst; one loop to a process, one buffer. */
enum { STREAM_SCRATCH = FLOW_BURST_MAX * RELAY_DATA_MAX };
extern uint8_t stream_scratch[STREAM_SCRATCH];

/* -- stream_exit.c */
int exit_begin(struct edge *e, const struct relay_msg *m);
int exit_data(struct stream *s, const struct relay_msg *m);
void exit_pull(struct stream *s);
void exit_linger(struct stream *s);
void exit_clear(struct stream *s);

/* -- stream_dir.c */
int dir_begin(struct edge *e, const struct relay_msg *m);
int dir_data(struct stream *s, const struct relay_msg *m);
void dir_pull(struct stream *s);
void dir_clear(struct stream *s);

/* -- stream_resolve.c */
int resolve_begin(struct edge *e, const struct relay_msg *m);

/* -- edge.c */
bool edge_can_send(const struct edge *e);
bool edge_is_full(struct edge *e);	/* no more streams; counts the refusal */

/* Refuse a stream that does not exist yet: END with this reason. */
int edge_refuse(struct edge *e, uint16_t id, enum end_reason reason);

#endif
