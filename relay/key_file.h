/*
 * Key files in Tor's formats. A tagged file is "== TYPE: NAME ==" padded with
 * zeros to 32 bytes, then the key; RSA keys are PEM. Files are read and written
 * as <nonos/file.h> says, which explains the errors.
 */
#ifndef RELAY_KEY_FILE_H
#define RELAY_KEY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rsa_key;
struct secret;

enum { KEY_TAG_LEN = 32, KEY_FILE_CAP = 4096 };

#define KEY_TAG_ED_MASTER	"ed25519v1-secret: type0"
#define KEY_TAG_ED_MASTER_PUB	"ed25519v1-public: type0"
#define KEY_TAG_ED_SIGNING	"ed25519v1-secret: type4"
#define KEY_TAG_ED_SIGNING_CERT	"ed25519v1-cert: type4"
#define KEY_TAG_NTOR		"c25519v1: onion"
#define KEY_TAG_FAMILY		"ed25519v1-secret: fmly-id"

/* Borrow what follows the tag of a file's bytes. ERR_MALFORMED for another tag. */
int key_tagged_parse(const uint8_t **ret_body, size_t *ret_len, const char *tag,
		     const uint8_t *file, size_t len);

/* One PEM object "RSA PRIVATE KEY", 1024 bits, and nothing but white space and zeros after it. */
int key_rsa_parse(struct rsa_key **ret, const uint8_t *file, size_t len);

/* Tagged files whose body has exactly `len` bytes, as a secret. */
int key_load_secret(struct secret **ret, size_t len, int dir, const char *name, const char *tag,
		    bool is_private);

/* A tagged file with a body of at most `cap` bytes that may be public. */
int key_load_tagged(uint8_t *out, size_t cap, size_t *ret_len, int dir, const char *name,
		    const char *tag);
int key_save_tagged(int dir, const char *name, const char *tag, const void *body, size_t len);

int key_load_rsa(struct rsa_key **ret, int dir, const char *name, bool is_private);
int key_save_rsa(int dir, const char *name, const struct rsa_key *k);

#endif
