/* What is wrong with what TLS was given: an error and words for it. */
#ifndef WEIR_TLS_FAULT_H
#define WEIR_TLS_FAULT_H

#include <stdbool.h>

struct tls_fault {
    int error;     /* 0, an errno or ERROR_TLS */
    char *message; /* names the file; to be freed */
};

/* `message` is the fault's from now on. False, always. */
bool tls_fault_set(struct tls_fault *fault, int error, char *message);
/* Its message says what was wrong with a file; this adds, in front, what that
 * was for. False, always. */
bool tls_fault_name(struct tls_fault *fault, const char *what);

/* Why OpenSSL failed last, in its words; empties its error queue. */
const char *tls_reason(void);

#endif
