/*
 * Text forms of bytes: hex, base64 (RFC 4648, with or without padding), PEM.
 * Decoders are strict: a character outside the alphabet, stray bits or a
 * wrong length is ERR_MALFORMED.
 */
#ifndef NONOS_ENCODE_H
#define NONOS_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Write 2 * len digits and a NUL to `out`. */
void hex_encode(char *out, const void *data, size_t len);
void hex_encode_upper(char *out, const void *data, size_t len);

/* Decode exactly `len` bytes from 2 * len digits, either case. */
int hex_decode(void *out, size_t len, const char *text, size_t text_len);

/* Room for the base64 of `len` bytes, padding and NUL included. */
#define BASE64_CAP(len) (((len) + 2) / 3 * 4 + 1)

/* Write base64 and a NUL; return the length without the NUL. */
size_t base64_encode(char *out, const void *data, size_t len, bool padded);

/* Decode base64, padded or not, no white space. At most `cap` bytes. */
int base64_decode(void *out, size_t cap, size_t *ret_len, const char *text, size_t text_len);

/* Decode base64 that must give exactly `len` bytes. */
int base64_decode_exact(void *out, size_t len, const char *text, size_t text_len);

/* Room for the PEM armour of `len` bytes with a label of at most 40 characters. */
#define PEM_CAP(len) (BASE64_CAP(len) + (len) / 48 + 160)

/*
 * Write "-----BEGIN label-----", base64 in lines of 64, "-----END label-----\n"
 * and a NUL. Return the length without the NUL.
 */
size_t pem_encode(char *out, size_t cap, const char *label, const void *data, size_t len);

/*
 * Decode one PEM object that starts at `text`, ignoring line ends inside the
 * body. *ret_used, if not NULL, is how much of `text` the object took, its
 * last line end included.
 */
int pem_decode(void *out, size_t cap, size_t *ret_len, size_t *ret_used, const char *label,
	       const char *text, size_t text_len);

#endif
