/* Why a certificate was not accepted, in words that a person can act on. */
#ifndef WEIR_TLS_VERIFY_H
#define WEIR_TLS_VERIFY_H

struct x509_store_ctx_st;

/* To be called while OpenSSL verifies (a verify callback that is told of a
 * failure), for only then is it known which certificate is at fault:
 * "certificate has expired: CN=foo was valid until 2024-01-31 12:00:00 UTC".
 * To be freed. */
char *tls_verify_message(struct x509_store_ctx_st *store);

#endif
