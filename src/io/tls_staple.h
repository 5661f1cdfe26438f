/* An OCSP response in a file, for servers to staple. */
#ifndef WEIR_TLS_STAPLE_H
#define WEIR_TLS_STAPLE_H

#include "io/tls_pem.h"

#define TLS_STAPLE_SKEW 300 /* seconds that clocks may differ */

struct tls_staple;

/* It must be about that certificate. NULL: see `fault`. */
struct tls_staple *tls_staple_open(const char *path, struct x509_st *about,
                                   struct tls_fault *fault);

/* The response as it is now, lives until the next call; NULL if it is not
 * valid at this time, for such a one helps nobody. */
const unsigned char *tls_staple_get(struct tls_staple *staple, size_t *size);

void tls_staple_free(struct tls_staple *staple); /* may be NULL */

#endif
