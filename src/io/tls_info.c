/* What two peers agreed on. */
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "io/tls_internal.h"

bool tls_get_info(struct transport *transport, struct tls_info *info)
{
    struct tls *tls = (struct tls *) transport;
    SSL *ssl = tls->ssl;
    if (!tls->established)
        return false;
    const unsigned char *alpn;
    unsigned alpn_size;
    long result = SSL_get_verify_result(ssl);
    bool has_peer = tls_peer_certificate(transport, 0) != NULL;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
    *info = (struct tls_info){
        .version = SSL_get_version(ssl),
        .cipher = SSL_get_cipher_name(ssl),
        .alpn = (const char *) alpn,
        .alpn_size = alpn_size,
        .server_name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
        .resumed = SSL_session_reused(ssl) == 1,
        .verified = has_peer && result == X509_V_OK,
        .server = tls->server,
    };
    if (has_peer && result != X509_V_OK)
        info->verify_error = tls->verify_words
                                 ? tls->verify_words
                                 : X509_verify_cert_error_string(result);
    return true;
}

X509 *tls_peer_certificate(const struct transport *transport, int index)
{
    const struct tls *tls = (const struct tls *) transport;
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls->ssl);
    /* A server's chain does not begin with the peer's own. */
    if (tls->server || !chain) {
        if (index == 0)
            return SSL_get0_peer_certificate(tls->ssl);
        index--;
    }
    return chain && index < sk_X509_num(chain) ? sk_X509_value(chain, index)
                                               : NULL;
}
