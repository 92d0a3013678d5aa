/*
 * Checkpoints (C2SP tlog-checkpoint): a signed note that says how long a log
 * is and what its Merkle root is; and proofs that one entry is in it, in a file
 * that needs nothing else (C2SP tlog-proof).
 */
#ifndef NONOS_CHECKPOINT_H
#define NONOS_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include <nonos/merkle_log.h>
#include <nonos/note.h>

struct checkpoint {
	char origin[NOTE_NAME_CAP];	/* names the log */
	uint64_t size;
	struct merkle_hash root;
};

enum { CHECKPOINT_TEXT_CAP = NOTE_NAME_CAP + 80 };

/* Write the text of a note, with a NUL; return its length. */
size_t checkpoint_text(char out[CHECKPOINT_TEXT_CAP], const struct checkpoint *c);

/* Read the text of a note. Lines after the third are allowed, and say nothing to us. */
int checkpoint_parse(struct checkpoint *ret, const char *text, size_t len);

/*
 * Read a note and check that the log signed it under its own name: ERR_MALFORMED,
 * ERR_NOT_FOUND (no signature of that key), ERR_AUTH, ERR_MISMATCH (another log).
 */
int checkpoint_open(struct checkpoint *ret, const struct note_key *log, const char *note, size_t len);

/* A tlog-proof, borrowed from the bytes that were parsed. */
struct tlog_proof {
	uint64_t index;
	struct merkle_proof path;
	const char *extra;		/* base64; NULL when there is none */
	size_t extra_len;
	const char *note;
	size_t note_len;
};

int tlog_proof_parse(struct tlog_proof *ret, const char *text, size_t len);

/* Return the malloc()ed text; *ret_len does not count its NUL. `extra` may be NULL. */
char *tlog_proof_text(size_t *ret_len, const struct tlog_proof *p);

/* Check that the log's checkpoint holds `leaf` where the proof says. Errors of both steps. */
int tlog_proof_check(const struct tlog_proof *p, const struct note_key *log, const struct merkle_hash *leaf);

#endif
