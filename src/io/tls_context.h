/* What TLS connections are made from: certificates, keys, whom to trust,
 * which protocols. Shared by many; counted. Fits both roles. */
#ifndef WEIR_TLS_CONTEXT_H
#define WEIR_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "io/tls_ocsp.h"
#include "io/tls_pem.h"

struct tls_context;

enum tls_verify {
    TLS_VERIFY_DEFAULT, /* a client does, a server does not */
    TLS_VERIFY_NONE,
    TLS_VERIFY_OPTIONAL, /* a server: a client may have no certificate; a
                            client: what is wrong is told, and no more */
    TLS_VERIFY_REQUIRED
};

/* NULL and 0 stand for the default everywhere. */
struct tls_settings {
    struct tls_text cert, key, ca; /* paths or PEM */
    struct tls_text password;      /* of the key */
    struct tls_text alpn;          /* as on the wire: lengths and names */
    struct tls_text session;       /* from tls_get_session */
    const char *server_name;
    const char *ciphers, *ciphersuites; /* up to TLS 1.2; TLS 1.3 */
    const char *keylog;                 /* a path; SSLKEYLOGFILE if NULL */
    const char *ocsp_response;          /* a path; for servers to staple */
    enum tls_ocsp ocsp;                 /* clients ask for one */
    int min_version, max_version;       /* 10, 11, 12 or 13 */
    enum tls_verify verify;
    bool asks; /* a server asks its owner about the names it is asked for */
};

/* With one reference; NULL: see `fault`. One made before from equal settings
 * (and files that have not changed) is given again. */
struct tls_context *tls_context_get(const struct tls_settings *settings,
                                    struct tls_fault *fault);
struct tls_context *tls_context_retain(struct tls_context *context);
void tls_context_release(struct tls_context *context); /* may be NULL */

/* Has it a certificate, so that a server can use it? */
bool tls_context_serves(const struct tls_context *context);
/* Does a client that uses it check its peer's name? */
bool tls_context_verifies(const struct tls_context *context);
/* The setting; NULL if none. */
const char *tls_context_server_name(const struct tls_context *context);

#endif
