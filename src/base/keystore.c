#include "config.h"

#include <nonos/keystore.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include <nonos/crypto.h>
#include <nonos/encode.h>
#include <nonos/err.h>
#include <nonos/kdf.h>
#include <nonos/keccak.h>
#include <nonos/mem.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

enum { DERIVED_LEN = 32, CIPHER_KEY_LEN = 16, SALT_LEN = 32, DERIVED_LEN_MAX = 1024 };

const struct keystore_cost keystore_cost_usual = { .n = 1u << 18, .r = 8, .p = 1 };

/* -- reading ---------------------------------------------------------------- */

static int __attribute__((format(printf, 3, 4))) complain(char why[KEYSTORE_WHY_CAP], int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, KEYSTORE_WHY_CAP, fmt, ap);
	va_end(ap);
	return code;
}

/* Hexadecimal digits, with or without "0x", of `min` to `max` bytes. */
static int get_hex(uint8_t *out, size_t *ret_len, const json_t *o, const char *name, size_t min, size_t max,
		   char why[KEYSTORE_WHY_CAP])
{
	const json_t *v = json_object_get(o, name);
	const char *text = json_string_value(v);
	size_t len = json_string_length(v);

	if (text && len >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		text += 2;
		len -= 2;
	}
	if (!text || len % 2 || len / 2 < min || len / 2 > max || hex_decode(out, len / 2, text, len) < 0)
		return complain(why, ERR_MALFORMED, "\"%s\" is not %zu to %zu bytes in hexadecimal digits", name, min, max);
	*ret_len = len / 2;
	return 0;
}

static int get_number(uint32_t *ret, const json_t *o, const char *name, char why[KEYSTORE_WHY_CAP])
{
	const json_t *v = json_object_get(o, name);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return complain(why, ERR_MALFORMED, "\"%s\" is not a whole number", name);
	if (n < 1 || n > UINT32_MAX)
		return complain(why, ERR_RANGE, "\"%s\" is out of range", name);
	*ret = (uint32_t)n;
	return 0;
}

static bool text_is(const json_t *o, const char *name, const char *want)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s && strcasecmp(s, want) == 0;
}

/* Only the first 32 bytes are used, which are the same whatever the length asked for. */
static int read_kdf_common(struct keystore *k, const json_t *params, char why[KEYSTORE_WHY_CAP])
{
	uint32_t len;
	int r = get_number(&len, params, "dklen", why);

	if (r < 0)
		return r;
	if (len < DERIVED_LEN || len > DERIVED_LEN_MAX)
		return complain(why, ERR_RANGE, "\"dklen\" is not %d to %d", DERIVED_LEN, DERIVED_LEN_MAX);
	return get_hex(k->salt, &k->salt_len, params, "salt", 0, sizeof(k->salt), why);
}

static int read_scrypt(struct keystore *k, const json_t *params, char why[KEYSTORE_WHY_CAP])
{
	int r = get_number(&k->cost.n, params, "n", why);

	k->kdf = KEYSTORE_SCRYPT;
	if (r == 0)
		r = get_number(&k->cost.r, params, "r", why);
	if (r == 0)
		r = get_number(&k->cost.p, params, "p", why);
	if (r == 0 && kdf_scrypt_check(k->cost.n, k->cost.r, k->cost.p) < 0)
		r = complain(why, ERR_RANGE, "scrypt with n = %u, r = %u, p = %u is wrong or costs more than is allowed",
			     k->cost.n, k->cost.r, k->cost.p);
	return r;
}

static int read_pbkdf2(struct keystore *k, const json_t *params, char why[KEYSTORE_WHY_CAP])
{
	int r = get_number(&k->cost.rounds, params, "c", why);

	k->kdf = KEYSTORE_PBKDF2;
	if (r == 0 && k->cost.rounds > KDF_PBKDF2_ROUNDS_MAX)
		r = complain(why, ERR_RANGE, "PBKDF2 with %u rounds costs more than is allowed", k->cost.rounds);
	if (r == 0 && !text_is(params, "prf", "hmac-sha256"))
		r = complain(why, ERR_UNSUPPORTED, "the PBKDF2 is not of HMAC-SHA256");
	return r;
}

static int read_kdf(struct keystore *k, const json_t *crypto, char why[KEYSTORE_WHY_CAP])
{
	const json_t *params = json_object_get(crypto, "kdfparams");
	int r;

	if (text_is(crypto, "kdf", "scrypt"))
		r = read_scrypt(k, params, why);
	else if (text_is(crypto, "kdf", "pbkdf2"))
		r = read_pbkdf2(k, params, why);
	else
		r = complain(why, ERR_UNSUPPORTED, "the \"kdf\" is neither scrypt nor pbkdf2");
	return r < 0 ? r : read_kdf_common(k, params, why);
}

