/*
 * Signing what goes into the journal. A command that makes an object calls
 * sign_object(), and gives the operator three ways by the same options:
 *
 *   key        a key of the keystore, by name or address; then also
 *              keystore, password_file. One that the daemon holds unlocked ("key unlock")
 *              is used without a pass phrase
 *   key_file   a raw key, 64 hexadecimal digits in a file
 *   cold       FILE: the key is elsewhere. The object goes to FILE, what is to
 *              be signed is printed, and that is all for now. The same object
 *              goes on with "object attach FILE --signature HEX", which
 *              gives what sign_object() would have given.
 *
 * Exactly one must be given. In commands.def:
 *
 *   ARG(name, "key", TEXT, 1, 255, 0, "KEY", "Sign with this key of the keystore: its name or address.")
 *   ARG(name, "keystore", DIR, 1, 4096, 0, "DIR", "Where the keystore files are.")
 *   ARG(name, "password_file", FILE, 1, 4096, 0, "FILE", "File whose first line is the pass phrase.")
 *   ARG(name, "key_file", FILE, 1, 4096, 0, "KEYFILE", "Sign with the key in this file.")
 *   ARG(name, "cold", FILE, 1, 4096, 0, "FILE", "Write what is to be signed, for a key that is elsewhere.")
 */
#ifndef CTL_SIGN_H
#define CTL_SIGN_H

#include <nonos/secret.h>
#include <nonos/typed.h>

#include "ctl.h"

/*
 * Sign `object`: {"domain", "primaryType", "message"}, and what travels along
 * unsigned, like "attachments". EXIT_OK and *ret_signed, a new object that has
 * "signatures" too, as ledger_submit() takes it; or EXIT_OK and NULL: it is in the
 * file for a cold key and all is said. Else an exit status after a complaint.
 */
int sign_object(json_t **ret_signed, const struct invocation *in, const json_t *object);

/*
 * Whose key it will be, before there is an object: the address of "key" or "key_file".
 * ERR_NOT_FOUND (without a complaint) when it is cold. For messages that name their signer.
 */
int sign_address(struct eth_addr *ret, const struct invocation *in);

/* Complete an object with a signature that was made elsewhere; it must be by the signer that the message names. */
int sign_attach(json_t **ret_signed, const json_t *object, const char *signature);

/* The hashes of an object's signed part, whatever else is in it. Complains about `where`. */
int sign_hashes(struct typed_hashes *ret, const json_t *object, const char *where);

/* Fail unless `signer` is the account that the message names; `whose` begins what is said. */
int sign_check_signer(const struct typed_hashes *h, const struct eth_addr *signer, const char *whose);

/* Sign with a secret key; *ret_signer is its account. */
int sign_with(uint8_t ret_sig[ETH_SIG_LEN], struct eth_addr *ret_signer, const struct typed_hashes *h,
	      const uint8_t secret[ETH_SECRET_LEN]);

/*
 * Sign what `h` is the hashes of with "key" or "key_file". A key that the daemon holds unlocked
 * is used there; else the pass phrase is asked for.
 */
int sign_document(uint8_t ret_sig[ETH_SIG_LEN], struct eth_addr *ret_signer, const struct invocation *in,
		  const json_t *object, const struct typed_hashes *h);

/* Print a signature, what it is of and by whom. Returns the exit status. */
int sign_print(const struct invocation *in, const struct typed_hashes *h, const struct eth_addr *signer,
	       const uint8_t sig[ETH_SIG_LEN]);

/* The 65 bytes of hexadecimal text. */
int sign_parse_signature(uint8_t ret[ETH_SIG_LEN], const char *text);

#endif
