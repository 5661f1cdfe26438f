/* Makes certificates, for tests and experiments: self-signed, or signed by
 * another. */
#ifndef WEIR_TLS_ISSUE_H
#define WEIR_TLS_ISSUE_H

#include <stdbool.h>
#include <stddef.h>

#include "io/tls_pem.h"

struct tls_subject_field {
    const char *type; /* "CN", "O" */
    struct tls_text value;
};

struct tls_issue {
    /* Whom it is for: DNS names, IP addresses, e-mail addresses, URIs. */
    const struct tls_text *names;
    size_t name_count;
    const struct tls_subject_field *subject;
    size_t subject_count;
    double not_before, not_after; /* unix seconds */
    struct tls_text key;          /* "rsa", "ec", "ed25519", or a PEM */
    unsigned bits;                /* of an RSA key */
    const char *curve;            /* of an EC key: "P-256" */
    bool ca;
    /* What it may be used for, NULL-terminated: "server", "client", "ocsp",
     * "code", "email". None: server and client, or anything for a CA. */
    const char *const *usage;
    struct tls_text issuer_cert, issuer_key; /* PEM; both or none */
};

/* True, and both are PEM, to be freed. A fault's error is EINVAL where
 * `issue` asks for what cannot be. */
bool tls_issue(const struct tls_issue *issue, char **certificate, char **key,
               struct tls_fault *fault);

#endif
