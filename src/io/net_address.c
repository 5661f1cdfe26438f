/* Addresses as people write them (net.h): texts to sockaddrs and back.
 *
 * Numeric addresses are read strictly, as inet_pton(3) does: "127.1" and
 * "0x7f.1" are names here, and no resolver knows them. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "io/net.h"

#define NET_WANT_FORM \
    "host:port, [IPv6]:port, :port, unix:/path or fd:N expected"
#define NET_WANT_PORT "a port from 0 to 65535 or the name of a service expected"
#define LOCAL_LIMIT (sizeof(((struct sockaddr_un *) 0)->sun_path) - 1)
#define LOCAL_OFFSET offsetof(struct sockaddr_un, sun_path)

static bool refuse(const char **expected, const char *text)
{
    *expected = text;
    return false;
}

static bool skip_prefix(const char **data, size_t *size, const char *prefix)
{
    size_t length = strlen(prefix);
    if (*size < length || memcmp(*data, prefix, length) != 0)
        return false;
    *data += length;
    *size -= length;
    return true;
}

/* A decimal number up to `limit`; -1 if it is anything else. */
static long parse_number(const char *data, size_t size, long limit)
{
    long number = 0;
    if (size == 0)
        return -1;
    for (size_t i = 0; i < size; i++) {
        if (data[i] < '0' || data[i] > '9')
            return -1;
        number = number * 10 + (data[i] - '0');
        if (number > limit)
            return -1;
    }
    return number;
}

/* Digits, or a name in /etc/services; -1 if neither. Not getaddrinfo, for which
 * "+80" and " 80" are numbers. */
static long parse_port(const char *port)
{
    size_t size = strlen(port);
    long number = parse_number(port, size, 65535);
    if (number >= 0 || size == 0)
        return number;
    const struct servent *service = getservbyname(port, NULL);
    return service ? ntohs((uint16_t) service->s_port) : -1;
}

static void set_ipv6(struct net_address *address, const struct in6_addr *ip,
                     unsigned zone, long port)
{
    struct sockaddr_in6 *six = (void *) &address->as;
    address->length = sizeof *six;
    six->sin6_family = AF_INET6;
    six->sin6_addr = *ip;
    six->sin6_scope_id = zone;
    six->sin6_port = htons((uint16_t) port);
}

/* 0 if no interface has that name or number. */
static unsigned parse_zone(const char *zone)
{
    unsigned index = if_nametoindex(zone);
    long number = parse_number(zone, strlen(zone), 0x7fffffff);
    return index > 0 || number < 0 ? index : (unsigned) number;
}

static bool numeric_ipv6(struct net_address *address, const char *host,
                         long port)
{
    char plain[INET6_ADDRSTRLEN];
    size_t length = strcspn(host, "%");
    if (length >= sizeof plain)
        return false;
    memcpy(plain, host, length);
    plain[length] = '\0';
    unsigned zone = host[length] ? parse_zone(host + length + 1) : 0;
    struct in6_addr ip;
    if (inet_pton(AF_INET6, plain, &ip) != 1 || (host[length] && zone == 0))
        return false;
    set_ipv6(address, &ip, zone, port);
    return true;
}

bool net_numeric(struct net_address *address, const char *host,
                 const char *port)
{
    memset(address, 0, sizeof *address);
    long number = parse_port(port);
    if (number < 0)
        return false;
    struct sockaddr_in *four = (void *) &address->as;
    if (inet_pton(AF_INET, host, &four->sin_addr) != 1)
        return numeric_ipv6(address, host, number);
    address->length = sizeof *four;
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t) number);
    return true;
}

static bool parse_local(struct net_target *target, const char *path,
                        size_t size, const char **expected)
{
    struct sockaddr_un *local = &target->address.as.local;
    target->kind = TARGET_LOCAL;
    target->numeric = true;
    if (size == 0)
        return refuse(expected, "a path expected after unix:");
    if (size > LOCAL_LIMIT)
        return refuse(expected,
                      sizeof local->sun_path == 108
                          ? "a unix path of at most 107 bytes expected"
                          : "a shorter unix path expected");
    bool abstract = path[0] == '@';
    if (abstract && size == 1)
        return refuse(expected, "a name expected after unix:@");
#ifndef __linux__
    if (abstract)
        return refuse(expected,
                      "a path expected (unix:@ exists only on Linux)");
#endif
    if (!abstract && memchr(path, '\0', size))
        return refuse(expected, "a unix path without zero bytes expected");
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, path, size);
    if (abstract)
        local->sun_path[0] = '\0';
    target->address.length =
        (socklen_t) (LOCAL_OFFSET + size + (abstract ? 0 : 1));
    return true;
}

static bool parse_descriptor(struct net_target *target, const char *data,
                             size_t size, const char **expected)
{
    long fd = parse_number(data, size, 0x7fffffff);
    if (fd < 0)
        return refuse(expected, "a descriptor's number expected after fd:");
    target->kind = TARGET_FD;
    target->fd = (int) fd;
    return true;
}

/* Every interface, both families: see net_listen. */
static void set_any(struct net_address *address, const char *port)
{
    set_ipv6(address, &in6addr_any, 0, parse_port(port));
}

