/* OpenSSL, loaded by the first call of one of its functions, where it is not
 * linked in. Who calls them includes OpenSSL's own headers, and notices
 * nothing; but what comes first asks whether it can be loaded, for otherwise
 * such a call ends the process. */
#ifndef WEIR_OPENSSL_H
#define WEIR_OPENSSL_H

/* NULL: it is there. Else why not, in words; errno says it, too. */
const char *openssl_load(void);

/* The address of the function `name`, which is kept in `*slot` too. */
void *openssl_find(const char *name, void **slot);

#endif