static int read_crypto(struct keystore *k, const json_t *crypto, char why[KEYSTORE_WHY_CAP])
{
	size_t len;
	int r;

	if (!json_is_object(crypto))
		return complain(why, ERR_MALFORMED, "it has no \"crypto\"");
	if (!text_is(crypto, "cipher", "aes-128-ctr"))
		return complain(why, ERR_UNSUPPORTED, "the \"cipher\" is not aes-128-ctr");
	r = get_hex(k->iv, &len, json_object_get(crypto, "cipherparams"), "iv", sizeof(k->iv), sizeof(k->iv), why);
	if (r == 0)
		r = get_hex(k->sealed, &k->sealed_len, crypto, "ciphertext", KEYSTORE_SECRET_MIN, sizeof(k->sealed), why);
	if (r == 0)
		r = get_hex(k->mac, &len, crypto, "mac", sizeof(k->mac), sizeof(k->mac), why);
	return r < 0 ? r : read_kdf(k, crypto, why);
}

/* Wallets disagree on whether to write it and how; an empty one is as good as none. */
static int read_address(struct keystore *k, const json_t *doc, char why[KEYSTORE_WHY_CAP])
{
	const json_t *v = json_object_get(doc, "address");
	size_t len;

	k->has_address = v && !json_is_null(v) && json_string_length(v) > 0;
	if (!k->has_address)
		return 0;
	return get_hex(k->address.b, &len, doc, "address", ETH_ADDR_LEN, ETH_ADDR_LEN, why);
}

/* Kept only when it is what it should be: it is printed, and no use is made of it. */
static void read_id(struct keystore *k, const json_t *doc)
{
	const char *id = json_string_value(json_object_get(doc, "id"));

	if (id && strlen(id) == KEYSTORE_ID_CAP - 1 && strspn(id, "0123456789abcdefABCDEF-") == KEYSTORE_ID_CAP - 1)
		memcpy(k->id, id, KEYSTORE_ID_CAP);
}

static int read_document(struct keystore *k, const json_t *doc, char why[KEYSTORE_WHY_CAP])
{
	const json_t *version = json_object_get(doc, "version"), *crypto = json_object_get(doc, "crypto");
	int r;

	if (!json_is_object(doc))
		return complain(why, ERR_MALFORMED, "it is not a JSON object");
	if (!json_is_integer(version) || json_integer_value(version) != 3)
		return complain(why, ERR_UNSUPPORTED, "it is not a keystore of version 3");
	/* An early wallet wrote it with a capital. */
	r = read_crypto(k, crypto ? crypto : json_object_get(doc, "Crypto"), why);
	if (r == 0)
		r = read_address(k, doc, why);
	if (r == 0)
		read_id(k, doc);
	return r;
}

int keystore_parse(struct keystore *ret, char why[KEYSTORE_WHY_CAP], const char *text, size_t len)
{
	struct keystore k = { .id = "" };
	json_error_t e = { .line = 0 };
	json_t *doc;
	int r;

	if (len > KEYSTORE_FILE_MAX)
		return complain(why, ERR_TOO_LONG, "it is longer than %d bytes", KEYSTORE_FILE_MAX);
	doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (!doc)
		return complain(why, ERR_MALFORMED, "it is not JSON (line %d)", e.line);
	r = read_document(&k, doc, why);
	if (r == 0)
		*ret = k;
	json_decref(doc);
	return r;
}

/* -- writing ---------------------------------------------------------------- */

static void set_hex(json_t *o, const char *name, const uint8_t *data, size_t len)
{
	char text[2 * KEYSTORE_SALT_MAX + 1];

	hex_encode(text, data, len);
	json_object_set_new(o, name, json_string(text));
}

static json_t *kdf_params(const struct keystore *k)
{
	const struct keystore_cost *c = &k->cost;
	json_t *o;

	if (k->kdf == KEYSTORE_SCRYPT)
		o = json_pack("{s:i, s:I, s:I, s:I}", "dklen", DERIVED_LEN, "n", (json_int_t)c->n, "r", (json_int_t)c->r,
			      "p", (json_int_t)c->p);
	else
		o = json_pack("{s:i, s:I, s:s}", "dklen", DERIVED_LEN, "c", (json_int_t)c->rounds, "prf", "hmac-sha256");
	set_hex(o, "salt", k->salt, k->salt_len);
	return o;
}

