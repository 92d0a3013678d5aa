#include "config.h"

#include "dirserv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/clock.h>
#include <nonos/dir_doc.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/mem.h>

#include "dir_reply.h"
#include "dir_request.h"

enum {
	ID_LEN = 20,
	MICRO_DIGEST_LEN = 32,
	ID_PREFIX_MIN = 3,		/* what clients shorten authorities' fingerprints to */
	CONSENSUS_GRACE = 24 * 3600,	/* clients use an expired one for a day (dir-spec 5.1) */
	DIGEST_LIFETIME = 48 * 3600,	/* what a digest names does not change */
};

struct dirserv {
	struct dir_map *docs[DIR_DOC_KINDS];	/* referenced, or NULL */
	uint8_t own_id[ID_LEN];			/* of the descriptor in DIR_DOC_OWN */
	bool own_id_known;
};

struct dirserv *dirserv_new(void)
{
	return mem_new(sizeof(struct dirserv));
}

void dirserv_free(struct dirserv *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < DIR_DOC_KINDS; i++)
		dir_map_unref(s->docs[i]);
	free(s);
}

/* Position of exactly this key. */
static int map_position(const struct dir_map *map, const void *key, size_t len, size_t *ret_i)
{
	uint8_t padded[DIR_KEY_LEN] = { 0 };

	if (!map || len > sizeof(padded))
		return ERR_NOT_FOUND;
	memcpy(padded, key, len);
	return dir_map_find_prefix(map, padded, sizeof(padded), ret_i);
}

/* Read the "fingerprint" line, ten groups of four digits (dir-spec 2.1.1), of our own descriptor. */
static void dirserv_learn_own_id(struct dirserv *s)
{
	static const char keyword[] = "\nfingerprint ";
	const uint8_t *p;
	char hex[2 * ID_LEN];
	struct dir_entry e;
	size_t left;

	s->own_id_known = false;
	if (dir_map_find(s->docs[DIR_DOC_OWN], "server", 6, &e) < 0)
		return;
	p = memmem(e.data, e.len, keyword, sizeof(keyword) - 1);
	if (!p)
		return;
	p += sizeof(keyword) - 1;
	left = (size_t)(e.data + e.len - p);
	if (left < 49)
		return;
	for (size_t i = 0; i < 10; i++)
		memcpy(hex + 4 * i, p + 5 * i, 4);
	s->own_id_known = hex_decode(s->own_id, ID_LEN, hex, sizeof(hex)) == 0;
}

static bool map_is_good(const struct dir_map *map, uint8_t kind)
{
	struct dir_entry e;

	if (dir_map_meta(map)->kind != kind)
		return false;
	if (kind == DIR_DOC_CONSENSUS_NS || kind == DIR_DOC_CONSENSUS_MICRODESC)
		return dir_map_find(map, "plain", 5, &e) == 0;
	return true;
}

int dirserv_set_document(struct dirserv *s, uint8_t kind, int fd)
{
	struct dir_map *map = NULL;
	int r = kind > 0 && kind < DIR_DOC_KINDS ? dir_map_open(&map, fd) : ERR_RANGE;

	close(fd);
	if (r == 0 && !map_is_good(map, kind))
		r = ERR_MALFORMED;
	if (r < 0) {
		dir_map_unref(map);
		return r;
	}
	dir_map_unref(s->docs[kind]);
	s->docs[kind] = map;
	if (kind == DIR_DOC_OWN)
		dirserv_learn_own_id(s);
	return 0;
}

bool dirserv_lists(const struct dirserv *s, const uint8_t rsa_id[ID_LEN])
{
	struct dir_entry e;

	return !s->docs[DIR_DOC_RELAYS] || dir_map_find(s->docs[DIR_DOC_RELAYS], rsa_id, ID_LEN, &e) == 0;
}

static bool dirserv_has_consensus(const struct dirserv *s)
{
	return s->docs[DIR_DOC_CONSENSUS_NS] || s->docs[DIR_DOC_CONSENSUS_MICRODESC];
}

