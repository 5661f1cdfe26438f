/* What went wrong, as one int: 0 is success, a positive number is an errno,
 * a negative one is weir's own. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <errno.h>
#include <stdbool.h>

enum {
    ERROR_EOF = -1,       /* the peer ended its side */
    ERROR_CLOSED = -2,    /* closed on this side */
    ERROR_TLS = -3,       /* TLS; the transport knows the reason */
    ERROR_TRUNCATED = -4, /* a TLS peer ended without close_notify */
    ERROR_TASK = -5,      /* a joined task ended in an error */
    ERROR_RESOLVE = -64   /* ERROR_RESOLVE - n is c-ares' status n */
};

/* Of a call that does not block: is there nothing for now, or no room? */
static inline bool error_would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

/* The name that programs compare: "ECONNRESET", "EOF", "ENOTFOUND". */
const char *error_code(int error);

/* The words for people: "Connection reset by peer". */
const char *error_text(int error);

#endif