char *keystore_text(const struct keystore *k)
{
	json_t *doc = json_object(), *crypto = json_object(), *cipher = json_object();
	char *text;

	if (k->has_address)
		set_hex(doc, "address", k->address.b, sizeof(k->address.b));
	set_hex(cipher, "iv", k->iv, sizeof(k->iv));
	json_object_set_new(crypto, "cipher", json_string("aes-128-ctr"));
	set_hex(crypto, "ciphertext", k->sealed, k->sealed_len);
	json_object_set_new(crypto, "cipherparams", cipher);
	json_object_set_new(crypto, "kdf", json_string(k->kdf == KEYSTORE_SCRYPT ? "scrypt" : "pbkdf2"));
	json_object_set_new(crypto, "kdfparams", kdf_params(k));
	set_hex(crypto, "mac", k->mac, sizeof(k->mac));
	json_object_set_new(doc, "crypto", crypto);
	if (k->id[0])
		json_object_set_new(doc, "id", json_string(k->id));
	json_object_set_new(doc, "version", json_integer(3));
	text = json_dumps(doc, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(doc);
	if (!text)
		mem_fail();
	return text;
}

/* -- the key itself ----------------------------------------------------------- */

static int derive(struct secret **ret, const struct keystore *k, const void *pass, size_t pass_len)
{
	struct secret *s = secret_new(NULL, DERIVED_LEN);
	uint8_t *out = secret_data_mut(s);
	const struct keystore_cost *c = &k->cost;
	int r;

	if (k->kdf == KEYSTORE_SCRYPT)
		r = kdf_scrypt(out, DERIVED_LEN, pass, pass_len, k->salt, k->salt_len, c->n, c->r, c->p);
	else
		r = kdf_pbkdf2(out, DERIVED_LEN, pass, pass_len, k->salt, k->salt_len, c->rounds);
	if (r < 0)
		secret_free(s);
	else
		*ret = s;
	return r;
}

/* The second half of the derived key, then what was encrypted. */
static void mac(uint8_t out[KEYSTORE_MAC_LEN], const struct secret *derived, const struct keystore *k)
{
	struct keccak256_run run;

	keccak256_run_init(&run);
	keccak256_run_add(&run, secret_data(derived) + CIPHER_KEY_LEN, DERIVED_LEN - CIPHER_KEY_LEN);
	keccak256_run_add(&run, k->sealed, k->sealed_len);
	keccak256_run_peek(&run, out);
	secret_wipe(&run, sizeof(run));
}

static void apply_cipher(uint8_t *out, const uint8_t *in, size_t len, const struct secret *derived,
		  const uint8_t iv[KEYSTORE_IV_LEN])
{
	struct aes_ctr *c = aes_ctr_new_at(secret_data(derived), CIPHER_KEY_LEN, iv);

	aes_ctr_crypt(c, out, in, len);
	aes_ctr_free(c);
}

/* A random UUID (RFC 9562, 5.4). */
static void make_id(char out[KEYSTORE_ID_CAP])
{
	uint8_t b[16];
	char hex[33];

	rand_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	hex_encode(hex, b, sizeof(b));
	snprintf(out, KEYSTORE_ID_CAP, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

int keystore_seal(struct keystore *ret, const uint8_t secret[ETH_SECRET_LEN], const void *pass, size_t pass_len,
		  const struct keystore_cost *cost)
{
	struct keystore k = { .kdf = KEYSTORE_SCRYPT, .cost = *cost, .salt_len = SALT_LEN, .has_address = true };
	struct secret *derived;
	int r = eth_addr_of_secret(&k.address, secret);

	if (r < 0)
		return r;
	make_id(k.id);
	rand_bytes(k.salt, SALT_LEN);
	rand_bytes(k.iv, sizeof(k.iv));
	r = derive(&derived, &k, pass, pass_len);
	if (r < 0)
		return r;
	k.sealed_len = ETH_SECRET_LEN;
	apply_cipher(k.sealed, secret, ETH_SECRET_LEN, derived, k.iv);
	mac(k.mac, derived, &k);
	secret_free(derived);
	*ret = k;
	return 0;
}

int keystore_open(struct secret **ret, const struct keystore *k, const void *pass, size_t pass_len)
{
	struct secret *derived, *key = NULL;
	uint8_t expected[KEYSTORE_MAC_LEN];
	struct eth_addr found;
	int r = derive(&derived, k, pass, pass_len);

	if (r < 0)
		return r;
	mac(expected, derived, k);
	r = ERR_AUTH;
	if (!secret_eq(expected, k->mac, sizeof(expected)))
		goto out;
	key = secret_new(NULL, ETH_SECRET_LEN);
	apply_cipher(secret_data_mut(key) + ETH_SECRET_LEN - k->sealed_len, k->sealed, k->sealed_len, derived, k->iv);
	r = eth_addr_of_secret(&found, secret_data(key));
	if (r == 0 && k->has_address && !eth_addr_eq(&found, &k->address))
		r = ERR_MISMATCH;
out:
	secret_free(derived);
	if (r == 0)
		*ret = key;
	else
		secret_free(key);
	return r;
}
