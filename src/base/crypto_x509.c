/*
 * The two X.509 certificates of a link: the one TLS shows, whose key matters
 * only because a CERTS cell names its digest, and the RSA identity's own
 * (CERTS type 2). Nobody follows a chain or reads a name.
 */
#include "config.h"

#include <nonos/crypto.h>

#include <stdlib.h>
#include <time.h>

#include "crypto_priv.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <nonos/err.h>
#include <nonos/mem.h>
#include <nonos/rand.h>

enum { RSA_ID_CERT_MAX = 4096, RSA_ID_BITS = 1024, LINK_KEY_BITS = 2048 };

static bool set_name(X509_NAME *name, const char *host)
{
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0);
}

static bool set_serial(X509 *cert)
{
	uint64_t serial;

	rand_bytes(&serial, sizeof(serial));
	/* Positive, and never zero. */
	return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1 | 1);
}

static bool set_validity(X509 *cert, int64_t not_before, int64_t lifetime_s)
{
	return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)not_before) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(not_before + lifetime_s));
}

/* Make a certificate over `pkey`, signed with the same key. NULL on failure. */
static X509 *make_cert(EVP_PKEY *pkey, const char *subject, const char *issuer,
		       int64_t not_before, int64_t lifetime_s)
{
	X509 *cert = X509_new();

	if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	    set_name(X509_get_subject_name(cert), subject) &&
	    set_name(X509_get_issuer_name(cert), issuer) &&
	    set_validity(cert, not_before, lifetime_s) && X509_set_pubkey(cert, pkey) &&
	    X509_sign(cert, pkey, EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}

static int cert_encode(uint8_t **ret, size_t *ret_len, const X509 *cert)
{
	int len = i2d_X509(cert, NULL);
	uint8_t *der, *p;

	if (len <= 0)
		return ERR_CRYPTO;
	der = p = mem_new((size_t)len);
	(void)i2d_X509(cert, &p);
	*ret = der;
	*ret_len = (size_t)len;
	return 0;
}

static int key_encode(uint8_t **ret, size_t *ret_len, const EVP_PKEY *pkey)
{
	int len = i2d_PrivateKey(pkey, NULL);
	uint8_t *der, *p;

	if (len <= 0)
		return ERR_CRYPTO;
	der = p = mem_new((size_t)len);
	(void)i2d_PrivateKey(pkey, &p);
	*ret = der;
	*ret_len = (size_t)len;
	return 0;
}

int x509_make_link_cert(uint8_t **ret_key_der, size_t *ret_key_len, uint8_t **ret_cert_der,
			size_t *ret_cert_len, int64_t not_before, int64_t lifetime_s)
{
	char subject[CRYPTO_HOSTNAME_CAP], issuer[CRYPTO_HOSTNAME_CAP];
	EVP_PKEY *pkey = EVP_RSA_gen(LINK_KEY_BITS);
	X509 *cert = NULL;
	uint8_t *cert_der;
	size_t cert_len;
	int r = ERR_CRYPTO;

	if (!pkey)
		goto out;
	cert = make_cert(pkey, crypto_random_hostname(subject, "net"),
			 crypto_random_hostname(issuer, "com"), not_before, lifetime_s);
	if (!cert)
		goto out;
	r = cert_encode(&cert_der, &cert_len, cert);
	if (r < 0)
		goto out;
	r = key_encode(ret_key_der, ret_key_len, pkey);
	if (r < 0) {
		free(cert_der);
		goto out;
	}
	*ret_cert_der = cert_der;
	*ret_cert_len = cert_len;
out:
	X509_free(cert);
	EVP_PKEY_free(pkey);
	return r;
}

int x509_make_rsa_id_cert(uint8_t **ret_cert_der, size_t *ret_cert_len,
			  const struct rsa_key *identity, int64_t not_before, int64_t lifetime_s)
{
	char name[CRYPTO_HOSTNAME_CAP];
	X509 *cert;
	int r = ERR_CRYPTO;

	crypto_random_hostname(name, "net");
	cert = make_cert(rsa_pkey(identity), name, name, not_before, lifetime_s);
	if (cert)
		r = cert_encode(ret_cert_der, ret_cert_len, cert);
	X509_free(cert);
	return r;
}

static int check_validity(const X509 *cert, int64_t now)
{
	time_t t = (time_t)now;
	int before = X509_cmp_time(X509_get0_notBefore(cert), &t);
	int after = X509_cmp_time(X509_get0_notAfter(cert), &t);

	if (before == 0 || after == 0)
		return ERR_MALFORMED;
	if (before > 0)
		return ERR_NOT_YET;
	return after < 0 ? ERR_EXPIRED : 0;
}

/* Give the certificate's key when it is an RSA identity's. */
static int cert_rsa_id_key(struct rsa_key **ret, const X509 *cert)
{
	EVP_PKEY *pkey = X509_get0_pubkey(cert);
	uint8_t der[RSA_PUB_DER_CAP], *p = der;
	struct rsa_key *k;
	int r;

	if (!pkey || !EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_get_bits(pkey) != RSA_ID_BITS)
		return ERR_UNSUPPORTED;
	/* The exponent may be as long as the modulus: more than `der` holds only if it is not 65537. */
	r = i2d_PublicKey(pkey, NULL);
	if (r <= 0 || (size_t)r > sizeof(der))
		return ERR_UNSUPPORTED;
	r = rsa_public_from_der(&k, der, (size_t)i2d_PublicKey(pkey, &p));
	if (r < 0)
		return r;
	*ret = k;
	return 0;
}

int x509_check_rsa_id_cert(struct rsa_key **ret_key, const uint8_t *der, size_t len, int64_t now)
{
	const uint8_t *p = der;
	struct rsa_key *k = NULL;
	X509 *cert = NULL;
	int r = ERR_MALFORMED;

	if (len > RSA_ID_CERT_MAX)
		goto out;
	cert = d2i_X509(NULL, &p, (long)len);
	if (!cert || p != der + len)
		goto out;
	r = cert_rsa_id_key(&k, cert);
	if (r < 0)
		goto out;
	r = ERR_AUTH;
	if (X509_verify(cert, rsa_pkey(k)) != 1)
		goto out;
	r = check_validity(cert, now);
	if (r < 0)
		goto out;
	*ret_key = k;
	k = NULL;
out:
	rsa_free(k);
	X509_free(cert);
	ERR_clear_error();
	return r;
}
