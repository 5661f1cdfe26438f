/* Datagram sockets: UDP over IPv4 and IPv6, and unix ones. Knows no loop.
 *
 * A socket bound to no address, or to all interfaces, speaks both families
 * where the system can: IPv4 addresses are mapped on the way in and out, so
 * that nobody sees ::ffff:192.0.2.1. Calls return 0 or an errno. */
#ifndef WEIR_UDP_H
#define WEIR_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "io/net.h"

struct udp_options {
    bool reuse_address; /* several may bind it, for multicast */
    bool reuse_port;    /* the kernel spreads datagrams over them */
    unsigned interface; /* that multicasts leave by; 0: the system's */
    int hops;           /* TTL, hop limit; 0: the system's */
    bool broadcast;     /* datagrams to broadcast addresses may leave */
    bool loopback;      /* own multicasts are received here too */
};

/* `local` NULL: unbound. Gives its family too. The path of a unix socket
 * must be free; a stale one is replaced (R28). */
int udp_open(int *fd, int *family, const struct net_address *local,
             const struct udp_options *options);

/* Takes over a datagram socket: gives its family, sets the options that a
 * bound one can take. EPROTOTYPE: it is a socket of another type. */
int udp_adopt(int fd, int *family, const struct udp_options *options);

/* Of the addresses that a socket of `family` can send to: AF_UNSPEC if both
 * IPv4 and IPv6. */
int udp_reaches(int fd, int family);

/* `family` is the socket's: AF_INET6 may reach IPv4 too. */
int udp_connect(int fd, int family, const struct net_address *address);

/* One datagram to `address`, or to whom it is connected if NULL. */
int udp_send(int fd, int family, const void *data, size_t size,
             const struct net_address *address);

struct udp_packet {
    size_t size;   /* bytes stored */
    size_t length; /* of the datagram; more than `size`: it was cut */
    struct net_address from;
};

int udp_receive(int fd, void *data, size_t size, struct udp_packet *packet);

int udp_set_broadcast(int fd, bool on);

/* Joins or leaves a multicast group of either family. */
int udp_member(int fd, const struct net_address *group, unsigned interface,
               bool join);

#endif
