#include "config.h"

#include "tx.h"

#include <stdlib.h>
#include <string.h>

#include <nonos/err.h>
#include <nonos/mem.h>

#include "rlp.h"

enum {
	TX_TYPE = 2,
	KEY_LEN = 32,
	V_BASE = 27,			/* v of a signature is yParity and this */
	FIELDS_ROOM = 512,		/* for all but the call data and the access list */
};

void tx_wr_access(struct wr *w, const struct eth_addr *account, const uint8_t *keys, size_t n)
{
	size_t item = rlp_wr_open(w), list;

	rlp_wr_bytes(w, account->b, sizeof(account->b));
	list = rlp_wr_open(w);
	for (size_t i = 0; i < n; i++)
		rlp_wr_bytes(w, keys + i * KEY_LEN, KEY_LEN);
	rlp_wr_close(w, list);
	rlp_wr_close(w, item);
}

static int check_keys(const struct rlp_item *list)
{
	struct rd r = rlp_items(list);
	struct rlp_item key;

	while (rd_left(&r) > 0)
		if (rlp_next(&key, &r) < 0 || key.is_list || key.len != KEY_LEN)
			return ERR_MALFORMED;
	return rd_done(&r);
}

/* Every item is [address, [key, ...]] (EIP-2930). */
static int check_access(const uint8_t *access, size_t len)
{
	struct rd r = rd_init(access, len), in;
	struct rlp_item item, account, keys;

	while (rd_left(&r) > 0) {
		if (rlp_next(&item, &r) < 0)
			return ERR_MALFORMED;
		in = rlp_items(&item);
		if (rlp_next(&account, &in) < 0 || account.is_list || account.len != ETH_ADDR_LEN ||
		    rlp_next(&keys, &in) < 0 || check_keys(&keys) < 0 || rd_done(&in) < 0)
			return ERR_MALFORMED;
	}
	return 0;
}

static int check(const struct tx *t)
{
	if (memcmp(t->max_priority_fee, t->max_fee, UINT256_LEN) > 0 || t->nonce == UINT64_MAX)
		return ERR_RANGE;
	if (t->data_len > TX_LEN_MAX || t->access_len > TX_LEN_MAX)
		return ERR_TOO_LONG;
	return check_access(t->access, t->access_len);
}

static void write_fields(struct wr *w, const struct tx *t)
{
	rlp_wr_u64(w, t->chain_id);
	rlp_wr_u64(w, t->nonce);
	rlp_wr_uint(w, t->max_priority_fee, UINT256_LEN);
	rlp_wr_uint(w, t->max_fee, UINT256_LEN);
	rlp_wr_u64(w, t->gas);
	rlp_wr_bytes(w, t->to.b, t->creates ? 0 : ETH_ADDR_LEN);
	rlp_wr_uint(w, t->value, UINT256_LEN);
	rlp_wr_bytes(w, t->data, t->data_len);
	rlp_wr_list(w, t->access_len);
	wr_bytes(w, t->access, t->access_len);
}

/* Without a signature when `sig` is NULL. */
static int write_tx(struct wr *w, const struct tx *t, const uint8_t *sig)
{
	size_t start = wr_len(w), list;
	int r = check(t);

	if (r < 0)
		return r;
	wr_u8(w, TX_TYPE);
	list = rlp_wr_open(w);
	write_fields(w, t);
	if (sig) {
		rlp_wr_u64(w, sig[64] - V_BASE);
		rlp_wr_uint(w, sig, 32);
		rlp_wr_uint(w, sig + 32, 32);
	}
	rlp_wr_close(w, list);
	return wr_len(w) - start > TX_LEN_MAX ? ERR_TOO_LONG : wr_done(w);
}

int tx_write_unsigned(struct wr *w, const struct tx *t)
{
	return write_tx(w, t, NULL);
}

int tx_digest(uint8_t ret[KECCAK256_LEN], const struct tx *t)
{
	struct wr w;
	uint8_t *buf;
	int r = check(t);

	if (r < 0)
		return r;
	buf = mem_new(t->data_len + t->access_len + FIELDS_ROOM);
	w = wr_init(buf, t->data_len + t->access_len + FIELDS_ROOM);
	r = tx_write_unsigned(&w, t);
	if (r == 0)
		keccak256(ret, buf, wr_len(&w));
	free(buf);
	return r;
}

int tx_write(struct wr *w, const struct tx *t, const uint8_t sig[ETH_SIG_LEN])
{
	uint8_t digest[KECCAK256_LEN];
	struct eth_addr signer;
	int r = tx_digest(digest, t);

	if (r < 0)
		return r;
	if (eth_sig_recover(&signer, digest, sig, ETH_SIG_LEN) < 0)
		return ERR_MALFORMED;
	return write_tx(w, t, sig);
}

