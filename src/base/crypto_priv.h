/*
 * What the crypto_*.c files and tls.c share; no other file includes it, as it
 * brings OpenSSL's types along. Include it ahead of any OpenSSL header: a type
 * there has the name of our ERR_STATE, so the headers that use it come in here,
 * under another one.
 */
#ifndef BASE_CRYPTO_PRIV_H
#define BASE_CRYPTO_PRIV_H

#include <stddef.h>
#include <stdint.h>

#define ERR_STATE openssl_err_state
#include <openssl/err.h>
#include <openssl/types.h>
#undef ERR_STATE

struct rsa_key;

/* Fetch the algorithms of one family. Each may be called again. */
int crypto_digest_init(void);
int crypto_cipher_init(void);

/* End the process: the library failed where good arguments cannot make it fail. */
_Noreturn void crypto_die(const char *what);

/* u = (1 + y) / (1 - y) of an encoded Ed25519 point. Only where the compiler has 128-bit integers. */
void crypto_montgomery_u(uint8_t ret_u[32], const uint8_t point[32]);

enum { CRYPTO_HOSTNAME_CAP = 40 };

/* A host name that says nothing, "www.<random>.<suffix>": for certificates and SNI. Returns `out`. */
const char *crypto_random_hostname(char out[CRYPTO_HOSTNAME_CAP], const char *suffix);

/* Borrow the library's key. */
EVP_PKEY *rsa_pkey(const struct rsa_key *k);

#endif
