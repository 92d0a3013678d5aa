/*
 * The in-protocol handshake of a link (tor-spec 4), as responder and as
 * initiator. Created when TLS opens, owned by the link until it is open.
 *
 *   responder:  <- VERSIONS   -> VERSIONS CERTS AUTH_CHALLENGE NETINFO
 *               <- [CERTS AUTHENTICATE] NETINFO
 *   initiator:  -> VERSIONS   <- VERSIONS CERTS AUTH_CHALLENGE
 *               -> CERTS AUTHENTICATE NETINFO   <- NETINFO
 */
#include "config.h"

#include "link_handshake.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/bytes.h>
#include <nonos/clock.h>
#include <nonos/crypto.h>
#include <nonos/err.h>
#include <nonos/link_auth.h>
#include <nonos/log.h>
#include <nonos/mem.h>
#include <nonos/secret.h>

#include "link.h"
#include "link_io.h"
#include "relay_priv.h"

enum {
	VERSION_MIN = 4,
	VERSION_MAX = 5,
	SKEW_NOTICE_S = 3600,
	HS_BUF_LEN = 2 * CELL_VAR_HEAD_LEN + LINK_CERTS_CAP + 1024,
	NETINFO_TYPE_V4 = 4,
	NETINFO_TYPE_V6 = 6,
};

struct link_hs {
	struct sha256_run in, out;		/* every byte each way */
	uint8_t responder_log[SHA256_LEN];	/* fixed once AUTH_CHALLENGE is through */
	bool got_certs, got_challenge, got_authenticate;
	struct peer_identity certs;		/* what the peer's CERTS proves */
};

void link_hs_free(struct link_hs *hs)
{
	free(hs);
}

/* -- cells on their way out ---------------------------------------------- */

static void put_var_cell(struct wr *w, struct link *l, uint8_t cmd, const void *body, size_t len)
{
	l->relay->counters.commands_out[count_command(cmd)]++;
	wr_u32(w, 0);
	wr_u8(w, cmd);
	wr_u16(w, (uint16_t)len);
	wr_bytes(w, body, len);
}

/* The first cell each way has a 2-byte circuit id (tor-spec 4.1). */
static void put_versions(struct wr *w, struct link *l)
{
	l->relay->counters.commands_out[count_command(CELL_VERSIONS)]++;
	wr_u16(w, 0);
	wr_u8(w, CELL_VERSIONS);
	wr_u16(w, 2 * (VERSION_MAX - VERSION_MIN + 1));
	for (uint16_t v = VERSION_MIN; v <= VERSION_MAX; v++)
		wr_u16(w, v);
}

static void put_netinfo(struct wr *w, struct link *l)
{
	const struct relay_config *config = &l->relay->config;
	struct netinfo n = { .time = (uint32_t)clock_wall(), .other = l->peer };
	uint8_t body[CELL_BODY_LEN] = { 0 };

	if (config->advertised_v4.family)
		n.own[n.n_own++] = config->advertised_v4;
	if (config->advertised_v6.family)
		n.own[n.n_own++] = config->advertised_v6;
	netinfo_build(body, sizeof(body), &n);
	l->relay->counters.commands_out[count_command(CELL_NETINFO)]++;
	wr_u32(w, 0);
	wr_u8(w, CELL_NETINFO);
	wr_bytes(w, body, sizeof(body));
}

/* Send and keep in the transcript. */
static void send_recorded(struct link *l, const struct wr *w)
{
	sha256_run_add(&l->hs->out, w->start, wr_len(w));
	link_io_send_raw(l, w->start, wr_len(w));
}

void link_hs_start(struct link *l)
{
	uint8_t buf[32];
	struct wr w = wr_init(buf, sizeof(buf));

	link_set_state(l, LINK_TLS, LINK_VERSIONS, "TLS is open");
	l->hs = mem_new(sizeof(*l->hs));
	sha256_run_init(&l->hs->in);
	sha256_run_init(&l->hs->out);
	if (!l->initiator)
		return;
	put_versions(&w, l);
	send_recorded(l, &w);
}

