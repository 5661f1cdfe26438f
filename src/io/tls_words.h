/* What OpenSSL says of a failure, and what that means to a person. */
#ifndef WEIR_TLS_WORDS_H
#define WEIR_TLS_WORDS_H

/* `error` is from OpenSSL's queue, or 0: "TLS: wrong version number (the peer
 * does not speak TLS)"; to be freed. */
char *tls_words(unsigned long error);
/* A name that a stranger chose, fit for a line of text: what is no visible
 * ASCII as in "\0A"; to be freed. */
char *tls_printable(const char *name);

#endif