/* What to say when we have nothing of what was asked: a cache that is starting may have it soon. */
static int nothing_found(const struct dirserv *s)
{
	return dirserv_has_consensus(s) ? 404 : 503;
}

/* Decode a fingerprint of at least `min` bytes. */
static int item_decode_hex(uint8_t out[ID_LEN], size_t *ret_len, struct text item, size_t min)
{
	if (item.len / 2 < min || item.len / 2 > ID_LEN)
		return ERR_MALFORMED;
	*ret_len = item.len / 2;
	return hex_decode(out, item.len / 2, item.p, item.len);
}

static bool meta_has_signer(const struct dir_doc_meta *meta, const uint8_t *prefix, size_t len)
{
	for (size_t i = 0; i < meta->n_signers; i++)
		if (memcmp(meta->signers[i], prefix, len) == 0)
			return true;
	return false;
}

/* More than half of the authorities that the client names must have signed (dir-spec B). */
static int consensus_check_signers(const struct dir_doc_meta *meta, struct text list)
{
	size_t named = 0, signers = 0, len;
	uint8_t prefix[ID_LEN];
	struct text item;

	while (text_next(&list, '+', &item)) {
		if (++named > DIR_ITEMS_MAX || item_decode_hex(prefix, &len, item, ID_PREFIX_MIN) < 0)
			return 400;
		signers += meta_has_signer(meta, prefix, len);
	}
	return named == 0 || 2 * signers > named ? 200 : 404;
}

/* Of the codings that the client takes, send the best that the keeper has stored. */
static void consensus_choose(struct dir_reply *reply, struct dir_head *head, struct dir_map *map, unsigned codings)
{
	size_t i;

	for (unsigned c = CODINGS; c-- > 0;) {
		const char *key = c == CODING_IDENTITY ? "plain" : coding_name((enum coding)c);

		if (!(codings & 1u << c) || map_position(map, key, strlen(key), &i) < 0)
			continue;
		head->coding = (enum coding)c;
		head->stored = true;
		dir_reply_add(reply, map, i, 1);
		return;
	}
	/* Only ".z", which refuses identity, gets here, and only when zlib's form is not stored. */
	head->coding = CODING_DEFLATE;
	if (map_position(map, "plain", 5, &i) == 0)
		dir_reply_add(reply, map, i, 1);
}

static int answer_consensus(struct dirserv *s, struct dir_reply *reply, struct dir_head *head,
			    const struct dir_request *q)
{
	struct dir_map *map = s->docs[q->flavour];
	const struct dir_doc_meta *meta;
	int status;

	if (!map)
		return nothing_found(s);
	meta = dir_map_meta(map);
	if (meta->valid_until + CONSENSUS_GRACE < clock_wall())
		return 404;
	status = consensus_check_signers(meta, q->list);
	if (status != 200)
		return status;
	/* Clients state a time shortly after the start of the one they have. */
	if (q->modified_since >= meta->valid_after)
		return 304;
	if (meta->fresh_until > head->expires)
		head->expires = meta->fresh_until;
	consensus_choose(reply, head, map, q->codings);
	return 200;
}

/* Add one entry by its key, if there is one. */
static void reply_add_key(struct dir_reply *reply, struct dir_map *map, const void *key, size_t len)
{
	size_t i;

	if (map_position(map, key, len, &i) == 0)
		dir_reply_add(reply, map, i, 1);
}

/* Add all entries whose key begins so. */
static void reply_add_prefix(struct dir_reply *reply, struct dir_map *map, const void *prefix, size_t len)
{
	size_t first, end;
	struct dir_entry e;

	if (!map || dir_map_find_prefix(map, prefix, len, &first) < 0)
		return;
	for (end = first + 1; end < dir_map_count(map); end++) {
		dir_map_at(map, end, &e);
		if (memcmp(e.key, prefix, len) != 0)
			break;
	}
	dir_reply_add(reply, map, first, end - first);
}

