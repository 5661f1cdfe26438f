#include "event/connector.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/trace.h"

#define RETRY 0.01 /* seconds, when a unix socket's backlog is full */

struct attempt {
    struct connector *connector;
    struct net_address address;
    int fd;    /* -1: not begun, or over */
    int error; /* why it failed */
    ev_io writer;
    ev_timer retry;
};

struct connector {
    struct list grave; /* first: see loop_bury */
    struct loop *loop;
    connector_done *done;
    void *owner;
    char *name;
    struct net_address source; /* length 0: any */
    unsigned stream;           /* its id */
    ev_timer stagger;
    struct loop_call settled; /* a result that came inside connector_start */
    bool starting;
    int fd;    /* the result: connected, */
    int error; /* or why not */
    size_t count;
    size_t next; /* the first one not begun */
    size_t pending;
    struct attempt attempts[];
};

void connector_order(const struct net_address *addresses, size_t count,
                     struct net_address *ordered)
{
    size_t same = 0, other = 0; /* where to look on, in each family */
    int first = count > 0 ? addresses[0].as.any.sa_family : 0;
    for (size_t i = 0; i < count; i++) {
        while (same < count && addresses[same].as.any.sa_family != first)
            same++;
        while (other < count && addresses[other].as.any.sa_family == first)
            other++;
        bool take_same = other >= count || (i % 2 == 0 && same < count);
        ordered[i] = take_same ? addresses[same++] : addresses[other++];
    }
}

void *connector_owner(const struct connector *connector)
{
    return connector->owner;
}

/* "[::1]:81: Connection refused; 127.0.0.1:81: …"; only the reason if the
 * one address is the name. To be freed. */
static char *describe(const struct connector *connector)
{
    char *text = memory_copy("", 0);
    for (size_t i = 0; i < connector->count; i++) {
        const struct attempt *attempt = &connector->attempts[i];
        char address[NET_TEXT];
        net_format(&attempt->address, address, sizeof address);
        bool plain =
            connector->count == 1 && strcmp(address, connector->name) == 0;
        const char *reason = attempt->error        ? error_text(attempt->error)
                             : i < connector->next ? "no answer yet"
                                                   : "not tried yet";
        char *longer =
            memory_format("%s%s%s%s%s", text, i == 0 ? "" : "; ",
                          plain ? "" : address, plain ? "" : ": ", reason);
        free(text);
        text = longer;
    }
    return text;
}

void connector_attempts(const struct connector *connector, char *text,
                        size_t size)
{
    char *all = describe(connector);
    snprintf(text, size, "%s", all);
    free(all);
}

static char *report(const struct connector *connector)
{
    char *attempts = describe(connector);
    char *text = memory_format("connect %s: %s", connector->name, attempts);
    free(attempts);
    return text;
}

/* Says more about the peer than that this machine has no way there. */
static bool is_telling(int error)
{
    return error != ENETUNREACH && error != EHOSTUNREACH &&
           error != EADDRNOTAVAIL && error != EAFNOSUPPORT;
}

static int final_error(const struct connector *connector)
{
    int last = 0, telling = 0;
    for (size_t i = 0; i < connector->count; i++) {
        last = connector->attempts[i].error;
        if (is_telling(last))
            telling = last;
    }
    return telling ? telling : last;
}

static void attempt_stop(struct attempt *attempt)
{
    struct ev_loop *ev = attempt->connector->loop->ev;
    ev_io_stop(ev, &attempt->writer);
    ev_timer_stop(ev, &attempt->retry);
}

static void attempt_close(struct attempt *attempt)
{
    if (attempt->fd < 0)
        return;
    attempt_stop(attempt);
    close(attempt->fd);
    attempt->fd = -1;
}

static void attempt_trace_end(const struct attempt *attempt)
{
    const struct connector *connector = attempt->connector;
    trace_not_connected(connector->loop, connector->stream, &attempt->address,
                        attempt->error);
}

