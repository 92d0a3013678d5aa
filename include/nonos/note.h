/*
 * Signed notes (C2SP signed-note): a text, a blank line, and a line per
 * signature. Two kinds of Ed25519 keys sign ours: a log signs the text itself,
 * a witness signs the text and the time at which it saw it (C2SP
 * tlog-cosignature). Lines of other keys and kinds are passed over.
 */
#ifndef NONOS_NOTE_H
#define NONOS_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/crypto.h>

enum {
	NOTE_LEN_MAX = 64 * 1024,
	NOTE_NAME_CAP = 256,
	NOTE_SIGS_MAX = 64,
	NOTE_VKEY_CAP = NOTE_NAME_CAP + 60,
	NOTE_LINE_CAP = NOTE_NAME_CAP + 120,	/* a signature line */
};

/* The first byte of an encoded public key. */
enum note_alg { NOTE_ED25519 = 0x01, NOTE_COSIGNATURE = 0x04 };

struct note_key {
	char name[NOTE_NAME_CAP];
	enum note_alg alg;
	uint8_t id[4];
	uint8_t public_key[ED25519_PUB_LEN];
};

/* ERR_MALFORMED for a name that is empty, too long, or not printable ASCII without blank and plus. */
int note_key_make(struct note_key *ret, const char *name, enum note_alg alg, const uint8_t public_key[ED25519_PUB_LEN]);

/* "name+id+key", as logs publish them. ERR_MISMATCH when the id is not that of the key. */
int note_key_parse(struct note_key *ret, const char *text, size_t len);
void note_key_text(char out[NOTE_VKEY_CAP], const struct note_key *k);

struct note_sig {
	const char *name;
	size_t name_len;
	const char *base64;
	size_t base64_len;
};

/* A note taken apart. Everything is borrowed from the bytes that were parsed. */
struct note {
	const char *text;		/* with its last line end: what is signed */
	size_t text_len;
	struct note_sig sigs[NOTE_SIGS_MAX];
	size_t n_sigs;
};

/* ERR_MALFORMED, or ERR_TOO_LONG for more bytes or signatures than a note of ours has. */
int note_parse(struct note *ret, const char *data, size_t len);

/*
 * ERR_NOT_FOUND when no line is by `k`, ERR_AUTH when its first one is wrong. *ret_time_s,
 * if not NULL, is when a witness saw the text, and 0 for a log.
 */
int note_verify(const struct note *n, const struct note_key *k, uint64_t *ret_time_s);

/*
 * Write the signature line of `k` over `text`, its line end and a NUL; return
 * its length. `time_s` is for witnesses.
 */
size_t note_sign(char out[NOTE_LINE_CAP], const struct note_key *k, const uint8_t expanded[ED25519_EXPANDED_LEN],
		 const char *text, size_t text_len, uint64_t time_s);

#endif
