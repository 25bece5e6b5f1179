/*
 * snp_verify.c - whether an SNP attestation report is signed by the key of a certificate.
 *
 * The one use lkvm has for cryptography, and most machines never need it: libcrypto is loaded for
 * this call and is nothing that building or running lkvm asks for. So its headers are not used
 * either. The functions below have had these prototypes since OpenSSL 3.0 (their manual pages,
 * section 3ssl) and keep them for as long as the library is called libcrypto.so.3.
 *
 * Report and certificate are hostile: what is not P-384 is refused before anything is computed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "vmm/image.h"
#include "vmm/snp.h"

#define LIBCRYPTO "libcrypto.so.3"
#define MAX_PEM	  (64 * KIB) /* a VCEK's is some 2 KiB */

/* Instead of asking for a passphrase on the terminal, which an encrypted PEM file makes it do. */
typedef int (*passphrase_fn)(char *buf, int size, int for_writing, void *ctx);

/* clang-format off */
#define CRYPTO_FUNCTIONS(F) \
	F(void *, BIO_new_mem_buf, (const void *buf, int len)) \
	F(int, BIO_free, (void *bio)) \
	F(void *, PEM_read_bio_X509, (void *bio, void **x509, passphrase_fn fn, void *ctx)) \
	F(void, X509_free, (void *x509)) \
	F(void *, X509_get0_pubkey, (const void *x509)) \
	F(int, EVP_PKEY_is_a, (const void *key, const char *name)) \
	F(int, EVP_PKEY_get_group_name, \
	  (const void *key, char *name, size_t size, size_t *len)) \
	F(const void *, EVP_sha384, (void)) \
	F(void *, EVP_MD_CTX_new, (void)) \
	F(void, EVP_MD_CTX_free, (void *ctx)) \
	F(int, EVP_DigestVerifyInit, \
	  (void *ctx, void **pkey_ctx, const void *md, void *engine, void *key)) \
	F(int, EVP_DigestVerify, \
	  (void *ctx, const u8 *sig, size_t sig_len, const u8 *data, size_t len)) \
	F(int, ERR_set_mark, (void)) \
	F(int, ERR_pop_to_mark, (void))

struct crypto {
	void *lib;
#define F(ret, name, args) ret (*name) args;
	CRYPTO_FUNCTIONS(F)
#undef F
};

#define F(ret, name, args) { #name, offsetof(struct crypto, name) },
static const struct {
	const char *name;
	size_t at;
} functions[] = { CRYPTO_FUNCTIONS(F) };
#undef F
/* clang-format on */

static int crypto_load(struct crypto *c, struct lkvm_error *err)
{
	c->lib = dlopen(LIBCRYPTO, RTLD_NOW | RTLD_LOCAL);
	if (!c->lib)
		return err_unsupported(err, ENOSYS,
				       "checking a signature takes " LIBCRYPTO
				       " of OpenSSL 3 (Debian: libssl3), which cannot be loaded");
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		void *fn = dlsym(c->lib, functions[i].name);

		if (!fn) {
			dlclose(c->lib);
			return err_unsupported(err, ENOSYS,
					       LIBCRYPTO " is not OpenSSL 3's: it has no %s",
					       functions[i].name);
		}
		memcpy((u8 *)c + functions[i].at, &fn, sizeof(fn));
	}
	return 0;
}

/* ---- the signature --------------------------------------------------------------------- */

#define P384_LEN 48
#define DER_MAX	 (2 + 2 * (2 + 1 + P384_LEN))

/* @le, 72 bytes, as an ASN.1 INTEGER at @der: shortest form, a zero in front of a set top bit. */
static size_t der_integer(u8 *der, const u8 *le)
{
	size_t n = P384_LEN, len = 2;

	while (n > 1 && !le[n - 1])
		n--;
	if (le[n - 1] & 0x80)
		der[len++] = 0;
	while (n)
		der[len++] = le[--n];
	der[0] = 0x02;
	der[1] = (u8)(len - 2);
	return len;
}

/* The report's two numbers as libcrypto wants them: SEQUENCE { INTEGER r, INTEGER s }. */
static size_t der_signature(u8 *der, const struct lkvm_snp_report *r)
{
	size_t len = der_integer(der + 2, r->signature_r);

	len += der_integer(der + 2 + len, r->signature_s);
	_Static_assert(DER_MAX - 2 < 0x80, "the length has one byte");
	der[0] = 0x30;
	der[1] = (u8)len;
	return 2 + len;
}

static bool is_zero(const u8 *p, size_t len)
{
	while (len && !*p)
		p++, len--;
	return !len;
}

/* What can be said without a key. */
static int check_signature(const struct lkvm_snp_report *r, struct lkvm_error *err)
{
	const size_t len = sizeof(r->signature_r), above = len - P384_LEN;

	if (r->signing_key == SNP_SIGNING_KEY_NONE ||
	    (is_zero(r->signature_r, len) && is_zero(r->signature_s, len)))
		return err_input(err, "the report is not signed: %s",
				 r->mask_chip_key ? "the platform masks chip keys (MASK_CHIP_KEY)"
						  : "its signature is empty");
	if (r->signature_algo != SNP_SIGNATURE_P384)
		return err_input(err,
				 "the report's SIGNATURE_ALGO is %u; must be %d, ECDSA P-384 with "
				 "SHA-384",
				 r->signature_algo, SNP_SIGNATURE_P384);
	if (!is_zero(r->signature_r + P384_LEN, above) ||
	    !is_zero(r->signature_s + P384_LEN, above))
		return err_input(err, "the report's signature is none of P-384: it has numbers of "
				      "more than 384 bits");
	return 0;
}

