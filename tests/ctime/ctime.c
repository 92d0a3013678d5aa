/*
 * Secrets must not steer branches or addresses. Memcheck reports every jump
 * and every access that depends on undefined bytes, so secrets are marked
 * undefined here, and any report is a failure. Runs itself under valgrind;
 * skipped (77) where that is missing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nonos/crypto.h>
#include <nonos/rand.h>
#include <nonos/secret.h>

#include "../../relay/handshake.h"
#include "../../relay/handshake_priv.h"

enum { SKIPPED = 77 };

#if defined(__SANITIZE_ADDRESS__)
#define UNFIT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNFIT 1
#endif
#endif

#if !defined(HAVE_VALGRIND_MEMCHECK_H) || defined(UNFIT)

int main(void)
{
	return SKIPPED;
}

#else

#include <valgrind/memcheck.h>

static unsigned failures;
static volatile int sink;

static void secret(void *p, size_t len)
{
	(void)VALGRIND_MAKE_MEM_UNDEFINED(p, len);
}

/* What has been decided may be looked at. */
static void reveal(void *p, size_t len)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(p, len);
}

static void check(const char *what, unsigned errors_before, bool right)
{
	bool leaked = VALGRIND_COUNT_ERRORS != errors_before;

	if (!leaked && right)
		return;
	printf("%s: %s\n", what, leaked ? "depends on a secret" : "wrong result");
	failures++;
}

/* Memcheck must see what this does, or the rest proves nothing. */
static void control(void)
{
	unsigned before = VALGRIND_COUNT_ERRORS;
	uint8_t *byte = malloc(1);

	if (!byte)
		exit(1);
	*byte = 7;
	secret(byte, 1);
	if (*(volatile uint8_t *)byte == 7)
		sink = 1;
	if (VALGRIND_COUNT_ERRORS == before) {
		printf("control: memcheck has seen nothing\n");
		failures++;
	}
	free(byte);
}

static void check_eq(size_t differs_at)
{
	unsigned before = VALGRIND_COUNT_ERRORS;
	uint8_t a[32], b[32];
	bool same;

	rand_bytes(a, sizeof(a));
	memcpy(b, a, sizeof(b));
	if (differs_at < sizeof(a))
		b[differs_at] ^= 1;
	secret(a, sizeof(a));
	secret(b, sizeof(b));
	same = secret_eq(a, b, sizeof(a));
	reveal(&same, sizeof(same));
	check("secret_eq", before, same == (differs_at >= sizeof(a)));
}

static void check_zero(size_t one_at)
{
	unsigned before = VALGRIND_COUNT_ERRORS;
	uint8_t a[32] = { 0 };
	bool zero;

	if (one_at < sizeof(a))
		a[one_at] = 1;
	secret(a, sizeof(a));
	zero = secret_is_zero(a, sizeof(a));
	reveal(&zero, sizeof(zero));
	check("secret_is_zero", before, zero == (one_at >= sizeof(a)));
}

/* Which of the two onion keys a client used: 0, 1, or 2 for neither. */
static void check_onion_key(size_t used)
{
	uint8_t secrets[2][X25519_LEN], publics[3][X25519_LEN], asked[X25519_LEN];
	struct handshake_keys keys = { .rsa_id = { 0 } };
	const struct x25519_key *found;
	unsigned before;

	for (size_t i = 0; i < 2; i++) {
		x25519_keygen(secrets[i], publics[i]);
		keys.onion[i] = x25519_key_new(secrets[i]);
	}
	rand_bytes(publics[2], sizeof(publics[2]));
	memcpy(asked, publics[used], sizeof(asked));
	before = VALGRIND_COUNT_ERRORS;
	secret(asked, sizeof(asked));
	found = handshake_find_key(&keys, asked);
	reveal(&found, sizeof(found));
	check("handshake_find_key", before, found == (used < 2 ? keys.onion[used] : NULL));
	for (size_t i = 0; i < 2; i++)
		x25519_key_free((struct x25519_key *)keys.onion[i]);
	secret_wipe(secrets, sizeof(secrets));
}

/* The layout of keys is fixed: cutting the expanded secret into them looks at no byte of it. */
static void check_keys_set(void)
{
	unsigned before = VALGRIND_COUNT_ERRORS;
	uint8_t raw[CIRCUIT_KEYS_LEN];
	struct circuit_keys keys;

	memset(raw, 3, sizeof(raw));
	secret(raw, sizeof(raw));
	circuit_keys_set(&keys, raw);
	reveal(&keys, sizeof(keys));
	check("circuit_keys_set", before, keys.kb[15] == 3);
}

static int rerun(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return SKIPPED;
	self[n] = '\0';
	execlp("valgrind", "valgrind", "-q", "--tool=memcheck", "--leak-check=no", self, (char *)NULL);
	return SKIPPED;
}

int main(void)
{
	if (!RUNNING_ON_VALGRIND)
		return rerun();
	if (crypto_init() < 0)
		return 1;
	control();
	check_eq(0);
	check_eq(31);
	check_eq(32);
	check_zero(0);
	check_zero(31);
	check_zero(32);
	for (size_t i = 0; i < 3; i++)
		check_onion_key(i);
	check_keys_set();
	return failures ? 1 : 0;
}

#endif
