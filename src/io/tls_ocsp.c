/* OCSP (tls_ocsp.h): what a client checks. The response is a client's only
 * after OpenSSL has verified the chain, and a failed check ends the handshake
 * with an alert of its own, so the check is done within the handshake. */
#include "io/tls_ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "io/tls_certificate.h"
#include "io/tls_staple.h"
#include "io/tls_words.h"

/* Seconds: how old a response may be that does not say how long it is good. */
#define AGE_MOST (7 * 24 * 60 * 60)

/* What a context has. */
struct ocsp {
    enum tls_ocsp wish;
    struct tls_staple *staple;
};

/* --- what hangs on OpenSSL's objects -------------------------------------- */

static void free_ocsp(void *parent, void *value, CRYPTO_EX_DATA *data,
                      int index, long number, void *pointer)
{
    struct ocsp *ocsp = value;
    (void) parent, (void) data, (void) index, (void) number, (void) pointer;
    if (ocsp)
        tls_staple_free(ocsp->staple);
    free(ocsp);
}

static void free_words(void *parent, void *value, CRYPTO_EX_DATA *data,
                       int index, long number, void *pointer)
{
    (void) parent, (void) data, (void) index, (void) number, (void) pointer;
    free(value);
}

static int context_slot(void)
{
    static int slot = -1;
    if (slot < 0)
        slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_ocsp);
    return slot;
}

static int words_slot(void)
{
    static int slot = -1;
    if (slot < 0)
        slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_words);
    return slot;
}

const char *tls_ocsp_fault(SSL *ssl)
{
    return SSL_get_ex_data(ssl, words_slot());
}

/* --- words ---------------------------------------------------------------- */

/* "OCSP: WORDS TIME REST"; to be freed. */
static char *dated(const char *words, const ASN1_GENERALIZEDTIME *time,
                   const char *rest)
{
    char *text = tls_time_text(time);
    char *message = memory_format("OCSP: %s %s%s", words, text, rest);
    free(text);
    return message;
}

static char *out_of_date(const ASN1_GENERALIZEDTIME *from,
                         const ASN1_GENERALIZEDTIME *until)
{
    if (ASN1_TIME_cmp_time_t(from, time(NULL) + TLS_STAPLE_SKEW) > 0)
        return dated("response is valid from", from, " only");
    if (until)
        return dated("response was valid until", until, "");
    return dated("response is too old, of", from, "");
}

static char *not_good(int status, int reason,
                      const ASN1_GENERALIZEDTIME *revoked, X509 *certificate)
{
    char *subject = tls_certificate_subject(certificate);
    char *words;
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
        char *when = tls_time_text(revoked);
        words = memory_format("OCSP: certificate was revoked on %s%s%s: %s",
                              when, reason < 0 ? "" : ", ",
                              reason < 0 ? "" : OCSP_crl_reason_str(reason),
                              subject);
        free(when);
    } else {
        words = memory_format(
            "OCSP: the responder does not know the certificate %s", subject);
    }
    free(subject);
    return words;
}

/* --- checking ------------------------------------------------------------- */

/* Does the answer concern that certificate? The responder chose the hash. */
static bool concerns(OCSP_SINGLERESP *single, X509 *certificate, X509 *issuer)
{
    OCSP_CERTID *id = (OCSP_CERTID *) OCSP_SINGLERESP_get0_id(single);
    ASN1_OBJECT *hash = NULL;
    OCSP_id_get0_info(NULL, &hash, NULL, NULL, id);
    const EVP_MD *digest = EVP_get_digestbyobj(hash);
    if (!digest)
        return false;
    OCSP_CERTID *own = OCSP_cert_to_id(digest, certificate, issuer);
    bool same = own && OCSP_id_cmp(own, id) == 0;
    OCSP_CERTID_free(own);
    return same;
}

static char *check_status(OCSP_BASICRESP *basic, X509 *certificate,
                          X509 *issuer)
{
    OCSP_SINGLERESP *single = NULL;
    for (int i = 0; !single && i < OCSP_resp_count(basic); i++)
        if (concerns(OCSP_resp_get0(basic, i), certificate, issuer))
            single = OCSP_resp_get0(basic, i);
    if (!single)
        return memory_format("OCSP: response is about another certificate");
    ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
    int reason = -1;
    int status =
        OCSP_single_get0_status(single, &reason, &revoked, &from, &until);
    if (!OCSP_check_validity(from, until, TLS_STAPLE_SKEW,
                             until ? -1 : AGE_MOST))
        return out_of_date(from, until);
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return not_good(status, reason, revoked, certificate);
    return NULL;
}

/* The chain that was verified; what the peer sent if nothing was. */
static STACK_OF(X509) * chain_of(SSL *ssl)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    return chain ? chain : SSL_get_peer_cert_chain(ssl);
}

