/* What TLS is given: PEM, as text or as the path of a file. */
#ifndef WEIR_TLS_PEM_H
#define WEIR_TLS_PEM_H

#include <stdbool.h>
#include <stddef.h>

#include "io/tls_fault.h"

struct bio_st;
struct x509_st;
struct evp_pkey_st;

struct tls_text {
    const char *data; /* NULL: not given */
    size_t size;
};

/* Can OpenSSL be used? Asked by whatever a script may begin with; there may be
 * no descriptor left to load it. */
bool tls_available(struct tls_fault *fault);

/* "/etc/key.pem", or "PEM text"; to be freed. */
char *tls_pem_name(const char *source, size_t size);

/* To read it from; NULL if the file cannot be read. */
struct bio_st *tls_pem_open(const char *source, size_t size,
                            struct tls_fault *fault);

/* Calls `visit` with each certificate in it, of which there must be one. */
bool tls_pem_each_certificate(const char *source, size_t size,
                              void (*visit)(void *context,
                                            struct x509_st *certificate),
                              void *context, struct tls_fault *fault);

/* The first certificate, the private key in it. NULL: see `fault`. */
struct x509_st *tls_pem_certificate(const char *source, size_t size,
                                    struct tls_fault *fault);
struct evp_pkey_st *tls_pem_key(const char *source, size_t size,
                                struct tls_fault *fault);

/* tls_reason, after an attempt to read a private key. */
const char *tls_key_reason(void);

#endif