static void respond(struct link *l)
{
	const struct link_keys *keys = &l->creds->keys;
	uint8_t buf[HS_BUF_LEN], challenge[64];
	struct wr w = wr_init(buf, sizeof(buf));

	put_versions(&w, l);
	put_var_cell(&w, l, CELL_CERTS, keys->responder_certs, keys->responder_certs_len);
	put_var_cell(&w, l, CELL_AUTH_CHALLENGE, challenge, auth_challenge_build(challenge));
	send_recorded(l, &w);
	sha256_run_peek(&l->hs->out, l->hs->responder_log);
	w = wr_init(buf, sizeof(buf));
	put_netinfo(&w, l);
	link_io_send_raw(l, buf, wr_len(&w));
}

/* -- VERSIONS ------------------------------------------------------------ */

size_t link_hs_open_versions(struct cell *ret, uint8_t *buf, size_t len)
{
	size_t body_len;

	if (len < CELL_VERSIONS_HEAD_LEN)
		return 0;
	body_len = (size_t)buf[3] << 8 | buf[4];
	/* What is not VERSIONS is not read further: hs_versions() refuses it by its command. */
	if (buf[2] != CELL_VERSIONS || body_len > LINK_VAR_HANDSHAKE_MAX)
		body_len = 0;
	if (len < CELL_VERSIONS_HEAD_LEN + body_len)
		return 0;
	*ret = (struct cell){
		.circ_id = (uint32_t)buf[0] << 8 | buf[1],
		.cmd = buf[2],
		.body_len = (uint16_t)body_len,
		.body = buf + CELL_VERSIONS_HEAD_LEN,
	};
	return CELL_VERSIONS_HEAD_LEN + body_len;
}

void link_hs_record_in(struct link *l, const struct cell *cell, const uint8_t *bytes, size_t len)
{
	/* AUTHENTICATE signs what came before it; nothing after it counts. */
	if (cell->cmd != CELL_AUTHENTICATE && cell->cmd != CELL_NETINFO)
		sha256_run_add(&l->hs->in, bytes, len);
}

static int hs_versions(struct link *l, const struct cell *cell)
{
	struct rd r = rd_init(cell->body, cell->body_len);
	uint16_t best = 0;

	if (cell->cmd != CELL_VERSIONS || cell->circ_id != 0 || cell->body_len % 2)
		return ERR_PROTOCOL;
	while (rd_left(&r)) {
		uint16_t v = rd_u16(&r);

		if (v >= VERSION_MIN && v <= VERSION_MAX && v > best)
			best = v;
	}
	if (!best)
		return ERR_UNSUPPORTED;
	l->version = best;
	link_set_state(l, LINK_VERSIONS, LINK_AUTH, "versions agreed");
	if (!l->initiator)
		respond(l);
	return 0;
}

/* -- CERTS and AUTHENTICATE ---------------------------------------------- */

static int hs_certs_from_responder(struct link *l, const struct cell *cell)
{
	const struct peer_identity *wanted = &l->peer_id, *got = &l->hs->certs;
	uint8_t tls_cert[SHA256_LEN];
	int r;

	r = link_io_responder_cert(l, tls_cert);
	if (r < 0)
		return r;
	r = certs_check_responder(&l->hs->certs, cell->body, cell->body_len, tls_cert, clock_wall());
	if (r < 0) {
		log_limited(LOG_LEVEL_INFO, "A relay's link certificates are not good. error=\"%s\"", err_str(r));
		return r;
	}
	/* An Ed25519 identity nobody asked for is fine, another than the one asked for is not. */
	if (memcmp(got->rsa_id, wanted->rsa_id, sizeof(got->rsa_id)) != 0 ||
	    (!secret_is_zero(wanted->ed_id, 32) && memcmp(got->ed_id, wanted->ed_id, 32) != 0)) {
		log_limited(LOG_LEVEL_INFO, "A relay we connected to has another identity than the one asked for.");
		return ERR_MISMATCH;
	}
	l->peer_id = *got;
	l->authenticated = true;
	return 0;
}

static int hs_certs(struct link *l, const struct cell *cell)
{
	if (l->hs->got_certs)
		return ERR_PROTOCOL;
	l->hs->got_certs = true;
	if (l->initiator)
		return hs_certs_from_responder(l, cell);
	return certs_check_initiator(&l->hs->certs, cell->body, cell->body_len, clock_wall());
}

