/* Accepts connections from a listening socket.
 *
 * It keeps the host alive while it is open (R22), paused or not, unless it
 * is unref'd. Callbacks come from the loop only; they may call anything
 * here, listener_close included. */
#ifndef WEIR_LISTENER_H
#define WEIR_LISTENER_H

#include <ev.h>
#include <stdbool.h>

#include "base/list.h"
#include "event/loop.h"
#include "io/net.h"

#define LISTENER_BATCH 128 /* connections accepted in one turn (R26) */
#define LISTENER_REST 0.1  /* seconds without accepting when out of room */

struct listener;

struct listener_events {
    /* A connection: `fd` is the callee's. listener_connection_ended must
     * follow, once. What it makes ready runs before the next one is accepted,
     * and may stop that. */
    void (*accepted)(struct listener *, int fd, const struct net_address *peer);
    /* The system has no room for a connection that waits (EMFILE, ENOMEM,
     * …): accepting rests. Once per episode, which ends when every waiting
     * connection was accepted. */
    void (*exhausted)(struct listener *, int error);
};

struct listener {
    struct list grave; /* first: see loop_bury */
    struct loop *loop;
    struct loop_call drain; /* closes it, when the host begins to end */
    struct loop_call more;  /* accepts the next connection */
    const struct listener_events *events;
    void *owner;
    int fd; /* -1 once closed */
    ev_io acceptor;
    ev_timer rest;
    struct net_address address; /* as bound: port 0 resolved */
    struct net_file file;       /* of its own */
    unsigned connections;       /* not ended yet */
    unsigned max_connections;   /* 0: no limit */
    int references;             /* the owner's, one per connection */
    unsigned turn, batch;       /* attempts in the loop's turn so far */
    unsigned alone; /* turns in a row that brought one, none asked for more */
    bool crowd;     /* several waited, and nobody has said that none is left */
    bool passes_on; /* connections have their socket's options from ours */
    bool paused;
    bool reported; /* this episode of exhaustion */
    bool unref;
    bool holding;
};

/* Listens (net_listen) and starts to accept. NULL with errno set. */
struct listener *listener_open(struct loop *loop,
                               const struct net_address *address, int backlog,
                               bool reuse_port, unsigned max_connections,
                               const struct listener_events *events,
                               void *owner);

/* The same around a descriptor that listens already; made non-blocking. A
 * unix socket's file stays when it is closed. NULL with errno set (EINVAL:
 * it does not listen), and then `fd` is still the caller's. */
struct listener *listener_adopt(struct loop *loop, int fd,
                                unsigned max_connections,
                                const struct listener_events *events,
                                void *owner);

/* Connections have these options from the beginning, if the system can do
 * that (->passes_on). Not for a socket that others listen on, too. */
void listener_pass_on(struct listener *listener, bool nodelay, bool keepalive);

void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
void listener_set_unref(struct listener *listener, bool unref);

/* A connection it accepted is over: at its limit, it accepts again. Also
 * after listener_close. */
void listener_connection_ended(struct listener *listener);

/* Stops listening, and removes its own socket file. Idempotent; connections
 * go on. */
void listener_close(struct listener *listener);

/* The owner's last word: closes it if it is open. No callback comes any
 * more. It is freed when its connections have ended, too. */
void listener_release(struct listener *listener);

#endif