static int add_micro(struct dirserv *s, struct dir_reply *reply, struct text item)
{
	uint8_t digest[MICRO_DIGEST_LEN];

	if (base64_decode_exact(digest, sizeof(digest), item.p, item.len) < 0)
		return ERR_MALFORMED;
	reply_add_key(reply, s->docs[DIR_DOC_MICRODESCS], digest, sizeof(digest));
	return 0;
}

/* `form` is the first byte of the key: see dir_doc.h. */
static int add_descriptor(struct dirserv *s, struct dir_reply *reply, struct text item, char form)
{
	uint8_t key[1 + ID_LEN] = { (uint8_t)form };
	size_t len;

	if (item_decode_hex(key + 1, &len, item, ID_LEN) < 0)
		return ERR_MALFORMED;
	if (s->own_id_known && (form == 'F' || form == 'f') && memcmp(key + 1, s->own_id, ID_LEN) == 0)
		reply_add_key(reply, s->docs[DIR_DOC_OWN], form == 'F' ? "server" : "extra", form == 'F' ? 6 : 5);
	else
		reply_add_key(reply, s->docs[DIR_DOC_DESCRIPTORS], key, sizeof(key));
	return 0;
}

static int add_cert_by_id(struct dirserv *s, struct dir_reply *reply, struct text item)
{
	uint8_t id[ID_LEN];
	size_t len;

	if (item_decode_hex(id, &len, item, ID_LEN) < 0)
		return ERR_MALFORMED;
	reply_add_prefix(reply, s->docs[DIR_DOC_CERTS], id, ID_LEN);
	return 0;
}

/* There are a few dozen certificates, sorted by identity: look at each. */
static int add_cert_by_signing_key(struct dirserv *s, struct dir_reply *reply, struct text item)
{
	struct dir_map *map = s->docs[DIR_DOC_CERTS];
	uint8_t digest[ID_LEN];
	struct dir_entry e;
	size_t len;

	if (item_decode_hex(digest, &len, item, ID_LEN) < 0)
		return ERR_MALFORMED;
	for (size_t i = 0; map && i < dir_map_count(map); i++) {
		dir_map_at(map, i, &e);
		if (memcmp(e.key + ID_LEN, digest, ID_LEN) == 0)
			dir_reply_add(reply, map, i, 1);
	}
	return 0;
}

static int add_cert_by_both(struct dirserv *s, struct dir_reply *reply, struct text item)
{
	uint8_t key[2 * ID_LEN];
	struct text id;
	size_t len;

	if (!text_next(&item, '-', &id) || !item.p || item_decode_hex(key, &len, id, ID_LEN) < 0 ||
	    item_decode_hex(key + ID_LEN, &len, item, ID_LEN) < 0)
		return ERR_MALFORMED;
	reply_add_key(reply, s->docs[DIR_DOC_CERTS], key, sizeof(key));
	return 0;
}

static int add_item(struct dirserv *s, struct dir_reply *reply, enum dir_what what, struct text item)
{
	switch (what) {
	case DIR_GET_MICRO:
		return add_micro(s, reply, item);
	case DIR_GET_SERVER_FP:
		return add_descriptor(s, reply, item, 'F');
	case DIR_GET_SERVER_D:
		return add_descriptor(s, reply, item, 'D');
	case DIR_GET_EXTRA_FP:
		return add_descriptor(s, reply, item, 'f');
	case DIR_GET_EXTRA_D:
		return add_descriptor(s, reply, item, 'd');
	case DIR_GET_KEYS_FP:
		return add_cert_by_id(s, reply, item);
	case DIR_GET_KEYS_SK:
		return add_cert_by_signing_key(s, reply, item);
	case DIR_GET_KEYS_FP_SK:
		return add_cert_by_both(s, reply, item);
	default:
		return ERR_NOT_FOUND;
	}
}