static void stop(struct connector *connector)
{
    ev_timer_stop(connector->loop->ev, &connector->stagger);
    for (size_t i = 0; i < connector->next; i++) {
        if (connector->attempts[i].fd >= 0)
            attempt_trace_end(&connector->attempts[i]);
        attempt_close(&connector->attempts[i]);
    }
}

static void bury(struct connector *connector)
{
    free(connector->name);
    connector->name = NULL;
    loop_bury(connector->loop, connector);
}

static void deliver(struct connector *connector)
{
    int fd = connector->fd;
    char *message = fd < 0 ? report(connector) : NULL;
    connector->fd = -1;
    bury(connector);
    connector->done(connector, fd, connector->error, message);
    free(message);
}

static void on_settled(struct loop_call *call)
{
    deliver(list_entry(call, struct connector, settled));
}

static void settle(struct connector *connector, int fd, int error)
{
    connector->fd = fd;
    connector->error = error;
    stop(connector);
    if (connector->starting)
        loop_next_turn(connector->loop, &connector->settled);
    else
        deliver(connector);
}

static void succeed(struct attempt *attempt)
{
    int fd = attempt->fd;
    attempt_stop(attempt);
    attempt->fd = -1;
    settle(attempt->connector, fd, 0);
}

/* Binds to `source`, its port if it names one. */
static int bind_source(int fd, const struct net_address *source)
{
    const struct sockaddr_in *inet = (const void *) &source->as;
    /* The port of both families is in the same place. */
    if (inet->sin_port != 0)
        net_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
#ifdef IP_BIND_ADDRESS_NO_PORT
    /* A port that is free for this peer, not one free for all. */
    else
        net_set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#endif
    return bind(fd, &source->as.any, source->length) ? errno : 0;
}

/* A connect to a free local port may pick that very port for its own side
 * and reach itself (TCP's simultaneous open): nobody listens there. */
static bool reached_itself(const struct attempt *attempt)
{
    struct net_address mine;
    int family = attempt->address.as.any.sa_family;
    if (family != AF_INET && family != AF_INET6)
        return false;
    return net_local_address(attempt->fd, &mine) &&
           mine.length == attempt->address.length &&
           memcmp(&mine.as, &attempt->address.as, mine.length) == 0;
}

static void connector_next(struct connector *connector);

static void fail(struct attempt *attempt, int error)
{
    attempt->error = error;
    attempt_trace_end(attempt);
    attempt_close(attempt);
}

/* Its outcome came later, from the loop. */
static void attempt_over(struct attempt *attempt, int error)
{
    if (error == 0 && reached_itself(attempt))
        error = ECONNREFUSED;
    attempt->connector->pending--;
    if (error == 0) {
        succeed(attempt);
        return;
    }
    fail(attempt, error);
    connector_next(attempt->connector);
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct attempt *attempt = watcher->data;
    (void) ev, (void) events;
    attempt_over(attempt, net_connected(attempt->fd));
}

/* connect(2), and what to wait for. 0, EINPROGRESS or an error. */
static int try_connect(struct attempt *attempt)
{
    struct connector *connector = attempt->connector;
    int error = net_connect(attempt->fd, &attempt->address);
    if (error == EINPROGRESS)
        ev_io_start(connector->loop->ev, &attempt->writer);
    /* Nothing tells when a unix socket's backlog has room again. */
    if (error == EAGAIN && attempt->address.as.any.sa_family == AF_UNIX) {
        loop_start_timer(connector->loop, &attempt->retry, RETRY);
        return EINPROGRESS;
    }
    return error;
}

static void on_retry(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct attempt *attempt = timer->data;
    (void) ev, (void) events;
    int error = try_connect(attempt);
    if (error != EINPROGRESS)
        attempt_over(attempt, error);
}

/* The source for a peer of `family`, NULL if it is of another one; every
 * address, [::], is so of both. */
static const struct net_address *source_for(const struct net_address *source,
                                            int family,
                                            struct net_address *room)
{
    if (source->as.any.sa_family == family)
        return source;
    return family == AF_INET && net_is_any(source, room) ? room : NULL;
}

