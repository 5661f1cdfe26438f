/* One connection of a bare C server on libev (and OpenSSL): what weir is
 * measured against. One read and one gathered send per event, no more.
 *
 * It is not robust: on any error the connection is closed without a word. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <ev.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PEER_CHUNK = 65536, PEER_ARRIVAL = 2 * PEER_CHUNK };

struct peer;

/* What a server does with its connections. */
struct service {
    const char *name;
    /* Bytes have arrived. */
    void (*readable)(struct peer *);
    /* There is room to send again, and nothing unsent. May be NULL. */
    void (*writable)(struct peer *);
};

struct peer {
    ev_io io; /* first; waits for input, or for room when `unsent` */
    const struct service *service;
    SSL *tls; /* NULL: plain */
    char *unsent;
    char *held; /* the beginning of a message, from the last event */
    uint32_t unsent_size, unsent_done;
    uint32_t held_size;
    uint64_t count; /* the service's */
    void *state;    /* the service's; free()d with the peer */
};

void peer_new(int fd, SSL *tls, const struct service *service);
void peer_close(struct peer *peer);

/* > 0 bytes; 0: nothing there now; −1: it ended. */
ssize_t peer_receive(struct peer *peer, void *data, size_t size);
/* The same for sending. */
ssize_t peer_transmit(struct peer *peer, const void *data, size_t size);
/* Is there more that no event will tell of? */
bool peer_has_more(const struct peer *peer);

/* Sends all of it, some of it later; input waits meanwhile. −1: it ended. */
int peer_send(struct peer *peer, const void *data, size_t size);
/* Waits for EV_READ or EV_WRITE. */
void peer_wait(struct peer *peer, int events);

/* Takes whole messages from `data`: says how many bytes they were. */
typedef size_t peer_split(const char *data, size_t size);

/* Reads once, and sends back all whole messages at once. */
void peer_echo(struct peer *peer, peer_split *split);

#endif
