/* OpenSSL, loaded by the first call of one of its functions. Who calls them
 * includes OpenSSL's own headers, and notices nothing. */
#ifndef WEIR_OPENSSL_H
#define WEIR_OPENSSL_H

/* The address of the function `name`, which is kept in `*slot` too. */
void *openssl_find(const char *name, void **slot);

#endif
