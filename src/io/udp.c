#include "io/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "io/standard.h"

/* ::ffff:a.b.c.d for a socket that speaks both. */
static void map(struct net_address *to, const struct net_address *from)
{
    const struct sockaddr_in *four = (const void *) &from->as.storage;
    struct sockaddr_in6 *six = (void *) &to->as.storage;
    memset(to, 0, sizeof *to);
    to->length = sizeof *six;
    six->sin6_family = AF_INET6;
    six->sin6_port = four->sin_port;
    six->sin6_addr.s6_addr[10] = six->sin6_addr.s6_addr[11] = 0xff;
    memcpy(&six->sin6_addr.s6_addr[12], &four->sin_addr, 4);
}

static void unmap(struct net_address *address)
{
    struct sockaddr_in6 six;
    struct sockaddr_in *four = (void *) &address->as.storage;
    if (address->as.any.sa_family != AF_INET6)
        return;
    memcpy(&six, &address->as.storage, sizeof six);
    if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
        return;
    memset(address, 0, sizeof *address);
    address->length = sizeof *four;
    four->sin_family = AF_INET;
    four->sin_port = six.sin6_port;
    memcpy(&four->sin_addr, &six.sin6_addr.s6_addr[12], 4);
}

/* `address` as a socket of `family` must be given it. */
static const struct net_address *adapt(int family, struct net_address *room,
                                       const struct net_address *address)
{
    if (family != AF_INET6 || !address || address->as.any.sa_family != AF_INET)
        return address;
    map(room, address);
    return room;
}

static int open_socket(int *fd, int family)
{
    *fd = net_socket(family, SOCK_DGRAM);
    return *fd < 0 ? errno : 0;
}

static int set_multicast(int fd, int family, const struct udp_options *options)
{
    int error = 0;
    if (family == AF_INET6) {
        error = net_set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP,
                               options->loopback);
        if (!error && options->interface)
            error = net_set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF,
                                   (int) options->interface);
        if (!error && options->hops)
            error = net_set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS,
                                   options->hops);
        if (!error && options->hops)
            error = net_set_option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS,
                                   options->hops);
    }
    /* A socket for both families takes IPv4's options besides, on Linux;
     * elsewhere it need not. */
    struct ip_mreqn chosen = {.imr_ifindex = (int) options->interface};
    int other =
        net_set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, options->loopback);
    if (!other && options->interface &&
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &chosen, sizeof chosen) < 0)
        other = errno;
    if (!other && options->hops)
        other = net_set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, options->hops);
    if (!other && options->hops)
        other = net_set_option(fd, IPPROTO_IP, IP_TTL, options->hops);
    return family == AF_INET ? other : error;
}

static int set_options(int fd, int family, const struct net_address *local,
                       const struct udp_options *options)
{
    int error = 0;
    if (family == AF_UNIX)
        return 0;
    if (family == AF_INET6)
        error = net_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY,
                               local && !net_is_any(local, NULL));
    if (!error && options->reuse_address)
        error = net_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!error && options->reuse_port)
        error = net_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (!error && options->broadcast)
        error = net_set_option(fd, SOL_SOCKET, SO_BROADCAST, 1);
    return error ? error : set_multicast(fd, family, options);
}

static int bind_address(int fd, const struct net_address *local)
{
    if (local->as.any.sa_family == AF_UNIX)
        return net_bind_local(fd, local, SOCK_DGRAM);
    return bind(fd, &local->as.any, local->length) < 0 ? errno : 0;
}

static int open_bound(int *fd, int family, const struct net_address *local,
                      const struct udp_options *options)
{
    int error = open_socket(fd, family);
    if (error)
        return error;
    error = set_options(*fd, family, local, options);
    if (!error && local)
        error = bind_address(*fd, local);
    if (error) {
        close(*fd);
        *fd = -1;
    }
    return error;
}

/* Where there is no IPv6, all interfaces are IPv4's. */
int udp_open(int *fd, int *family, const struct net_address *local,
             const struct udp_options *options)
{
    struct net_address four;
    *family = local ? local->as.any.sa_family : AF_INET6;
    int error = open_bound(fd, *family, local, options);
    bool absent = error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
    if (!absent || *family != AF_INET6 || (local && !net_is_any(local, &four)))
        return error;
    *family = AF_INET;
    return open_bound(fd, AF_INET, local ? &four : NULL, options);
}

int udp_adopt(int fd, int *family, const struct udp_options *options)
{
    int type;
    socklen_t length = sizeof type;
    struct net_address local;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return errno;
    if (type != SOCK_DGRAM)
        return EPROTOTYPE;
    if (!net_local_address(fd, &local))
        return errno;
    *family = local.as.any.sa_family;
    standard_adopt(fd);
    int error = options->broadcast ? udp_set_broadcast(fd, true) : 0;
    if (error || *family == AF_UNIX)
        return error;
    return set_multicast(fd, *family, options);
}

int udp_reaches(int fd, int family)
{
    int only = 0;
    socklen_t length = sizeof only;
    if (family == AF_INET6 &&
        getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) == 0 && !only)
        return AF_UNSPEC;
    return family;
}

int udp_connect(int fd, int family, const struct net_address *address)
{
    struct net_address room;
    address = adapt(family, &room, address);
    return connect(fd, &address->as.any, address->length) < 0 ? errno : 0;
}

int udp_send(int fd, int family, const void *data, size_t size,
             const struct net_address *address)
{
    struct net_address room;
    ssize_t sent;
    address = adapt(family, &room, address);
    do
        sent = sendto(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT,
                      address ? &address->as.any : NULL,
                      address ? address->length : 0);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

int udp_receive(int fd, void *data, size_t size, struct udp_packet *packet)
{
    struct iovec piece = {data, size};
    struct msghdr message = {.msg_name = &packet->from.as.storage,
                             .msg_namelen = sizeof packet->from.as.storage,
                             .msg_iov = &piece,
                             .msg_iovlen = 1};
    ssize_t length;
    do
        length = recvmsg(fd, &message, MSG_TRUNC | MSG_DONTWAIT);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno;
    packet->length = (size_t) length;
    packet->size = packet->length < size ? packet->length : size;
    /* Where MSG_TRUNC does not tell the length, it is known to be more. */
    if ((message.msg_flags & MSG_TRUNC) && packet->length <= size)
        packet->length = size + 1;
    packet->from.length = message.msg_namelen;
    if (message.msg_namelen == 0)
        packet->from.as.any.sa_family = AF_UNSPEC;
    unmap(&packet->from);
    return 0;
}

int udp_set_broadcast(int fd, bool on)
{
    return net_set_option(fd, SOL_SOCKET, SO_BROADCAST, on);
}

int udp_member(int fd, const struct net_address *group, unsigned interface,
               bool join)
{
    int result;
    if (group->as.any.sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *) &group->as.storage;
        struct ip_mreqn member = {.imr_multiaddr = four->sin_addr,
                                  .imr_ifindex = (int) interface};
        result = setsockopt(fd, IPPROTO_IP,
                            join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                            &member, sizeof member);
    } else if (group->as.any.sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *) &group->as.storage;
        struct ipv6_mreq member = {.ipv6mr_multiaddr = six->sin6_addr,
                                   .ipv6mr_interface = interface};
        result = setsockopt(fd, IPPROTO_IPV6,
                            join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &member,
                            sizeof member);
    } else {
        return EAFNOSUPPORT;
    }
    return result < 0 ? errno : 0;
}
