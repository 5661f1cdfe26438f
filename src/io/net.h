/* Sockets and their addresses, without a loop.
 *
 * What only some systems have (accept4, abstract sockets) is here, each
 * behind one function. Every descriptor made is non-blocking and
 * close-on-exec. Functions that make one return it, or -1 with errno set. */
#ifndef WEIR_NET_H
#define WEIR_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/* A socket's address of any family, with its length. */
struct net_address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    } as;
};

enum net_target_kind {
    TARGET_HOST,  /* a host name (or numeric address) and a port */
    TARGET_LOCAL, /* a unix socket: `address` holds it */
    TARGET_FD     /* a descriptor to adopt */
};

/* What an address text says (CONTRACT R20), names not yet resolved. */
struct net_target {
    enum net_target_kind kind;
    bool tls;       /* it began with tls:// */
    char host[256]; /* "" in ":port": all interfaces, `address` is [::] */
    char port[32];  /* digits: a service's name was looked up */
    bool numeric;   /* `address` is complete: nothing to resolve */
    int fd;
    struct net_address address;
};

/* False, with a static text that says what was expected, if it cannot be
 * parsed. `data` may hold zero bytes only behind "unix:@". */
bool net_parse(struct net_target *target, const char *data, size_t size,
               const char **expected);

/* Numeric IPv4 or IPv6 (with an optional %zone), and a port (digits or a
 * service's name); false if not. */
bool net_numeric(struct net_address *address, const char *host,
                 const char *port);

/* Makes a target to bind to complete without asking anybody: "localhost" is
 * 127.0.0.1. False for every other name, and for a descriptor. */
bool net_complete(struct net_target *target);

/* Is it [::]:port? Then `*four` (unless NULL) becomes 0.0.0.0:port. */
bool net_is_any(const struct net_address *address, struct net_address *four);

/* The interface of a link-local IPv6 address; 0 if it names none. */
unsigned net_zone(const struct net_address *address);

/* "127.0.0.1:80" (also for ::ffff:127.0.0.1, an IPv4 peer of an IPv6
 * listener), "[::1]:80", "unix:/path", "unix:@name", "unix:" if
 * unnamed; "" if there is nothing to say. Writes at most `size` bytes, always
 * ends with a zero byte; returns `text`. */
#define NET_TEXT 160
char *net_format(const struct net_address *address, char *text, size_t size);

bool net_local_address(int fd, struct net_address *address);
bool net_peer_address(int fd, struct net_address *address);

/* socket(2), for a stream of that family. */
int net_socket(int family, int type);
/* socketpair(2), both ends. */
int net_pair(int descriptors[2]);
/* accept4(2); `*peer` is filled in. */
int net_accept(int listener, struct net_address *peer);
/* connect(2) begun: 0 done, EINPROGRESS, or what went wrong. */
int net_connect(int fd, const struct net_address *address);
/* What became of a connect: 0 or an errno (SO_ERROR). */
int net_connected(int fd);
/* A listening socket; `backlog` 0: the kernel's maximum. [::] listens on
 * both families, or on IPv4 alone where there is no IPv6. Unix paths: R28 (a
 * stale file is replaced, a live one gives EADDRINUSE). */
int net_listen(const struct net_address *address, int backlog, bool reuse_port);

/* Sets what the connections that `listener` is going to accept have from the
 * beginning; false if they do not inherit it here. */
bool net_pass_on(int listener, bool nodelay, bool keepalive);

/* bind(2) of a unix socket of `type`: 0 or an errno. A stale file at its path
 * is replaced; what is none, or is answered at, gives EADDRINUSE (R28). */
int net_bind_local(int fd, const struct net_address *address, int type);

/* The file of a bound unix socket: it, and not another one that has taken its
 * path. All zero: there is none. */
struct net_file {
    dev_t device;
    ino_t inode;
};

/* Notes which file is at the path of `address`, if that is a unix path. */
void net_file_note(struct net_file *file, const struct net_address *address);
/* Removes that file, once. To be called before the descriptor is closed: while
 * the socket is bound, nobody else's file can have its inode number. */
void net_file_remove(struct net_file *file, const struct net_address *address);

/* setsockopt(2) with an int: 0 or an errno. */
int net_set_option(int fd, int level, int option, int value);
int net_set_nodelay(int fd, bool on);     /* 0 or an errno */
int net_set_keepalive(int fd, bool on);   /* 0 or an errno */
int net_set_nonblocking(int fd, bool on); /* 0 or an errno */
int net_set_cloexec(int fd);              /* 0 or an errno */
/* From now on only whole segments leave, until net_uncork (TCP_CORK, tcp(7)).
 * False: it was so already, or cannot be. */
bool net_cork(int fd);
void net_uncork(int fd);
/* close(2) so that a TCP peer sees a reset. */
void net_abort(int fd);
bool net_is_socket(int fd);

#endif
