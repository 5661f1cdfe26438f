/* Connects to the first of several addresses that answers (RFC 8305, "Happy
 * Eyeballs" version 2).
 *
 * Families alternate, beginning with the first address's. An attempt starts
 * 250 ms after the one before it, or as soon as one fails; all go on until
 * one succeeds. Then the others are closed. How long all this may take is
 * the caller's business: connector_cancel. */
#ifndef WEIR_CONNECTOR_H
#define WEIR_CONNECTOR_H

#include <stddef.h>

#include "event/loop.h"
#include "io/net.h"

#define CONNECTOR_STAGGER 0.25 /* seconds: RFC 8305, section 5 */

struct connector;

/* Comes once, from the loop, never inside connector_start. `fd` is
 * connected and the callee's; or it is -1 and `error` an errno, with the
 * message for people (good during the call). The connector is gone
 * afterwards. */
typedef void connector_done(struct connector *, int fd, int error,
                            const char *message);

/* What is asked for; all of it is copied. */
struct connector_request {
    const char *name; /* in words, such as "localhost:81" */
    const struct net_address *addresses;
    size_t count; /* at least one */
    /* Bind to it first, and try only addresses of its family; NULL: any. */
    const struct net_address *source;
    unsigned stream; /* the id of the one that it is for, for the trace */
};

struct connector *connector_start(struct loop *loop,
                                  const struct connector_request *request,
                                  connector_done *done, void *owner);

void *connector_owner(const struct connector *connector);

/* What became of each attempt: "[::1]:81: Connection refused; 127.0.0.1:81:
 * no answer yet". */
void connector_attempts(const struct connector *connector, char *text,
                        size_t size);

/* Gives up: closes what is under way. No callback comes. */
void connector_cancel(struct connector *connector);

/* The order of RFC 8305, section 4: `ordered` has room for `count`. Within a
 * family the order stays. */
void connector_order(const struct net_address *addresses, size_t count,
                     struct net_address *ordered);

#endif