int tx_sign(struct wr *w, const struct tx *t, const uint8_t secret[ETH_SECRET_LEN])
{
	uint8_t digest[KECCAK256_LEN], sig[ETH_SIG_LEN];
	int r = tx_digest(digest, t);

	if (r == 0)
		r = eth_sig_sign(sig, secret, digest);
	return r < 0 ? r : write_tx(w, t, sig);
}

/* -- decoding ------------------------------------------------------------------ */

static int read_u64(uint64_t *ret, struct rd *r)
{
	struct rlp_item item;
	int rc = rlp_next(&item, r);

	return rc < 0 ? rc : rlp_u64(ret, &item);
}

static int read_word(uint8_t ret[32], struct rd *r)
{
	struct rlp_item item;
	int rc = rlp_next(&item, r);

	return rc < 0 ? rc : rlp_uint(ret, 32, &item);
}

static int read_to(struct tx *t, struct rd *r)
{
	struct rlp_item item;

	if (rlp_next(&item, r) < 0 || item.is_list || (item.len != 0 && item.len != ETH_ADDR_LEN))
		return ERR_MALFORMED;
	t->creates = item.len == 0;
	if (!t->creates)
		memcpy(t->to.b, item.data, ETH_ADDR_LEN);
	return 0;
}

static int read_payload(struct tx *t, struct rd *r)
{
	struct rlp_item data, access;

	if (rlp_next(&data, r) < 0 || data.is_list || rlp_next(&access, r) < 0 || !access.is_list)
		return ERR_MALFORMED;
	t->data = data.data;
	t->data_len = data.len;
	t->access = access.data;
	t->access_len = access.len;
	return 0;
}

static int read_fields(struct tx *t, struct rd *r)
{
	int rc;

	if ((rc = read_u64(&t->chain_id, r)) < 0 || (rc = read_u64(&t->nonce, r)) < 0 ||
	    (rc = read_word(t->max_priority_fee, r)) < 0 || (rc = read_word(t->max_fee, r)) < 0 ||
	    (rc = read_u64(&t->gas, r)) < 0 || (rc = read_to(t, r)) < 0 || (rc = read_word(t->value, r)) < 0 ||
	    (rc = read_payload(t, r)) < 0)
		return rc;
	return check(t);
}

static int read_sig(uint8_t sig[ETH_SIG_LEN], struct rd *r)
{
	uint64_t parity = 0;

	if (read_u64(&parity, r) < 0 || parity > 1 || read_word(sig, r) < 0 || read_word(sig + 32, r) < 0)
		return ERR_MALFORMED;
	sig[64] = (uint8_t)(V_BASE + parity);
	return rd_done(r);
}

/* What was signed is the nine fields as they came, under a header of their own. */
static void digest_of(uint8_t ret[KECCAK256_LEN], const uint8_t *fields, size_t len)
{
	uint8_t start[16];
	struct wr w = wr_init(start, sizeof(start));
	struct keccak256_run run;

	wr_u8(&w, TX_TYPE);
	rlp_wr_list(&w, len);
	keccak256_run_init(&run);
	keccak256_run_add(&run, start, wr_len(&w));
	keccak256_run_add(&run, fields, len);
	keccak256_run_peek(&run, ret);
}

int tx_decode(struct tx *ret, uint8_t ret_sig[ETH_SIG_LEN], struct eth_addr *ret_sender,
	      const uint8_t *raw, size_t len)
{
	uint8_t digest[KECCAK256_LEN], sig[ETH_SIG_LEN];
	struct eth_addr sender;
	struct rlp_item list;
	struct tx t = { 0 };
	struct rd r;
	int rc;

	if (len > TX_LEN_MAX)
		return ERR_TOO_LONG;
	if (len == 0)
		return ERR_MALFORMED;
	if (raw[0] != TX_TYPE)
		return ERR_UNSUPPORTED;
	rc = rlp_decode(&list, raw + 1, len - 1);
	if (rc < 0)
		return rc;
	r = rlp_items(&list);
	rc = read_fields(&t, &r);
	if (rc < 0)
		return rc;
	digest_of(digest, list.data, (size_t)(r.p - list.data));
	rc = read_sig(sig, &r);
	if (rc == 0)
		rc = eth_sig_recover(&sender, digest, sig, sizeof(sig));
	if (rc < 0)
		return rc;
	*ret = t;
	*ret_sender = sender;
	memcpy(ret_sig, sig, sizeof(sig));
	return 0;
}
