/* Resolves names on the loop, with c-ares: no threads.
 *
 * A resolver asks the system's servers (/etc/resolv.conf, read again when it
 * has changed) or those it is given. A server gets 2 s to answer, then the
 * next is asked; each is asked three times, with the time doubled in every
 * round: 14 s for a single server that is silent. /etc/hosts comes first,
 * and "localhost" never leaves this machine (RFC 6761). There is no cache. */
#ifndef WEIR_RESOLVER_H
#define WEIR_RESOLVER_H

#include <stddef.h>

#include "base/error.h"
#include "event/loop.h"
#include "io/net.h"

#define RESOLVER_TIMEOUT 2000 /* milliseconds */
#define RESOLVER_TRIES 3

/* Those of c-ares' errors that others need to name. */
enum {
    RESOLVER_NO_DATA = ERROR_RESOLVE - 1,    /* no record of that type */
    RESOLVER_BAD_NAME = ERROR_RESOLVE - 8,   /* no name at all */
    RESOLVER_BAD_ANSWER = ERROR_RESOLVE - 10 /* malformed */
};

struct resolver;
struct resolver_query;

/* Results come once, from the loop, never inside the call that asked. The
 * query is gone afterwards; what is passed is good during the call. `error`
 * is 0 or ERROR_RESOLVE - a status of c-ares. */
typedef void resolver_found(void *owner, int error,
                            const struct net_address *addresses, size_t count);
typedef void resolver_answered(void *owner, int error,
                               const unsigned char *message, size_t size);

/* The one that asks `servers` ("127.0.0.1:5353,[::1]:53"; NULL: those in the
 * environment variable WEIR_NAMESERVERS, else the system's). To be used at
 * once, not kept. NULL with an error if they cannot be parsed (EINVAL). */
struct resolver *resolver_get(struct loop *loop, const char *servers,
                              int *error);

/* The addresses of `host`, with `port` (digits) in each, in RFC 6724's order,
 * without duplicates, at least one. `family`: AF_INET, AF_INET6 or AF_UNSPEC. A
 * numeric `host` needs no server. */
struct resolver_query *resolver_lookup(struct resolver *resolver,
                                       const char *host, const char *port,
                                       int family, resolver_found *found,
                                       void *owner);

/* The records of a type, as the DNS message that answers (io/dns.h); `name`
 * is complete: no search domains are tried, /etc/hosts is not looked at. */
struct resolver_query *resolver_query(struct resolver *resolver,
                                      const char *name, int type,
                                      resolver_answered *answered, void *owner);

/* Nothing will be called back. */
void resolver_cancel(struct resolver_query *query);

/* Frees all resolvers, before the loop is; queries end without a word. */
void resolver_free_all(void);

#endif
