#include "config.h"

#include <nonos/crypto.h>

#include <stdio.h>
#include <stdlib.h>

#include "crypto_priv.h"

#include <sodium.h>

#include <nonos/err.h>
#include <nonos/log.h>
#include <nonos/rand.h>

int crypto_init(void)
{
	int r;

	if (sodium_init() < 0)
		return ERR_CRYPTO;
	r = crypto_digest_init();
	if (r < 0)
		return r;
	return crypto_cipher_init();
}

const char *crypto_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}

void crypto_die(const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	log_error("The cryptographic library failed; nothing safe can be done any more. what=%s why=%s",
		  what, why ? why : "unknown");
	abort();
}

const char *crypto_random_hostname(char out[CRYPTO_HOSTNAME_CAP], const char *suffix)
{
	static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned len = 8 + rand_below(13);
	char label[24];

	for (unsigned i = 0; i < len; i++)
		label[i] = base32[rand_below(32)];
	snprintf(out, CRYPTO_HOSTNAME_CAP, "www.%.*s.%s", (int)len, label, suffix);
	return out;
}
