/* Whether the peer is who it should be. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/memory.h"
#include "io/tls_internal.h"
#include "io/tls_verify.h"

#define HOST_FLAGS X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS

/* How many bytes the address has that `name` is; 0: it is none. */
static size_t numeric(const char *name, unsigned char address[16])
{
    if (inet_pton(AF_INET, name, address) == 1)
        return 4;
    return inet_pton(AF_INET6, name, address) == 1 ? 16 : 0;
}

static int mode(const struct tls *tls, enum tls_verify verify)
{
    if (!tls->server)
        return verify == TLS_VERIFY_DEFAULT || verify == TLS_VERIFY_REQUIRED
                   ? SSL_VERIFY_PEER
                   : SSL_VERIFY_NONE;
    if (verify == TLS_VERIFY_REQUIRED)
        return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    return verify == TLS_VERIFY_OPTIONAL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
}

/* Neither certificates nor SNI know the dot at a name's end, or the zone
 * behind an address. */
static void drop_suffix(char *name)
{
    unsigned char address[16];
    size_t length = strlen(name);
    if (length > 1 && name[length - 1] == '.')
        name[length - 1] = '\0';
    char *zone = strchr(name, '%');
    if (!zone)
        return;
    *zone = '\0';
    if (numeric(name, address) != 16)
        *zone = '%';
}

static void ask_for_name(struct tls *tls)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    unsigned char address[16];
    if (!tls->name)
        return;
    drop_suffix(tls->name);
    X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
    size_t size = numeric(tls->name, address);
    /* Without an expectation set, every certificate's name would do. */
    tls_must(size > 0 ? X509_VERIFY_PARAM_set1_ip(param, address, size)
                      : X509_VERIFY_PARAM_set1_host(param, tls->name, 0));
    if (size == 0)
        SSL_set_tlsext_host_name(tls->ssl, tls->name);
}

/* What goes wrong first is the cause of the rest. */
static int on_verify(int accepted, X509_STORE_CTX *store)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = tls_of_ssl(ssl);
    if (!accepted && !tls->verify_words)
        tls->verify_words = tls_verify_message(store);
    return accepted;
}

void tls_peer_setup(struct tls *tls, const struct tls_context *context)
{
    SSL_set_verify(tls->ssl, mode(tls, context->verify), on_verify);
    if (!tls->server) {
        ask_for_name(tls);
        return;
    }
    /* A server's sessions are worth nothing in another context, whose
     * certificates and demands may differ. */
    SSL_set_session_id_context(tls->ssl,
                               (const unsigned char *) &context->number,
                               sizeof context->number);
}

/* A session remembers what was found of its chain when it began, maybe by
 * another context; and not for which name. So it is looked at again. */
bool tls_peer_accepted(struct tls *tls)
{
    if (!SSL_session_reused(tls->ssl) ||
        SSL_get_verify_mode(tls->ssl) == SSL_VERIFY_NONE)
        return true;
    X509 *peer = SSL_get0_peer_certificate(tls->ssl);
    long result = SSL_get_verify_result(tls->ssl);
    const char *words = X509_verify_cert_error_string(result);
    if (!peer) {
        words = "the resumed session has no certificate";
    } else if (result == X509_V_OK) {
        if (!tls->name)
            return true;
        words = "hostname mismatch: the resumed session is for another one";
        unsigned char address[16];
        size_t size = numeric(tls->name, address);
        int found = size > 0
                        ? X509_check_ip(peer, address, size, 0)
                        : X509_check_host(peer, tls->name, 0, HOST_FLAGS, NULL);
        if (found == 1)
            return true;
    }
    tls->verify_words = memory_format("%s", words);
    return false;
}
