/* What a certificate says. OpenSSL's types are only named here, so that the
 * layers above can hand them on. */
#ifndef WEIR_TLS_CERTIFICATE_H
#define WEIR_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

struct x509_st;

/* Is told field by field. */
struct tls_certificate_visitor {
    void *context;
    void (*text)(void *context, const char *field, const char *data,
                 size_t size);
    void (*number)(void *context, const char *field, double value);
    void (*flag)(void *context, const char *field, bool value);
    /* One more element of the list `field`. */
    void (*item)(void *context, const char *field, const char *data,
                 size_t size);
    /* One more entry of the map `field`. */
    void (*entry)(void *context, const char *field, const char *key,
                  const char *data, size_t size);
};

void tls_certificate_visit(struct x509_st *certificate,
                           const struct tls_certificate_visitor *visitor);

/* Strings to be freed: "O=Example, CN=foo.example.com"; … of its issuer;
 * "foo.example.com, 127.0.0.1 and 3 more": whom it is for. */
char *tls_certificate_subject(struct x509_st *certificate);
char *tls_certificate_issuer(struct x509_st *certificate);
char *tls_certificate_names(struct x509_st *certificate, int most);

#endif
