/*
 * What keeper and worker, or two keepers, say to each other: frames and their contents. Pure:
 * bytes in, values out. A frame is a length (4 bytes, of the payload), a type
 * (2 bytes) and the payload; messages.def says which types there are, who
 * sends them and how long they may be.
 */
#ifndef DAEMON_MESSAGE_H
#define DAEMON_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nonos/bytes.h>
#include <nonos/relay.h>
#include <nonos/relay_view.h>

#include "sandbox.h"

enum message_type {
#define MESSAGE(name, number, direction, min, max, fds, flags) MSG_##name = number,
#include <nonos/messages.def>
#undef MESSAGE
};

enum message_direction { MSG_DOWN, MSG_UP, MSG_GIVE, MSG_TAKE };

enum { MSG_SECRET = 1 };

enum { FRAME_HEADER_LEN = 6, FRAME_PAYLOAD_MAX = 17492, FRAME_MAX = FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX };

struct message_row {
	const char *name;
	uint16_t type;
	enum message_direction direction;
	uint32_t min, max;
	unsigned fds;
	unsigned flags;
};

/* The row of a type, or NULL. */
const struct message_row *message_find(uint16_t type);

struct frame {
	const struct message_row *row;
	struct rd payload;		/* borrowed */
};

/*
 * Take one whole frame of `len` bytes that came from `direction` with `n_fds` descriptors.
 * ERR_MALFORMED unless the table allows exactly that.
 */
int frame_parse(struct frame *ret, const uint8_t *buf, size_t len, enum message_direction direction,
		unsigned n_fds);

/* Write the header before `payload_len` bytes. */
void frame_header(uint8_t out[FRAME_HEADER_LEN], const struct message_row *row, uint32_t payload_len);

/* -- contents: each writer has a reader that returns ERR_MALFORMED ---------- */

struct message_log {
	uint8_t level, target;
	bool redact;
};

void message_log_write(struct wr *w, const struct message_log *m);
int message_log_read(struct message_log *ret, struct rd *r);

enum { CONFIG_POLICY_MAX = 16384, CONFIG_PATH_MAX = 1000 };

/* Room for the texts of a configuration that was read. */
struct message_config_text {
	char exit_policy[CONFIG_POLICY_MAX + 1];
	char resolv_conf[CONFIG_PATH_MAX + 1];
};

void message_config_write(struct wr *w, const struct relay_config *c);
int message_config_read(struct relay_config *ret, struct message_config_text *text, struct rd *r);

void message_link_keys_write(struct wr *w, const struct link_keys *k);
int message_link_keys_read(struct link_keys *ret, struct rd *r);

void message_onion_keys_write(struct wr *w, const struct onion_keys *k);
int message_onion_keys_read(struct onion_keys *ret, struct rd *r);

void message_params_write(struct wr *w, const struct net_params *p);
int message_params_read(struct net_params *ret, struct rd *r);

void message_counters_write(struct wr *w, const struct relay_counters *c);
int message_counters_read(struct relay_counters *ret, struct rd *r);

struct message_seen {
	struct addr ours;
	uint8_t peer_rsa_id[20];
};

void message_seen_write(struct wr *w, const struct message_seen *m);
int message_seen_read(struct message_seen *ret, struct rd *r);

struct message_skew {
	int64_t skew_s;
	uint8_t peer_rsa_id[20];
};

void message_skew_write(struct wr *w, const struct message_skew *m);
int message_skew_read(struct message_skew *ret, struct rd *r);

int message_drain_read(enum relay_drain *ret, struct rd *r);

void message_confined_write(struct wr *w, const struct sandbox_state *m);
int message_confined_read(struct sandbox_state *ret, struct rd *r);

/* The operator looks (nonos/relay_view.h). An answer carries the number of its question. */
enum message_ask_kind { ASK_LINKS = 1, ASK_CIRCUITS, ASK_DNS };

struct message_ask {
	uint32_t id;
	uint8_t kind;			/* enum message_ask_kind */
	uint32_t from;			/* ASK_LINKS: the page */
};

void message_ask_write(struct wr *w, const struct message_ask *m);
int message_ask_read(struct message_ask *ret, struct rd *r);

void message_links_write(struct wr *w, uint32_t id, const struct link_page *m);
int message_links_read(uint32_t *ret_id, struct link_page *ret, struct rd *r);

void message_circuits_write(struct wr *w, uint32_t id, const struct circuits_view *m);
int message_circuits_read(uint32_t *ret_id, struct circuits_view *ret, struct rd *r);

void message_dns_write(struct wr *w, uint32_t id, const struct dns_view *m);
int message_dns_read(uint32_t *ret_id, struct dns_view *ret, struct rd *r);

/* -- from keeper to keeper: readers pass over what a newer version adds --------- */

enum { HAND_OVER_VERSION = 1, HAND_TEXT_MAX = 1000 };

/* TAKE_ASK: with HAND_ASK_ONLY the answer is a GIVE_STATE, and nothing is given. */
enum { HAND_ASK_ONLY = 1 };

struct message_hand_ask {
	uint32_t version;
	uint8_t flags;
};

void message_hand_ask_write(struct wr *w, const struct message_hand_ask *m);
int message_hand_ask_read(struct message_hand_ask *ret, struct rd *r);

/* GIVE_STATE: what the keeper that goes is, and what it has found out. */
struct message_state {
	uint32_t version;
	uint64_t program_dev, program_ino;	/* the file it runs */
	uint64_t started_ms;			/* monotonic: for how long the network has known it running */
	uint32_t watchdog_ms;			/* as notify_watchdog_ms() */
	bool reached;
	bool found_out;				/* v4 is what authorities told */
	struct addr v4, v6;
	char notify[HAND_TEXT_MAX + 1];		/* service manager's socket, or "" */
	char control[HAND_TEXT_MAX + 1];	/* path of the control socket */
	char release[HAND_TEXT_MAX + 1];	/* "0.1.0" */
};

void message_state_write(struct wr *w, const struct message_state *m);
int message_state_read(struct message_state *ret, struct rd *r);

/* GIVE_SOCKET: what the descriptor is. One that is not known is closed. */
enum hand_socket { HAND_LOCK = 1, HAND_OR = 2, HAND_CONTROL = 3 };

/* GIVE_REFUSED, GIVE_COUNTERS: a text of at most `cap` - 1 characters; a longer one is cut. */
void message_text_write(struct wr *w, const char *text);
int message_text_read(char *out, size_t cap, struct rd *r);

#endif
