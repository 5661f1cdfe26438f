#include "io/tls_certificate.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/tls_words.h"

/* RFC 4514's escapes and UTF-8, in the order in which it is written. */
#define NAME_FLAGS \
    (XN_FLAG_ONELINE & ~(unsigned long) XN_FLAG_SPC_EQ & \
     ~(unsigned long) ASN1_STRFLGS_ESC_MSB)

static char *name_text(const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    X509_NAME_print_ex(bio, name, 0, NAME_FLAGS);
    return tls_take_text(bio);
}

char *tls_certificate_subject(X509 *certificate)
{
    return name_text(X509_get_subject_name(certificate));
}

char *tls_certificate_issuer(X509 *certificate)
{
    return name_text(X509_get_issuer_name(certificate));
}

/* --- whom it is for ------------------------------------------------------- */

/* A subjectAltName as it is written in an address; false for kinds that are
 * not (directory names, …). `room` has INET6_ADDRSTRLEN bytes. */
static bool alternative(const GENERAL_NAME *name, const char **data,
                        size_t *size, char *room)
{
    int kind;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);
    if (kind != GEN_DNS && kind != GEN_EMAIL && kind != GEN_URI &&
        kind != GEN_IPADD)
        return false;
    *data = (const char *) ASN1_STRING_get0_data(value);
    *size = (size_t) ASN1_STRING_length(value);
    if (kind != GEN_IPADD)
        return true;
    if (*size != 4 && *size != 16)
        return false;
    inet_ntop(*size == 4 ? AF_INET : AF_INET6, *data, room, INET6_ADDRSTRLEN);
    *data = room;
    *size = strlen(room);
    return true;
}

static int visit_names(X509 *certificate,
                       void (*visit)(void *context, const char *data,
                                     size_t size),
                       void *context)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char room[INET6_ADDRSTRLEN];
    const char *data;
    size_t size;
    int count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (!alternative(sk_GENERAL_NAME_value(names, i), &data, &size, room))
            continue;
        visit(context, data, size);
        count++;
    }
    GENERAL_NAMES_free(names);
    return count;
}

struct enumeration {
    BIO *bio;
    int count, most;
};

/* A name may hold anything at all, and goes into a line on a terminal. */
static void enumerate(void *context, const char *data, size_t size)
{
    struct enumeration *list = context;
    if (list->count++ >= list->most)
        return;
    if (list->count > 1)
        BIO_puts(list->bio, ", ");
    for (size_t i = 0; i < size; i++) {
        bool shown = isgraph((unsigned char) data[i]);
        BIO_write(list->bio, shown ? &data[i] : "?", 1);
    }
}

char *tls_certificate_names(X509 *certificate, int most)
{
    struct enumeration list = {BIO_new(BIO_s_mem()), 0, most};
    if (visit_names(certificate, enumerate, &list) == 0) {
        BIO_free(list.bio);
        return tls_certificate_subject(certificate);
    }
    if (list.count > most)
        BIO_printf(list.bio, " and %d more", list.count - most);
    return tls_take_text(list.bio);
}

/* --- visiting ------------------------------------------------------------- */

static void tell(const struct tls_certificate_visitor *visitor,
                 const char *field, const char *text)
{
    visitor->text(visitor->context, field, text, strlen(text));
}

/* `text` is freed. */
static void tell_own(const struct tls_certificate_visitor *visitor,
                     const char *field, char *text)
{
    tell(visitor, field, text);
    free(text);
}

static void visit_name(const struct tls_certificate_visitor *visitor,
                       const char *field, const char *fields,
                       const X509_NAME *name)
{
    tell_own(visitor, field, name_text(name));
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
        unsigned char *data = NULL;
        char key[80];
        int size = ASN1_STRING_to_UTF8(&data, X509_NAME_ENTRY_get_data(entry));
        int nid = OBJ_obj2nid(type);
        if (nid == NID_undef)
            OBJ_obj2txt(key, sizeof key, type, 1);
        else
            snprintf(key, sizeof key, "%s", OBJ_nid2sn(nid));
        if (size >= 0)
            visitor->entry(visitor->context, fields, key, (char *) data,
                           (size_t) size);
        OPENSSL_free(data);
    }
}

static void visit_time(const struct tls_certificate_visitor *visitor,
                       const char *field, const ASN1_TIME *time)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts))
        visitor->number(visitor->context, field, (double) timegm(&parts));
}

static void visit_serial(const struct tls_certificate_visitor *visitor,
                         X509 *certificate)
{
    BIGNUM *number =
        ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number ? BN_bn2hex(number) : NULL;
    if (text)
        tell(visitor, "serial", text);
    OPENSSL_free(text);
    BN_free(number);
}

/* As openssl x509 -fingerprint -sha256 prints it: "0A:1B:…". */
static void visit_fingerprint(const struct tls_certificate_visitor *visitor,
                              X509 *certificate)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[EVP_MAX_MD_SIZE * 3 + 1] = "";
    unsigned size = 0;
    size_t length = 0;
    X509_digest(certificate, EVP_sha256(), digest, &size);
    for (unsigned i = 0; i < size; i++, length += 3)
        snprintf(text + length, 4, "%02X:", digest[i]);
    visitor->text(visitor->context, "fingerprint", text,
                  length > 0 ? length - 1 : 0);
}

static void visit_key(const struct tls_certificate_visitor *visitor,
                      X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
    char text[80];
    size_t size;
    if (!type)
        return;
    snprintf(text, sizeof text, "%s", type);
    for (char *at = text; *at; at++)
        *at = (char) tolower((unsigned char) *at);
    tell(visitor, "key_type", text);
    visitor->number(visitor->context, "key_bits", EVP_PKEY_get_bits(key));
    if (!EVP_PKEY_get_group_name(key, text, sizeof text, &size))
        return;
    const char *nist = EC_curve_nid2nist(OBJ_sn2nid(text));
    tell(visitor, "curve", nist ? nist : text);
}

static void visit_pem(const struct tls_certificate_visitor *visitor,
                      X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    tell_own(visitor, "pem", tls_take_text(bio));
}

static void visit_alternative(void *context, const char *data, size_t size)
{
    const struct tls_certificate_visitor *visitor = context;
    visitor->item(visitor->context, "sans", data, size);
}

void tls_certificate_visit(X509 *certificate,
                           const struct tls_certificate_visitor *visitor)
{
    uint32_t flags = X509_get_extension_flags(certificate);
    visit_name(visitor, "subject", "subject_fields",
               X509_get_subject_name(certificate));
    visit_name(visitor, "issuer", "issuer_fields",
               X509_get_issuer_name(certificate));
    visit_serial(visitor, certificate);
    visit_names(certificate, visit_alternative, (void *) visitor);
    visit_time(visitor, "not_before", X509_get0_notBefore(certificate));
    visit_time(visitor, "not_after", X509_get0_notAfter(certificate));
    visit_fingerprint(visitor, certificate);
    visit_key(visitor, certificate);
    tell(visitor, "signature_algorithm",
         OBJ_nid2sn(X509_get_signature_nid(certificate)));
    visitor->flag(visitor->context, "ca", (flags & EXFLAG_CA) != 0);
    visit_pem(visitor, certificate);
}
