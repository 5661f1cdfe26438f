#include "event/resolver_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/net.h"

static ares_socket_t open_socket(int family, int type, int protocol,
                                 void *refusals)
{
    struct resolver_refusals *noted = refusals;
    (void) protocol;
    int fd = net_socket(family, type);
    if (fd < 0) {
        noted->count++;
        noted->status = -errno;
    }
    return fd;
}

static int close_socket(ares_socket_t fd, void *refusals)
{
    (void) refusals;
    return close(fd);
}

static int connect_socket(ares_socket_t fd, const struct sockaddr *address,
                          ares_socklen_t length, void *refusals)
{
    (void) refusals;
    return connect(fd, address, length);
}

/* RFC 1035, section 4.1.1: the header's fourth byte ends in the RCODE. */
static void note(struct resolver_refusals *refusals,
                 const unsigned char *message, ares_ssize_t size)
{
    static const int statuses[16] = {
        [2] = ARES_ESERVFAIL, [4] = ARES_ENOTIMP, [5] = ARES_EREFUSED};
    int status = size < 4 ? 0 : statuses[message[3] & 15];
    if (!status)
        return;
    refusals->count++;
    refusals->status = status;
}

/* Without `from` it is TCP, by which no server refuses first. */
static ares_ssize_t receive(ares_socket_t fd, void *data, size_t size,
                            int flags, struct sockaddr *from,
                            ares_socklen_t *length, void *refusals)
{
    ares_ssize_t received = recvfrom(fd, data, size, flags, from, length);
    if (from)
        note(refusals, data, received);
    return received;
}

static ares_ssize_t send_pieces(ares_socket_t fd, const struct iovec *pieces,
                                int count, void *refusals)
{
    struct msghdr message = {.msg_iov = (struct iovec *) pieces,
                             .msg_iovlen = (size_t) count};
    (void) refusals;
    ares_ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == ECONNREFUSED)
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    return sent;
}

const struct ares_socket_functions resolver_sockets = {
    open_socket, close_socket, connect_socket, receive, send_pieces};
