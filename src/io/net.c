/* Sockets (net.h). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/net.h"
#include "io/standard.h"

static int close_keeping_errno(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int net_set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) ? errno : 0;
}

bool net_cork(int fd)
{
#ifdef TCP_CORK
    int on = 0;
    socklen_t size = sizeof on;
    if (getsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, &size) < 0 || on)
        return false;
    on = 1;
    return setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on) == 0;
#else
    (void) fd;
    return false;
#endif
}

void net_uncork(int fd)
{
#ifdef TCP_CORK
    int off = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
#else
    (void) fd;
#endif
}

int net_set_nonblocking(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return errno;
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (wanted == flags)
        return 0;
    return fcntl(fd, F_SETFL, wanted) < 0 ? errno : 0;
}

int net_set_cloexec(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? errno : 0;
}

#ifndef SOCK_NONBLOCK
/* A fork between the two calls may leak the descriptor: no way around it. */
static int prepare(int fd)
{
    if (fd < 0)
        return -1;
    int error = net_set_cloexec(fd);
    if (error == 0)
        error = net_set_nonblocking(fd, true);
    if (error == 0)
        return fd;
    errno = error;
    return close_keeping_errno(fd);
}
#endif

int net_socket(int family, int type)
{
#ifdef SOCK_NONBLOCK
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    return prepare(socket(family, type, 0));
#endif
}

int net_pair(int descriptors[2])
{
#ifdef SOCK_NONBLOCK
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                      descriptors);
#else
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, descriptors))
        return -1;
    if (prepare(descriptors[0]) >= 0 && prepare(descriptors[1]) >= 0)
        return 0;
    close_keeping_errno(descriptors[0]);
    return close_keeping_errno(descriptors[1]);
#endif
}

int net_accept(int listener, struct net_address *peer)
{
    peer->length = sizeof peer->as;
#ifdef SOCK_NONBLOCK
    return accept4(listener, &peer->as.any, &peer->length,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    return prepare(accept(listener, &peer->as.any, &peer->length));
#endif
}

int net_connect(int fd, const struct net_address *address)
{
    if (connect(fd, &address->as.any, address->length) == 0)
        return 0;
    /* Interrupted, the attempt goes on (POSIX). */
    return errno == EINTR ? EINPROGRESS : errno;
}

int net_connected(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length))
        return errno;
    return error;
}

bool net_local_address(int fd, struct net_address *address)
{
    memset(address, 0, sizeof *address);
    address->length = sizeof address->as;
    if (getsockname(fd, &address->as.any, &address->length) == 0)
        return true;
    address->length = 0;
    return false;
}

bool net_peer_address(int fd, struct net_address *address)
{
    memset(address, 0, sizeof *address);
    address->length = sizeof address->as;
    if (getpeername(fd, &address->as.any, &address->length) == 0)
        return true;
    address->length = 0;
    return false;
}

int net_set_nodelay(int fd, bool on)
{
    return net_set_option(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

int net_set_keepalive(int fd, bool on)
{
    return net_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, on);
}

bool net_pass_on(int listener, bool nodelay, bool keepalive)
{
#ifdef __linux__
    net_set_nodelay(listener, nodelay);
    net_set_keepalive(listener, keepalive);
    return true;
#else
    (void) listener, (void) nodelay, (void) keepalive;
    return false;
#endif
}

bool net_is_socket(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

void net_abort(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    standard_close(fd);
}

static int bind_internet(int fd, const struct net_address *address,
                         bool reuse_port)
{
    int error = net_set_option(fd, SOL_SOCKET, SO_REUSEADDR, true);
    if (error == 0 && reuse_port) {
#ifdef SO_REUSEPORT
        error = net_set_option(fd, SOL_SOCKET, SO_REUSEPORT, true);
#else
        error = ENOTSUP;
#endif
    }
    if (error == 0 && address->as.any.sa_family == AF_INET6)
        error = net_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, false);
    if (error == 0 && bind(fd, &address->as.any, address->length))
        error = errno;
    return error;
}

static int listen_on(const struct net_address *address, int backlog,
                     bool reuse_port)
{
    int fd = net_socket(address->as.any.sa_family, SOCK_STREAM);
    if (fd < 0)
        return -1;
    bool local = address->as.any.sa_family == AF_UNIX;
    int error = local ? net_bind_local(fd, address, SOCK_STREAM)
                      : bind_internet(fd, address, reuse_port);
    if (error == 0 && listen(fd, backlog > 0 ? backlog : INT_MAX))
        error = errno;
    if (error == 0)
        return fd;
    errno = error;
    return close_keeping_errno(fd);
}

bool net_is_any(const struct net_address *address, struct net_address *four)
{
    const struct sockaddr_in6 *six = (const void *) &address->as;
    if (six->sin6_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr))
        return false;
    if (!four)
        return true;
    memset(four, 0, sizeof *four);
    struct sockaddr_in *any = (void *) &four->as;
    four->length = sizeof *any;
    any->sin_family = AF_INET;
    any->sin_port = six->sin6_port;
    return true;
}

int net_listen(const struct net_address *address, int backlog, bool reuse_port)
{
    struct net_address four;
    int fd = listen_on(address, backlog, reuse_port);
    bool absent = fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
    if (absent && net_is_any(address, &four))
        return listen_on(&four, backlog, reuse_port);
    return fd;
}
