#include "io/tls_issue.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "io/tls_words.h"

/* Where it is refused, `fault` says why. */
static bool refuse(struct tls_fault *fault, const char *what, const char *why)
{
    return tls_fault_set(fault, EINVAL, memory_format("%s: %s", what, why));
}

/* What OpenSSL did not do. */
static bool failed(struct tls_fault *fault, const char *what)
{
    return tls_fault_set(fault, ERROR_TLS,
                         memory_format("%s: %s", what, tls_reason()));
}

/* --- the key -------------------------------------------------------------- */

static EVP_PKEY *make_ec_key(const char *curve, struct tls_fault *fault)
{
    int nid = EC_curve_nist2nid(curve);
    if (nid == NID_undef)
        nid = OBJ_sn2nid(curve);
    EVP_PKEY *key = nid == NID_undef
                        ? NULL
                        : EVP_PKEY_Q_keygen(NULL, NULL, "EC", OBJ_nid2sn(nid));
    ERR_clear_error();
    if (!key)
        refuse(fault, "curve", "not a curve that OpenSSL knows");
    return key;
}

static EVP_PKEY *make_key(const struct tls_issue *issue,
                          struct tls_fault *fault)
{
    const char *kind = issue->key.data;
    EVP_PKEY *key = NULL;
    if (strcmp(kind, "ec") == 0)
        return make_ec_key(issue->curve, fault);
    if (strcmp(kind, "rsa") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) issue->bits);
    else if (strcmp(kind, "ed25519") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else if (strncmp(kind, "-----BEGIN", 10) == 0)
        return tls_pem_key(kind, issue->key.size, fault);
    else {
        refuse(fault, "key", "\"rsa\", \"ec\", \"ed25519\" or a PEM expected");
        return NULL;
    }
    if (!key)
        failed(fault, "making a key");
    return key;
}

/* --- whom it is for ------------------------------------------------------- */

static bool set_subject(X509 *certificate, const struct tls_issue *issue,
                        struct tls_fault *fault)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    for (size_t i = 0; i < issue->subject_count; i++) {
        const struct tls_subject_field *field = &issue->subject[i];
        if (X509_NAME_add_entry_by_txt(
                name, field->type, MBSTRING_UTF8,
                (const unsigned char *) field->value.data,
                (int) field->value.size, -1, 0))
            continue;
        char *what = memory_format("subject %s", field->type);
        refuse(fault, what, tls_reason());
        free(what);
        return false;
    }
    return true;
}

static bool is_ascii(const struct tls_text *text)
{
    for (size_t i = 0; i < text->size; i++)
        if (text->data[i] <= ' ' || text->data[i] > '~')
            return false;
    return text->size > 0;
}

/* The kind shows from how it is written. */
static GENERAL_NAME *alternative(const struct tls_text *text)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text->data);
    ERR_clear_error();
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (address) {
        GENERAL_NAME_set0_value(name, GEN_IPADD, address);
        return name;
    }
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    ASN1_STRING_set(value, text->data, (int) text->size);
    int kind = strstr(text->data, "://")      ? GEN_URI
               : strchr(text->data, '@') != 0 ? GEN_EMAIL
                                              : GEN_DNS;
    GENERAL_NAME_set0_value(name, kind, value);
    return name;
}

static bool add_names(X509 *certificate, const struct tls_issue *issue,
                      struct tls_fault *fault)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool good = true;
    for (size_t i = 0; good && i < issue->name_count; i++) {
        const struct tls_text *text = &issue->names[i];
        if (is_ascii(text))
            sk_GENERAL_NAME_push(names, alternative(text));
        else
            good = refuse(fault, "names",
                          "a name without spaces, in ASCII, expected");
    }
    if (good && issue->name_count > 0)
        X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0,
                          X509V3_ADD_DEFAULT);
    GENERAL_NAMES_free(names);
    return good;
}

/* --- what it is for ------------------------------------------------------- */

static bool add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension)
        return false;
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return true;
}

static int usage_nid(const char *usage)
{
    static const struct {
        const char *name;
        int nid;
    } known[] = {
        {"server", NID_server_auth},  {"client", NID_client_auth},
        {"ocsp", NID_OCSP_sign},      {"code", NID_code_sign},
        {"email", NID_email_protect},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(usage, known[i].name) == 0)
            return known[i].nid;
    return NID_undef;
}

static bool add_usage(X509 *certificate, const char *const *usage,
                      struct tls_fault *fault)
{
    EXTENDED_KEY_USAGE *list = EXTENDED_KEY_USAGE_new();
    bool good = true, ocsp = false;
    for (; good && *usage; usage++) {
        int nid = usage_nid(*usage);
        if (nid == NID_undef)
            good = refuse(fault, "usage",
                          "\"server\", \"client\", \"ocsp\", \"code\" or "
                          "\"email\" expected");
        else
            sk_ASN1_OBJECT_push(list, OBJ_nid2obj(nid));
        ocsp = ocsp || nid == NID_OCSP_sign;
    }
    if (good)
        X509_add1_ext_i2d(certificate, NID_ext_key_usage, list, 0,
                          X509V3_ADD_DEFAULT);
    /* Nobody can ask an OCSP responder whether it is itself revoked. */
    if (good && ocsp)
        add(certificate, NULL, NID_id_pkix_OCSP_noCheck, "");
    EXTENDED_KEY_USAGE_free(list);
    return good;
}