/* Everything AUTHENTICATE signs (tor-spec 4.4.2); `initiator_log` is borrowed. */
static int fill_context(const struct link *l, struct auth_context *ret, uint8_t tls_cert[32],
			uint8_t tls_secrets[32], const uint8_t *initiator_log)
{
	const struct link_keys *ours = &l->creds->keys;
	const struct peer_identity *theirs = &l->hs->certs;
	int r;

	*ret = (struct auth_context){
		.initiator_rsa_sha256 = l->initiator ? ours->rsa_id_sha256 : theirs->rsa_id_sha256,
		.responder_rsa_sha256 = l->initiator ? theirs->rsa_id_sha256 : ours->rsa_id_sha256,
		.initiator_ed_id = l->initiator ? ours->ed_id : theirs->ed_id,
		.responder_ed_id = l->initiator ? theirs->ed_id : ours->ed_id,
		.responder_log = l->hs->responder_log,
		.initiator_log = initiator_log,
		.tls_cert_sha256 = tls_cert,
		.tls_secrets = tls_secrets,
	};
	r = link_io_responder_cert(l, tls_cert);
	if (r < 0)
		return r;
	/* tor-spec 4.4.2 names the Ed25519 identity here; tor 0.4.9 takes what CID is. */
	return link_io_export(l, tls_secrets, ret->initiator_rsa_sha256);
}

static int hs_auth_challenge(struct link *l, const struct cell *cell)
{
	const struct link_keys *keys = &l->creds->keys;
	uint8_t tls_cert[32], secrets[32], log[SHA256_LEN], body[AUTHENTICATE_BODY_LEN + 16], buf[HS_BUF_LEN];
	struct wr w = wr_init(buf, sizeof(buf));
	struct auth_context a;
	bool type3 = false;
	size_t len;
	int r;

	if (!l->initiator || !l->hs->got_certs || l->hs->got_challenge)
		return ERR_PROTOCOL;
	l->hs->got_challenge = true;
	r = auth_challenge_parse(&type3, cell->body, cell->body_len);
	if (r < 0 || !type3)
		return r;
	sha256_run_peek(&l->hs->in, l->hs->responder_log);
	put_var_cell(&w, l, CELL_CERTS, keys->initiator_certs, keys->initiator_certs_len);
	send_recorded(l, &w);
	sha256_run_peek(&l->hs->out, log);
	r = fill_context(l, &a, tls_cert, secrets, log);
	if (r < 0)
		return r;
	r = authenticate_build(body, sizeof(body), &len, &a, keys->auth_secret, keys->auth_public);
	secret_wipe(secrets, sizeof(secrets));
	if (r < 0)
		return r;
	w = wr_init(buf, sizeof(buf));
	put_var_cell(&w, l, CELL_AUTHENTICATE, body, len);
	link_io_send_raw(l, buf, wr_len(&w));
	return 0;
}

static int hs_authenticate(struct link *l, const struct cell *cell)
{
	uint8_t tls_cert[32], secrets[32], log[SHA256_LEN];
	struct auth_context a;
	int r;

	if (l->initiator || !l->hs->got_certs || l->hs->got_authenticate)
		return ERR_PROTOCOL;
	l->hs->got_authenticate = true;
	sha256_run_peek(&l->hs->in, log);
	r = fill_context(l, &a, tls_cert, secrets, log);
	if (r < 0)
		return r;
	r = authenticate_check(cell->body, cell->body_len, &a, l->hs->certs.auth_public);
	secret_wipe(secrets, sizeof(secrets));
	if (r < 0)
		return r;
	l->peer_id = l->hs->certs;
	l->authenticated = true;
	return 0;
}

/* -- NETINFO ------------------------------------------------------------- */

static int netinfo_read_addr(struct addr *ret, struct rd *r)
{
	uint8_t type = rd_u8(r), len = rd_u8(r);
	const uint8_t *ip = rd_take(r, len);

	*ret = (struct addr){ 0 };
	if (!ip || (type == NETINFO_TYPE_V4 && len != 4) || (type == NETINFO_TYPE_V6 && len != 16))
		return ERR_MALFORMED;
	if (type != NETINFO_TYPE_V4 && type != NETINFO_TYPE_V6)
		return 0;	/* other types are for later versions: ADDR_NONE */
	ret->family = type == NETINFO_TYPE_V4 ? ADDR_V4 : ADDR_V6;
	memcpy(ret->ip, ip, len);
	return 0;
}

