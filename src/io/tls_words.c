#include "io/tls_words.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"

/* An alert is what the peer has against this side: OpenSSL names it by the
 * protocol that brought it in first, "sslv3 alert bad certificate". */
static const struct {
    int reason;
    const char *meaning;
} meanings[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS"},
    {SSL_R_HTTP_REQUEST, "the peer speaks plain HTTP"},
    {SSL_R_HTTPS_PROXY_REQUEST, "the peer speaks plain HTTP"},
    {SSL_R_UNSUPPORTED_PROTOCOL,
     "the peer offers no version that is allowed here"},
    {SSL_R_NO_SHARED_CIPHER, "the peer offers no cipher that is allowed here"},
    {SSL_R_NO_APPLICATION_PROTOCOL,
     "the peer offers no ALPN protocol of this side's"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "this side demands one"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION,
     "the peer allows no version that is offered"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
     "the peer accepts nothing that is offered"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL,
     "the peer has no ALPN protocol that is offered"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, "the peer does not serve that name"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
     "the peer demands a certificate of this side"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA,
     "the peer does not trust this side's certificate"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
     "the peer does not accept this side's certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
     "the peer does not accept this side's certificate"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
     "this side's certificate is for another use"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
     "this side's certificate has expired"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
     "this side's certificate was revoked"},
    {SSL_R_TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE,
     "the peer does not accept this side's OCSP response, or misses one"},
};

char *tls_words(unsigned long error)
{
    const char *words = error ? ERR_reason_error_string(error) : NULL;
    if (!words)
        return memory_format("TLS failure");
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
            ERR_GET_REASON(error) == meanings[i].reason)
            return memory_format("TLS: %s (%s)", words, meanings[i].meaning);
    return memory_format("TLS: %s", words);
}

char *tls_printable(const char *name)
{
    size_t length = strlen(name), used = 0;
    char *text = memory_new(3 * length + 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) name[i];
        if (byte > ' ' && byte < 0x7f && byte != '\\')
            text[used++] = (char) byte;
        else
            used += (size_t) snprintf(text + used, 4, "\\%02X", byte);
    }
    return text;
}

char *tls_take_text(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    char *text = memory_copy(data ? data : "", size > 0 ? (size_t) size : 0);
    BIO_free(bio);
    return text;
}

char *tls_time_text(const ASN1_TIME *time)
{
    struct tm parts;
    char text[64];
    if (!ASN1_TIME_to_tm(time, &parts))
        return memory_format("a time that cannot be read");
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return memory_format("%s", text);
}
