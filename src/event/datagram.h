/* A datagram socket on the loop: one receive may wait, sends queue.
 *
 * Calls either finish or call back, never both: they return 0, DATAGRAM_WAIT
 * (a callback will come, once), or an errno. Callbacks are the last thing a
 * handler does. A received datagram lies in the loop's scratch buffer until
 * datagram_taken. */
#ifndef WEIR_DATAGRAM_H
#define WEIR_DATAGRAM_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "event/loop.h"
#include "io/net.h"
#include "io/udp.h"

enum { DATAGRAM_WAIT = 1 << 30 };

struct datagram {
    struct list grave; /* first: see loop_bury */
    struct loop *loop;
    /* The pending receive ended: 0 and a packet, or an errno. */
    void (*received)(struct datagram *, int error);
    void *owner;
    struct loop_call drain; /* when the host begins to end */
    ev_io reader, writer;
    ev_timer retry;
    struct list sends; /* struct datagram_send, oldest first */
    struct udp_packet packet;
    size_t max; /* bytes that the pending receive takes */
    int fd;     /* -1: closed */
    int family;
    unsigned id; /* what the trace calls it */
    bool receiving;
    bool drained;         /* receives wait no more: ECANCELED */
    struct net_file file; /* of a unix socket, of its own */
};

/* A datagram that waits for room in the kernel: a copy of it. */
struct datagram_send {
    struct list link; /* first: see loop_bury */
    void (*done)(struct datagram_send *, int error);
    void *owner;
    struct net_address address; /* length 0: to whom it is connected */
    size_t size;
    char data[];
};

/* A socket, bound to `local` if it is not NULL. 0 or an errno. */
int datagram_open(struct datagram **datagram, struct loop *loop,
                  const struct net_address *local,
                  const struct udp_options *options);
/* Around a datagram socket that exists; after an error `fd` is still the
 * caller's. A unix socket's file stays when it is closed. */
int datagram_adopt(struct datagram **datagram, struct loop *loop, int fd,
                   const struct udp_options *options);

/* A datagram to `address`, or to whom the socket is connected if NULL. With
 * DATAGRAM_WAIT, `*send` is it in the queue: the caller fills in `done` and
 * `owner`; it is gone after `done` or datagram_cancel_send. */
int datagram_send(struct datagram *datagram, const void *data, size_t size,
                  const struct net_address *address,
                  struct datagram_send **send);
/* Connects it, anew if it is: 0 or an errno. */
int datagram_connect(struct datagram *datagram,
                     const struct net_address *address);
/* Takes it back, unsent. */
void datagram_cancel_send(struct datagram_send *send);

/* One datagram of at most `max` bytes, which is then datagram->packet; a
 * longer one is lost, and EMSGSIZE. Not while another one is pending. */
int datagram_receive(struct datagram *datagram, size_t max);
void datagram_cancel_receive(struct datagram *datagram);
/* Its bytes have been copied. Must follow every receive that was done. */
void datagram_taken(struct datagram *datagram);

/* What waits fails with ERROR_CLOSED, called back from here. */
void datagram_close(struct datagram *datagram);
/* Closes it, and frees it at the turn's end. */
void datagram_release(struct datagram *datagram);

#endif