static int attempt_begin(struct attempt *attempt)
{
    struct net_address room;
    const struct net_address *source = &attempt->connector->source;
    bool bound = source->length > 0;
    int family = attempt->address.as.any.sa_family, error = 0;
    if (bound)
        source = source_for(source, family, &room);
    if (!source)
        return EAFNOSUPPORT;
    attempt->fd = net_socket(family, SOCK_STREAM);
    if (attempt->fd < 0)
        return errno;
    ev_io_init(&attempt->writer, on_writable, attempt->fd, EV_WRITE);
    attempt->writer.data = attempt;
    if (bound)
        error = bind_source(attempt->fd, source);
    if (error == 0)
        error = try_connect(attempt);
    if (error == 0 && reached_itself(attempt))
        error = ECONNREFUSED;
    return error;
}

/* Begins the next attempt, and those after it while they fail at once. */
static void connector_next(struct connector *connector)
{
    ev_timer_stop(connector->loop->ev, &connector->stagger);
    while (connector->next < connector->count) {
        struct attempt *attempt = &connector->attempts[connector->next++];
        trace_connecting(connector->loop, connector->stream, &attempt->address);
        int error = attempt_begin(attempt);
        if (error == 0) {
            succeed(attempt);
            return;
        }
        if (error == EINPROGRESS) {
            connector->pending++;
            break;
        }
        fail(attempt, error);
    }
    if (connector->next < connector->count)
        loop_start_timer(connector->loop, &connector->stagger,
                         CONNECTOR_STAGGER);
    else if (connector->pending == 0)
        settle(connector, -1, final_error(connector));
}

static void on_stagger(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void) ev, (void) events;
    connector_next(timer->data);
}

/* Only the source's family, unless that leaves nothing. */
static size_t choose(const struct net_address *addresses, size_t count,
                     const struct net_address *source,
                     struct net_address *chosen)
{
    size_t kept = 0;
    struct net_address room;
    for (size_t i = 0; i < count; i++)
        if (!source || source_for(source, addresses[i].as.any.sa_family, &room))
            chosen[kept++] = addresses[i];
    if (kept > 0)
        return kept;
    memcpy(chosen, addresses, count * sizeof *chosen);
    return count;
}

static void set_attempts(struct connector *connector,
                         const struct net_address *addresses, size_t count)
{
    size_t size = count * sizeof *addresses;
    struct net_address *chosen = memory_new(size);
    struct net_address *ordered = memory_new(size);
    const struct net_address *source =
        connector->source.length > 0 ? &connector->source : NULL;
    connector->count = choose(addresses, count, source, chosen);
    connector_order(chosen, connector->count, ordered);
    for (size_t i = 0; i < connector->count; i++) {
        struct attempt *attempt = &connector->attempts[i];
        attempt->connector = connector;
        attempt->address = ordered[i];
        attempt->fd = -1;
        ev_init(&attempt->writer, on_writable);
        ev_init(&attempt->retry, on_retry);
        attempt->retry.data = attempt;
    }
    free(chosen);
    free(ordered);
}

struct connector *connector_start(struct loop *loop,
                                  const struct connector_request *request,
                                  connector_done *done, void *owner)
{
    size_t size = request->count * sizeof(struct attempt);
    struct connector *connector = memory_new(sizeof *connector + size);
    list_init(&connector->grave);
    list_init(&connector->settled.link);
    connector->settled.run = on_settled;
    connector->loop = loop;
    connector->done = done;
    connector->owner = owner;
    connector->name = memory_copy(request->name, strlen(request->name));
    connector->stream = request->stream;
    connector->fd = -1;
    if (request->source)
        connector->source = *request->source;
    ev_init(&connector->stagger, on_stagger);
    connector->stagger.data = connector;
    set_attempts(connector, request->addresses, request->count);
    connector->starting = true;
    connector_next(connector);
    connector->starting = false;
    return connector;
}

void connector_cancel(struct connector *connector)
{
    list_remove(&connector->settled.link);
    stop(connector);
    if (connector->fd >= 0)
        close(connector->fd);
    connector->fd = -1;
    bury(connector);
}