/* Without verification of the chain there is nobody to trust either: then the
 * peer's own issuer may sign. */
static char *check_response(SSL *ssl, OCSP_BASICRESP *basic)
{
    STACK_OF(X509) *chain = chain_of(ssl);
    X509_STORE *store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
    bool verified = SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE &&
                    SSL_get_verify_result(ssl) == X509_V_OK;
    unsigned long partial = X509_VERIFY_PARAM_get_flags(SSL_get0_param(ssl)) &
                            X509_V_FLAG_PARTIAL_CHAIN;
    unsigned long flags =
        (verified ? 0 : OCSP_TRUSTOTHER) | (partial ? OCSP_PARTIAL_CHAIN : 0);
    int last = sk_X509_num(chain) - 1;
    if (last < 0)
        return memory_format("OCSP: the server sent no certificate");
    if (OCSP_basic_verify(basic, chain, store, flags) <= 0)
        return memory_format("OCSP: response is not signed by the "
                             "certificate's issuer: %s",
                             tls_reason());
    /* Alone, it has issued itself. */
    return check_status(basic, sk_X509_value(chain, 0),
                        sk_X509_value(chain, last > 0 ? 1 : 0));
}

/* "Must staple" (RFC 7633): whoever got hold of the key of a certificate that
 * was revoked must not get by without a response. */
static bool demands_response(SSL *ssl)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    X509 *certificate = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;
    TLS_FEATURE *features =
        certificate ? X509_get_ext_d2i(certificate, NID_tlsfeature, NULL, NULL)
                    : NULL;
    bool demands = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
        if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) ==
            TLSEXT_TYPE_status_request)
            demands = true;
    TLS_FEATURE_free(features);
    return demands;
}

static char *no_response(SSL *ssl, enum tls_ocsp wish)
{
    if (wish == TLS_OCSP_REQUIRE)
        return memory_format("OCSP: the server sent no response, and one is "
                             "required");
    if (demands_response(ssl))
        return memory_format("OCSP: the server sent no response, and its "
                             "certificate says that it must");
    return NULL;
}

/* Why the handshake must fail; NULL if it need not. */
static char *check(SSL *ssl, enum tls_ocsp wish)
{
    const unsigned char *data = NULL;
    long size = SSL_get_tlsext_status_ocsp_resp(ssl, &data);
    if (!data || size <= 0)
        return no_response(ssl, wish);
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &data, size);
    if (!response)
        return memory_format("OCSP: response is malformed");
    int status = OCSP_response_status(response);
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    char *words = NULL;
    if (basic)
        words = check_response(ssl, basic);
    else if (wish == TLS_OCSP_REQUIRE)
        words = memory_format("OCSP: the responder said only: %s",
                              OCSP_response_status_str(status));
    else
        words = no_response(ssl, wish);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return words;
}

/* A resumed session was checked when it began; then no certificate comes, and
 * no response. */
static int check_server(SSL *ssl, const struct ocsp *ocsp)
{
    if (ocsp->wish == TLS_OCSP_NONE || SSL_session_reused(ssl))
        return 1;
    char *words = check(ssl, ocsp->wish);
    ERR_clear_error();
    if (!words)
        return 1;
    free(SSL_get_ex_data(ssl, words_slot()));
    SSL_set_ex_data(ssl, words_slot(), words);
    return 0;
}

static int staple(SSL *ssl, const struct ocsp *ocsp)
{
    size_t size;
    const unsigned char *data =
        ocsp->staple ? tls_staple_get(ocsp->staple, &size) : NULL;
    if (!data)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, OPENSSL_memdup(data, size),
                                    (long) size);
    return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL asks both roles with one callback, and understands different
 * answers. */
static int on_status(SSL *ssl, void *owner)
{
    return SSL_is_server(ssl) ? staple(ssl, owner) : check_server(ssl, owner);
}

bool tls_ocsp_setup(SSL_CTX *ctx, enum tls_ocsp wish, const char *path,
                    struct tls_fault *fault)
{
    X509 *certificate = SSL_CTX_get0_certificate(ctx);
    struct tls_staple *stapled = NULL;
    if (path && certificate) {
        stapled = tls_staple_open(path, certificate, fault);
        if (!stapled)
            return false;
    }
    struct ocsp *ocsp = memory_new(sizeof *ocsp);
    ocsp->wish = wish;
    ocsp->staple = stapled;
    SSL_CTX_set_ex_data(ctx, context_slot(), ocsp);
    SSL_CTX_set_tlsext_status_cb(ctx, on_status);
    SSL_CTX_set_tlsext_status_arg(ctx, ocsp);
    if (wish != TLS_OCSP_NONE)
        SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp);
    return true;
}