/* Fills in `host` and `port`; `bracketed`: "[host]:port". */
static bool parse_parts(struct net_target *target, const char *data,
                        size_t size, bool *bracketed, const char **expected)
{
    const char *host = data, *colon;
    size_t host_size;
    *bracketed = data[0] == '[';
    if (*bracketed) {
        const char *end = memchr(data, ']', size);
        if (!end || end + 1 == data + size || end[1] != ':')
            return refuse(expected, "[IPv6 address]:port expected");
        host++;
        host_size = (size_t) (end - host);
        colon = end + 1;
    } else {
        colon = memchr(data, ':', size);
        if (!colon)
            return refuse(expected, NET_WANT_FORM);
        host_size = (size_t) (colon - host);
        if (memchr(colon + 1, ':', size - host_size - 1))
            return refuse(
                expected,
                "brackets expected around an IPv6 address: [::1]:port");
    }
    size_t port_size = (size_t) (data + size - colon - 1);
    if (port_size == 0 || port_size >= sizeof target->port)
        return refuse(expected, NET_WANT_PORT);
    if (host_size >= sizeof target->host)
        return refuse(expected, "a host name of at most 255 bytes expected");
    memcpy(target->host, host, host_size);
    memcpy(target->port, colon + 1, port_size);
    return true;
}

static bool parse_host(struct net_target *target, const char *data, size_t size,
                       const char **expected)
{
    bool bracketed;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char) data[i] <= ' ' || data[i] == '/')
            return refuse(expected, NET_WANT_FORM);
    if (!parse_parts(target, data, size, &bracketed, expected))
        return false;
    long port = parse_port(target->port);
    if (port < 0)
        return refuse(expected, NET_WANT_PORT);
    snprintf(target->port, sizeof target->port, "%ld", port);
    target->kind = TARGET_HOST;
    target->numeric = net_numeric(&target->address, target->host, target->port);
    if (bracketed &&
        (!target->numeric || target->address.as.any.sa_family != AF_INET6))
        return refuse(expected, "[IPv6 address]:port expected");
    if (target->host[0] == '\0' && !bracketed) {
        set_any(&target->address, target->port);
        target->numeric = true;
    }
    return true;
}

bool net_parse(struct net_target *target, const char *data, size_t size,
               const char **expected)
{
    memset(target, 0, sizeof *target);
    target->fd = -1;
    if (!skip_prefix(&data, &size, "tcp://"))
        target->tls = skip_prefix(&data, &size, "tls://");
    if (skip_prefix(&data, &size, "unix:"))
        return parse_local(target, data, size, expected);
    if (skip_prefix(&data, &size, "fd:"))
        return parse_descriptor(target, data, size, expected);
    if (size == 0)
        return refuse(expected, NET_WANT_FORM);
    return parse_host(target, data, size, expected);
}

bool net_complete(struct net_target *target)
{
    if (target->kind == TARGET_HOST && !target->numeric)
        target->numeric =
            strcmp(target->host, "localhost") == 0 &&
            net_numeric(&target->address, "127.0.0.1", target->port);
    return target->numeric;
}

unsigned net_zone(const struct net_address *address)
{
    const struct sockaddr_in6 *six = (const void *) &address->as;
    return six->sin6_family == AF_INET6 ? six->sin6_scope_id : 0;
}

static void format_local(const struct net_address *address, char *text,
                         size_t size)
{
    const char *path = address->as.local.sun_path;
    size_t length =
        address->length > LOCAL_OFFSET ? address->length - LOCAL_OFFSET : 0;
    if (length > 0 && path[0] != '\0')
        length = strnlen(path, length);
    int used = snprintf(text, size, "unix:%.*s", (int) length, path);
    if (length == 0 || path[0] != '\0')
        return;
    /* Abstract: zero bytes cannot be shown; ss(8) writes them so, too. */
    for (size_t i = 0; i < length && (size_t) used + 1 < size; i++)
        text[used++] = path[i] ? path[i] : '@';
    text[used] = '\0';
}

static void format_ipv6(const struct sockaddr_in6 *six, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN], zone[IF_NAMESIZE + 1] = "";
    unsigned port = ntohs(six->sin6_port);
    /* An IPv4 peer of a socket for both families. */
    if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
        inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], host, sizeof host);
        snprintf(text, size, "%s:%u", host, port);
        return;
    }
    inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
    if (six->sin6_scope_id != 0 && !if_indextoname(six->sin6_scope_id, zone))
        snprintf(zone, sizeof zone, "%u", six->sin6_scope_id);
    snprintf(text, size, "[%s%s%s]:%u", host, zone[0] ? "%" : "", zone, port);
}

/* Up to 99999. */
static char *put_number(char *at, unsigned number)
{
    char *last =
        at + (number > 9) + (number > 99) + (number > 999) + (number > 9999);
    for (char *digit = last; digit >= at; number /= 10)
        *digit-- = (char) ('0' + number % 10);
    return last + 1;
}

/* Every connection's address is needed in words, and printf(3) would take a
 * good part of what a connection costs. */
static void format_ipv4(const struct sockaddr_in *address, char *text,
                        size_t size)
{
    char whole[INET_ADDRSTRLEN + sizeof ":65535"], *at = whole;
    const unsigned char *bytes = (const void *) &address->sin_addr;
    for (int i = 0; i < 4; i++) {
        at = put_number(at, bytes[i]);
        *at++ = i < 3 ? '.' : ':';
    }
    at = put_number(at, ntohs(address->sin_port));
    size_t length = (size_t) (at - whole);
    length = length < size ? length : size - 1;
    memcpy(text, whole, length);
    text[length] = '\0';
}

char *net_format(const struct net_address *address, char *text, size_t size)
{
    text[0] = '\0';
    if (address->length < sizeof address->as.any.sa_family)
        return text;
    switch (address->as.any.sa_family) {
    case AF_INET:
        format_ipv4((const void *) &address->as, text, size);
        break;
    case AF_INET6:
        format_ipv6((const void *) &address->as, text, size);
        break;
    case AF_UNIX:
        format_local(address, text, size);
        break;
    default:
        break;
    }
    return text;
}
