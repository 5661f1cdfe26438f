/* The sockets of c-ares, for what it does not tell.
 *
 * A send may fail for what became of an earlier one (ICMP); c-ares then
 * blames the later query, and the earlier one waits in vain. And when all
 * servers answered that they failed, or there was no descriptor to ask them
 * with, it says that none could be reached. */
#ifndef WEIR_RESOLVER_SOCKET_H
#define WEIR_RESOLVER_SOCKET_H

#include <ares.h>

/* Its user data. */
struct resolver_refusals {
    unsigned count; /* of answers that say: ask somebody else */
    int status;     /* c-ares' status for the last one; or -errno */
};

extern const struct ares_socket_functions resolver_sockets;

#endif
