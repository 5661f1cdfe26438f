/* Is a certificate still good? What its authority says about it (OCSP, RFC
 * 6960), sent along by the server ("stapled", RFC 6066 §8). */
#ifndef WEIR_TLS_OCSP_H
#define WEIR_TLS_OCSP_H

#include "io/tls_pem.h"

struct ssl_st;
struct ssl_ctx_st;

enum tls_ocsp {
    TLS_OCSP_NONE,
    TLS_OCSP_REQUEST, /* what the server sends must be right */
    TLS_OCSP_REQUIRE  /* and it must send something */
};

/* Clients of `ctx` ask and check; its servers staple the response in the file
 * `path` (NULL: none), which must be about `ctx`' certificate; when the file
 * changes, they staple what is in it then. */
bool tls_ocsp_setup(struct ssl_ctx_st *ctx, enum tls_ocsp wish,
                    const char *path, struct tls_fault *fault);

/* Why the check failed a client's handshake; NULL if it was not that. Lives as
 * long as `ssl`. */
const char *tls_ocsp_fault(struct ssl_st *ssl);

#endif
