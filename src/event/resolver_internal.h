/* What resolver.c and resolver_query.c share, and nobody else has. */
#ifndef WEIR_RESOLVER_INTERNAL_H
#define WEIR_RESOLVER_INTERNAL_H

#include <ares.h>
#include <ev.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "event/resolver.h"
#include "event/resolver_socket.h"

struct resolver {
    struct resolver *next; /* of resolvers */
    struct loop *loop;
    char *servers; /* NULL: the system's */
    ares_channel channel;
    ev_timer timer;
    struct list sockets; /* struct socket, those that c-ares waits for */
    unsigned queries;    /* that c-ares has not answered, */
    unsigned wanted;     /* and those of them not cancelled */
    struct resolver_refusals refusals;
    struct stat file; /* /etc/resolv.conf, as it was read */
    bool retired;     /* for good, once its queries are over */
    struct loop_call tidy;
};

/* c-ares was asked something, or has worked: when is it to be called next? */
void resolver_update_timer(struct resolver *resolver);
/* If nobody waits for an answer any more it will be cleaned up; not at once,
 * for c-ares may be at work in it. */
void resolver_tidy_when_idle(struct resolver *resolver);

/* The channels are gone: so are the queries. */
void resolver_query_free_all(void);

#endif
