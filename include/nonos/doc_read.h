/*
 * Reading documents strictly: each function takes one member of an object, or
 * says in `why` (WHY_CAP bytes) which member of what is wrong, and returns
 * ERR_MALFORMED. `where` names the object for the sentence.
 */
#ifndef NONOS_DOC_READ_H
#define NONOS_DOC_READ_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <nonos/amount.h>
#include <nonos/eth_sig.h>

enum { DOC_WHY_CAP = 256 };

#define DOC_U53_MAX ((UINT64_C(1) << 53) - 1)

/* Write the sentence; return ERR_MALFORMED. */
int doc_fail(char why[DOC_WHY_CAP], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Refuse members outside `known`, which ends with NULL: they would change nothing, unseen. */
int doc_only(char *why, const char *where, const json_t *object, const char *const *known);
#define DOC_MEMBERS(...) (const char *const[]){ __VA_ARGS__, NULL }

/* A whole number from 0 to `max`, itself at most DOC_U53_MAX. */
int doc_u53(uint64_t *ret, char *why, const char *where, const json_t *object, const char *name, uint64_t max);
int doc_u32(uint32_t *ret, char *why, const char *where, const json_t *object, const char *name, uint32_t max);

/* An amount in decimal text, or a number. */
int doc_amount(struct amount *ret, char *why, const char *where, const json_t *object, const char *name);

int doc_address(struct eth_addr *ret, char *why, const char *where, const json_t *object, const char *name);

/* "0x" and exactly 2 * len lower-case digits. */
int doc_hex(void *ret, size_t len, char *why, const char *where, const json_t *object, const char *name);

/* A text that fits `cap` with its NUL and has none inside. */
int doc_text(char *ret, size_t cap, char *why, const char *where, const json_t *object, const char *name);


#endif