/* ---- the certificate ------------------------------------------------------------------- */

static int no_passphrase(char *buf, int size, int for_writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)for_writing;
	(void)ctx;
	return -1;
}

static int read_pem(const char *path, u8 **pem, size_t *len, struct lkvm_error *err)
{
	struct image img;
	int ret = image_open(&img, "certificate", path, err);

	if (!ret && img.fd < 0)
		ret = err_input(err, "certificate: the name of a file is needed");
	if (!ret && img.size > MAX_PEM)
		ret = err_input(err, "certificate %s: has %llu bytes; at most %llu are read", path,
				(unsigned long long)img.size, (unsigned long long)MAX_PEM);
	*len = ret ? 0 : (size_t)img.size;
	*pem = ret ? NULL : malloc(*len);
	if (!ret && !*pem)
		ret = err_host(err, ENOMEM, "certificate %s", path);
	if (!ret)
		ret = image_read(&img, 0, *pem, *len, err);
	image_close(&img);
	return ret;
}

/* AMD's key server gives out DER: an ASN.1 SEQUENCE of more than 255 bytes. */
static bool looks_like_der(const u8 *p, size_t len)
{
	return len > 2 && p[0] == 0x30 && p[1] == 0x82;
}

static int parse_cert(const struct crypto *c, const char *path, const u8 *pem, size_t len,
		      void **cert, struct lkvm_error *err)
{
	void *bio = c->BIO_new_mem_buf(pem, (int)len);

	if (!bio)
		return err_host(err, ENOMEM, "certificate %s", path);
	*cert = c->PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	c->BIO_free(bio);
	if (*cert)
		return 0;
	return err_input(err, "certificate %s: is no X.509 certificate in PEM form%s", path,
			 looks_like_der(pem, len) ? ", but seems to be in DER form: 'openssl x509 "
						    "-inform der' converts it"
						  : "");
}

/* *@key is the certificate's. */
static int key_of(const struct crypto *c, const char *path, const void *cert, void **key,
		  struct lkvm_error *err)
{
	char group[32] = "";
	size_t len = 0;

	*key = c->X509_get0_pubkey(cert);
	if (*key && c->EVP_PKEY_is_a(*key, "EC") == 1 &&
	    c->EVP_PKEY_get_group_name(*key, group, sizeof(group), &len) == 1 &&
	    !strcmp(group, "secp384r1"))
		return 0;
	return err_input(err,
			 "certificate %s: its key is not for ECDSA on the curve P-384, so it is "
			 "neither a VCEK nor a VLEK",
			 path);
}

static int verify_with(const struct crypto *c, void *key, const char *path, const u8 *report,
		       const u8 *sig, size_t sig_len, struct lkvm_error *err)
{
	void *ctx = c->EVP_MD_CTX_new();
	int ret;

	if (!ctx)
		return err_host(err, ENOMEM, "certificate %s", path);
	if (c->EVP_DigestVerifyInit(ctx, NULL, c->EVP_sha384(), NULL, key) != 1)
		ret = err_unsupported(err, EOPNOTSUPP,
				      LIBCRYPTO " of this host does not do ECDSA with SHA-384");
	else if (c->EVP_DigestVerify(ctx, sig, sig_len, report, SNP_REPORT_SIGNED) != 1)
		ret = err_input(err, "the report is not signed by the key of certificate %s", path);
	else
		ret = 0;
	c->EVP_MD_CTX_free(ctx);
	return ret;
}

static int verify(const struct crypto *c, const u8 *report, const struct lkvm_snp_report *r,
		  const char *path, struct lkvm_error *err)
{
	void *cert = NULL, *key = NULL;
	u8 der[DER_MAX], *pem;
	size_t len;
	int ret = read_pem(path, &pem, &len, err);

	if (!ret)
		ret = parse_cert(c, path, pem, len, &cert, err);
	if (!ret)
		ret = key_of(c, path, cert, &key, err);
	if (!ret)
		ret = verify_with(c, key, path, report, der, der_signature(der, r), err);
	c->X509_free(cert);
	free(pem);
	return ret;
}

int lkvm_snp_report_verify(const void *data, size_t len, const char *vcek, struct lkvm_error *err)
{
	const u8 *report = snp_report_find(data, len, err);
	struct lkvm_snp_report r;
	struct crypto c;
	int ret;

	if (!report)
		return -EINVAL;
	ret = lkvm_snp_report_decode(report, LKVM_SNP_REPORT_LEN, &r, err);
	if (!ret)
		ret = check_signature(&r, err);
	if (!ret)
		ret = crypto_load(&c, err);
	if (ret)
		return ret;
	/* what it finds wrong stays between us: the embedder may have a use for its queue of errors
	 */
	c.ERR_set_mark();
	ret = verify(&c, report, &r, vcek, err);
	c.ERR_pop_to_mark();
	dlclose(c.lib);
	return ret;
}