/* A self-signed certificate that is no CA gets no keyUsage: without the right
 * to sign certificates it would count as signed by somebody unknown. */
static bool add_extensions(X509 *certificate, X509 *issuer,
                           const struct tls_issue *issue,
                           struct tls_fault *fault)
{
    static const char *const both[] = {"server", "client", NULL};
    bool self = issuer == certificate;
    bool rsa = EVP_PKEY_is_a(X509_get0_pubkey(certificate), "RSA");
    const char *const *usage = issue->usage;
    add(certificate, issuer, NID_basic_constraints,
        issue->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (issue->ca)
        add(certificate, issuer, NID_key_usage,
            "critical,digitalSignature,keyCertSign,cRLSign");
    else if (!self)
        add(certificate, issuer, NID_key_usage,
            rsa ? "critical,digitalSignature,keyEncipherment"
                : "critical,digitalSignature");
    if (!usage && !issue->ca)
        usage = both;
    if (usage && !add_usage(certificate, usage, fault))
        return false;
    add(certificate, issuer, NID_subject_key_identifier, "hash");
    if (!self && X509_get0_subject_key_id(issuer))
        add(certificate, issuer, NID_authority_key_identifier, "keyid");
    ERR_clear_error();
    return add_names(certificate, issue, fault);
}

/* --- putting it together -------------------------------------------------- */

static void set_serial(X509 *certificate)
{
    BIGNUM *number = BN_new();
    BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
}

static bool set_validity(X509 *certificate, const struct tls_issue *issue,
                         struct tls_fault *fault)
{
    if (!(issue->not_after > issue->not_before))
        return refuse(fault, "not_after", "a time after not_before expected");
    if (ASN1_TIME_set(X509_getm_notBefore(certificate),
                      (time_t) issue->not_before) &&
        ASN1_TIME_set(X509_getm_notAfter(certificate),
                      (time_t) issue->not_after))
        return true;
    return refuse(fault, "not_after", tls_reason());
}

static bool sign(X509 *certificate, EVP_PKEY *key, struct tls_fault *fault)
{
    bool digests =
        !EVP_PKEY_is_a(key, "ED25519") && !EVP_PKEY_is_a(key, "ED448");
    if (X509_sign(certificate, key, digests ? EVP_sha256() : NULL))
        return true;
    return failed(fault, "signing");
}

/* Who signs: `issuer` and `signer`, with a reference each. */
static bool find_issuer(const struct tls_issue *issue, X509 *certificate,
                        EVP_PKEY *key, X509 **issuer, EVP_PKEY **signer,
                        struct tls_fault *fault)
{
    if (!issue->issuer_cert.data) {
        X509_up_ref(*issuer = certificate);
        EVP_PKEY_up_ref(*signer = key);
        return true;
    }
    *issuer = tls_pem_certificate(issue->issuer_cert.data,
                                  issue->issuer_cert.size, fault);
    if (!*issuer)
        return false;
    *signer =
        tls_pem_key(issue->issuer_key.data, issue->issuer_key.size, fault);
    if (!*signer)
        return false;
    if (X509_check_private_key(*issuer, *signer))
        return true;
    char *name = tls_pem_name(issue->issuer_key.data, issue->issuer_key.size);
    failed(fault, name);
    free(name);
    return false;
}

static bool build(X509 *certificate, EVP_PKEY *key,
                  const struct tls_issue *issue, struct tls_fault *fault)
{
    X509 *issuer = NULL;
    EVP_PKEY *signer = NULL;
    X509_set_version(certificate, X509_VERSION_3);
    X509_set_pubkey(certificate, key);
    set_serial(certificate);
    bool good =
        set_subject(certificate, issue, fault) &&
        set_validity(certificate, issue, fault) &&
        find_issuer(issue, certificate, key, &issuer, &signer, fault) &&
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) &&
        add_extensions(certificate, issuer, issue, fault) &&
        sign(certificate, signer, fault);
    X509_free(issuer);
    EVP_PKEY_free(signer);
    return good;
}

static void write_out(X509 *certificate, EVP_PKEY *key, char **certificate_pem,
                      char **key_pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    *certificate_pem = tls_take_text(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    *key_pem = tls_take_text(bio);
}

bool tls_issue(const struct tls_issue *issue, char **certificate_pem,
               char **key_pem, struct tls_fault *fault)
{
    EVP_PKEY *key = tls_available(fault) ? make_key(issue, fault) : NULL;
    if (!key)
        return false;
    X509 *certificate = X509_new();
    bool good = build(certificate, key, issue, fault);
    if (good)
        write_out(certificate, key, certificate_pem, key_pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good;
}