int netinfo_parse(struct netinfo *ret, const uint8_t *body, size_t len)
{
	struct rd r = rd_init(body, len);
	struct netinfo n = { .time = rd_u32(&r) };
	uint8_t count;

	if (netinfo_read_addr(&n.other, &r) < 0)
		return ERR_MALFORMED;
	count = rd_u8(&r);
	for (uint8_t i = 0; i < count; i++) {
		struct addr a;

		if (netinfo_read_addr(&a, &r) < 0)
			return ERR_MALFORMED;
		if (a.family && n.n_own < sizeof(n.own) / sizeof(n.own[0]))
			n.own[n.n_own++] = a;
	}
	if (!rd_ok(&r))
		return ERR_MALFORMED;	/* what follows is padding */
	*ret = n;
	return 0;
}

static void netinfo_write_addr(struct wr *w, const struct addr *a)
{
	size_t len = addr_ip_len(a);

	wr_u8(w, a->family == ADDR_V6 ? NETINFO_TYPE_V6 : NETINFO_TYPE_V4);
	wr_u8(w, (uint8_t)(len ? len : 4));
	if (len)
		wr_bytes(w, a->ip, len);
	else
		wr_zero(w, 4);
}

size_t netinfo_build(uint8_t *out, size_t cap, const struct netinfo *n)
{
	struct wr w = wr_init(out, cap);

	wr_u32(&w, n->time);
	netinfo_write_addr(&w, &n->other);
	wr_u8(&w, (uint8_t)n->n_own);
	for (size_t i = 0; i < n->n_own; i++)
		netinfo_write_addr(&w, &n->own[i]);
	return wr_done(&w) < 0 ? 0 : wr_len(&w);
}

static void report_netinfo(const struct link *l, const struct netinfo *n)
{
	const struct relay_hooks *hooks = &l->relay->hooks;
	int64_t skew = (int64_t)n->time - clock_wall();

	if (!l->authenticated)
		return;
	if (n->other.family && hooks->address_seen)
		hooks->address_seen(hooks->arg, &n->other, l->peer_id.rsa_id);
	if (n->time && (skew >= SKEW_NOTICE_S || skew <= -SKEW_NOTICE_S)) {
		log_limited(LOG_LEVEL_NOTICE, "A relay's clock differs from ours: if this comes from several, check the time here. skew_s=%lld",
			    (long long)skew);
		if (hooks->clock_skew)
			hooks->clock_skew(hooks->arg, skew, l->peer_id.rsa_id);
	}
}

static int hs_netinfo(struct link *l, const struct cell *cell)
{
	uint8_t buf[CELL_LEN];
	struct wr w = wr_init(buf, sizeof(buf));
	struct netinfo n;

	if (l->initiator && !l->authenticated)
		return ERR_PROTOCOL;
	if (netinfo_parse(&n, cell->body, cell->body_len) < 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < n.n_own; i++)
		if (addr_ip_eq(&n.own[i], &l->peer))
			l->canonical = true;
	report_netinfo(l, &n);
	if (l->initiator) {
		put_netinfo(&w, l);
		link_io_send_raw(l, buf, wr_len(&w));
	}
	/* Sending closes a link whose connection is lost. */
	if (l->state != LINK_CLOSED)
		link_opened(l);
	return 0;
}

int link_hs_cell(struct link *l, const struct cell *cell)
{
	if (l->state == LINK_VERSIONS)
		return hs_versions(l, cell);
	switch (cell->cmd) {
	case CELL_CERTS:
		return hs_certs(l, cell);
	case CELL_AUTH_CHALLENGE:
		return hs_auth_challenge(l, cell);
	case CELL_AUTHENTICATE:
		return hs_authenticate(l, cell);
	case CELL_NETINFO:
		return hs_netinfo(l, cell);
	case CELL_PADDING:
	case CELL_VPADDING:
	case CELL_AUTHORIZE:
		return 0;
	default:
		return ERR_PROTOCOL;	/* circuits begin after NETINFO; VERSIONS comes once */
	}
}
