#include "io/tls_verify.h"

#include <openssl/asn1.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "io/tls_certificate.h"
#include "io/tls_words.h"

/* As many of the names that a certificate is for as fit into a line. */
#define NAMES_SHOWN 5

/* A certificate without a subject is known by its names. */
static char *who(X509 *certificate)
{
    char *subject = tls_certificate_subject(certificate);
    if (*subject)
        return subject;
    free(subject);
    return tls_certificate_names(certificate, NAMES_SHOWN);
}

/* "WORDS: CN=foo REST" */
static char *about(X509 *certificate, const char *words, const char *rest)
{
    char *subject = who(certificate);
    char *message = memory_format("%s: %s %s", words, subject, rest);
    free(subject);
    return message;
}

static char *about_time(X509 *certificate, const char *words, const char *rest,
                        const ASN1_TIME *time)
{
    char *text = tls_time_text(time);
    char *all = memory_format("%s %s", rest, text);
    char *message = about(certificate, words, all);
    free(text);
    free(all);
    return message;
}

static char *unknown_issuer(X509 *certificate)
{
    char *subject = who(certificate);
    char *issuer = tls_certificate_issuer(certificate);
    char *message = memory_format(
        "unknown issuer: %s, which signed %s, was not sent by the peer and is "
        "not trusted here",
        *issuer ? issuer : "an issuer without a name", subject);
    free(subject);
    free(issuer);
    return message;
}

/* "foo.example.com" or "192.0.2.1": whom one wanted; to be freed, or NULL. */
static char *expected_name(X509_STORE_CTX *store)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    if (host)
        return memory_format("%s", host);
    char *address = X509_VERIFY_PARAM_get1_ip_asc(param);
    char *name = address ? memory_format("%s", address) : NULL;
    OPENSSL_free(address);
    return name;
}

static char *wrong_name(X509_STORE_CTX *store, X509 *certificate)
{
    char *names = tls_certificate_names(certificate, NAMES_SHOWN);
    char *expected = expected_name(store);
    char *message =
        memory_format("hostname mismatch: certificate is for %s%s%s",
                      *names ? names : "nobody", expected ? ", not " : "",
                      expected ? expected : "");
    free(names);
    free(expected);
    return message;
}

/* What was asked for is known to the caller, what it is for is not. */
static char *wrong_purpose(X509 *certificate)
{
    uint32_t usage = X509_get_extended_key_usage(certificate);
    bool server = usage & XKU_SSL_SERVER, client = usage & XKU_SSL_CLIENT;
    return about(certificate, "certificate is for another use",
                 client && !server   ? "is for TLS clients only"
                 : server && !client ? "is for TLS servers only"
                                     : "may not be used for this");
}

char *tls_verify_message(X509_STORE_CTX *store)
{
    int error = X509_STORE_CTX_get_error(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (!certificate)
        return memory_format("%s", X509_verify_cert_error_string(error));
    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return wrong_name(store, certificate);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return about(certificate, "self-signed certificate",
                     "is not trusted here");
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return about(certificate, "self-signed certificate in the chain",
                     "is not trusted here");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return unknown_issuer(certificate);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return about_time(certificate, "certificate has expired",
                          "was valid until", X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return about_time(certificate, "certificate is not valid yet",
                          "is valid from", X509_get0_notBefore(certificate));
    case X509_V_ERR_INVALID_PURPOSE:
        return wrong_purpose(certificate);
    case X509_V_ERR_INVALID_CA:
        return about(certificate, "issuer is no certificate authority",
                     "may not sign others");
    default:
        return about(certificate, X509_verify_cert_error_string(error),
                     "is not accepted");
    }
}
