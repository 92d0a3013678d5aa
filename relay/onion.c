/* The onion layer of one hop; see onion.h. */
#include "config.h"

#include "onion.h"

#include <string.h>

#include <nonos/crypto.h>
#include <nonos/secret.h>

#include "cell.h"
#include "relay_msg.h"

enum { DIGEST_FIELD_LEN = 4 };

void onion_init(struct onion *o, const struct circuit_keys *keys)
{
	o->forward = aes_ctr_new(keys->kf, sizeof(keys->kf));
	o->backward = aes_ctr_new(keys->kb, sizeof(keys->kb));
	sha1_run_init(&o->forward_digest);
	sha1_run_add(&o->forward_digest, keys->df, sizeof(keys->df));
	sha1_run_init(&o->backward_digest);
	sha1_run_add(&o->backward_digest, keys->db, sizeof(keys->db));
}

void onion_clear(struct onion *o)
{
	aes_ctr_free(o->forward);
	aes_ctr_free(o->backward);
	secret_wipe(o, sizeof(*o));
}

/*
 * Take a cell from the other side into the running digest, with its digest
 * field read as zero. When the field does not match, the cell is for another
 * hop that happens to read as zero here: `d` and `body` are put back as they were.
 * (tor-spec 6.1)
 */
static bool digest_check(struct sha1_run *d, uint8_t *body, uint8_t ret_digest[20])
{
	struct sha1_run before = *d;
	uint8_t field[DIGEST_FIELD_LEN], digest[SHA1_LEN];
	bool ours;

	memcpy(field, body + RELAY_DIGEST_AT, sizeof(field));
	memset(body + RELAY_DIGEST_AT, 0, sizeof(field));
	sha1_run_add(d, body, CELL_BODY_LEN);
	memcpy(body + RELAY_DIGEST_AT, field, sizeof(field));
	sha1_run_peek(d, digest);
	ours = secret_eq(digest, field, sizeof(field));
	if (ours)
		memcpy(ret_digest, digest, sizeof(digest));
	else
		*d = before;
	secret_wipe(&before, sizeof(before));
	return ours;
}

/* Most cells are for another hop: two bytes tell so for all but one in 65536. */
static bool recognized(struct sha1_run *d, uint8_t *body, uint8_t ret_digest[20])
{
	if (body[RELAY_RECOGNIZED_AT] | body[RELAY_RECOGNIZED_AT + 1])
		return false;
	return digest_check(d, body, ret_digest);
}

static void digest_set(struct sha1_run *d, uint8_t *body, uint8_t ret_digest[20])
{
	uint8_t digest[SHA1_LEN];

	memset(body + RELAY_RECOGNIZED_AT, 0, 2);
	memset(body + RELAY_DIGEST_AT, 0, DIGEST_FIELD_LEN);
	sha1_run_add(d, body, CELL_BODY_LEN);
	sha1_run_peek(d, digest);
	memcpy(body + RELAY_DIGEST_AT, digest, DIGEST_FIELD_LEN);
	if (ret_digest)
		memcpy(ret_digest, digest, sizeof(digest));
}

bool onion_peel(struct onion *o, uint8_t *out, const uint8_t *in, uint8_t ret_digest[20])
{
	aes_ctr_crypt(o->forward, out, in, CELL_BODY_LEN);
	return recognized(&o->forward_digest, out, ret_digest);
}

void onion_wrap(struct onion *o, uint8_t *out, const uint8_t *in)
{
	aes_ctr_crypt(o->backward, out, in, CELL_BODY_LEN);
}

void onion_originate(struct onion *o, uint8_t *body, uint8_t ret_digest[20])
{
	digest_set(&o->backward_digest, body, ret_digest);
	aes_ctr_crypt(o->backward, body, body, CELL_BODY_LEN);
}

void onion_client_send(struct onion *o, uint8_t *body)
{
	digest_set(&o->forward_digest, body, NULL);
	aes_ctr_crypt(o->forward, body, body, CELL_BODY_LEN);
}

void onion_client_layer(struct onion *o, uint8_t *body)
{
	aes_ctr_crypt(o->forward, body, body, CELL_BODY_LEN);
}

bool onion_client_peel(struct onion *o, uint8_t *body)
{
	uint8_t digest[SHA1_LEN];

	aes_ctr_crypt(o->backward, body, body, CELL_BODY_LEN);
	return recognized(&o->backward_digest, body, digest);
}
