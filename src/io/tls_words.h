/* What OpenSSL says, of a failure above all, and what that means to a person.
 */
#ifndef WEIR_TLS_WORDS_H
#define WEIR_TLS_WORDS_H

struct asn1_string_st;
struct bio_st;

/* `error` is from OpenSSL's queue, or 0: "TLS: wrong version number (the peer
 * does not speak TLS)"; to be freed. */
char *tls_words(unsigned long error);
/* A name that a stranger chose, fit for a line of text: what is no visible
 * ASCII as in "\0A"; to be freed. */
char *tls_printable(const char *name);
/* "2024-01-31 12:00:00 UTC"; to be freed. */
char *tls_time_text(const struct asn1_string_st *time);
/* What was printed into `bio`, which is freed; to be freed. */
char *tls_take_text(struct bio_st *bio);

#endif