/* The best coding for what is compressed while it is sent. */
static enum coding best_coding(unsigned codings)
{
	for (unsigned c = CODINGS; c-- > 0;)
		if (codings & 1u << c)
			return (enum coding)c;
	return CODING_IDENTITY;
}

static int answer_list(struct dirserv *s, struct dir_reply *reply, struct dir_head *head,
		       const struct dir_request *q)
{
	struct text list = q->list, item;
	size_t n = 0;

	while (text_next(&list, q->what == DIR_GET_MICRO ? '-' : '+', &item))
		if (++n > DIR_ITEMS_MAX || add_item(s, reply, q->what, item) < 0)
			return 400;
	if (dir_reply_is_empty(reply))
		return nothing_found(s);
	head->coding = best_coding(q->codings);
	if (q->what == DIR_GET_MICRO || q->what == DIR_GET_SERVER_D || q->what == DIR_GET_EXTRA_D)
		head->expires += DIGEST_LIFETIME;
	return 200;
}

/* The answer is every entry whose key begins so. */
static int answer_prefix(struct dirserv *s, struct dir_reply *reply, struct dir_head *head,
			 const struct dir_request *q, enum dir_doc kind, const char *prefix)
{
	struct dir_map *map = s->docs[kind];

	reply_add_prefix(reply, map, prefix, strlen(prefix));
	if (dir_reply_is_empty(reply))
		return nothing_found(s);
	if (q->modified_since >= 0 && dir_map_meta(map)->last_modified <= q->modified_since)
		return 304;
	head->coding = best_coding(q->codings);
	return 200;
}

static int dirserv_answer(struct dirserv *s, struct dir_reply *reply, struct dir_head *head,
			  const struct dir_request *q)
{
	switch (q->what) {
	case DIR_GET_CONSENSUS:
		return answer_consensus(s, reply, head, q);
	case DIR_GET_SERVER_ALL:
		return answer_prefix(s, reply, head, q, DIR_DOC_DESCRIPTORS, "F");
	case DIR_GET_EXTRA_ALL:
		return answer_prefix(s, reply, head, q, DIR_DOC_DESCRIPTORS, "f");
	case DIR_GET_SERVER_OWN:
		return answer_prefix(s, reply, head, q, DIR_DOC_OWN, "server");
	case DIR_GET_EXTRA_OWN:
		return answer_prefix(s, reply, head, q, DIR_DOC_OWN, "extra");
	case DIR_GET_KEYS_ALL:
		return answer_prefix(s, reply, head, q, DIR_DOC_CERTS, "");
	case DIR_GET_MICRO:
	case DIR_GET_SERVER_FP:
	case DIR_GET_SERVER_D:
	case DIR_GET_EXTRA_FP:
	case DIR_GET_EXTRA_D:
	case DIR_GET_KEYS_FP:
	case DIR_GET_KEYS_SK:
	case DIR_GET_KEYS_FP_SK:
		return answer_list(s, reply, head, q);
	case DIR_GET_ROBOTS:
		return 200;
	case DIR_GET_UNKNOWN:
		break;
	}
	return 404;
}

int dirserv_request(struct dirserv *s, struct dir_reply **ret, const char *request, size_t len,
		    const struct addr *peer)
{
	struct dir_head head = { .coding = CODING_IDENTITY, .expires = clock_wall(), .peer = peer };
	struct dir_request q;
	struct dir_reply *reply;
	int r = dir_request_parse(&q, request, len);

	if (r < 0)
		return r;
	reply = dir_reply_new();
	head.status = q.status == 200 ? dirserv_answer(s, reply, &head, &q) : q.status;
	if (head.status == 200 && q.what == DIR_GET_ROBOTS)
		dir_reply_begin_text(reply, &head, "User-agent: *\nDisallow: /\n");
	else
		dir_reply_begin(reply, &head);
	*ret = reply;
	return 0;
}
