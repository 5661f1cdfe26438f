#include "event/listener.h"

#include <errno.h>
#include <poll.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/trace.h"
#include "io/standard.h"

static bool at_limit(const struct listener *listener)
{
    return listener->max_connections > 0 &&
           listener->connections >= listener->max_connections;
}

static bool may_accept(const struct listener *listener)
{
    return listener->fd >= 0 && !listener->paused && !at_limit(listener) &&
           !ev_is_active(&listener->rest);
}

/* The one place that starts and stops the watcher. */
static void update(struct listener *listener)
{
    if (may_accept(listener))
        ev_io_start(listener->loop->ev, &listener->acceptor);
    else
        ev_io_stop(listener->loop->ev, &listener->acceptor);
    loop_hold(listener->loop, &listener->holding,
              listener->fd >= 0 && !listener->unref);
}

/* An episode of exhaustion is over, and so is a crowd. */
static void everybody_came(struct listener *listener)
{
    listener->reported = listener->crowd = false;
}

static bool somebody_waits(struct listener *listener)
{
    struct pollfd wanted = {.fd = listener->fd, .events = POLLIN};
    if (poll(&wanted, 1, 0) > 0)
        return true;
    everybody_came(listener);
    return false;
}

/* Trying again at once would only burn CPU: the socket stays readable. */
static void exhausted(struct listener *listener, int error)
{
    /* Linux gives EMFILE even when nobody waits. */
    if (!somebody_waits(listener))
        return;
    loop_start_timer(listener->loop, &listener->rest, LISTENER_REST);
    update(listener);
    if (listener->reported)
        return;
    listener->reported = true;
    listener->events->exhausted(listener, error);
}

/* What became of one connection that waited, or of the network below it:
 * nothing is wrong with the listener (accept(2), "Error handling"). */
static bool is_passing(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

enum outcome {
    ACCEPTED,
    PASSED, /* that one is gone; there may be more */
    OVER    /* for now */
};

/* Of turns in a row that bring connections, how many before it is asked
 * again whether they bring more than one. */
#define ALONE 8

/* Linux takes longer to accept nobody than for the rest of accept, poll and
 * epoll_wait together. Most come alone; of another one the loop's next poll
 * tells. Only where every turn brings some it is asked who is behind, and then
 * all of them are taken. */
static bool others_wait(struct listener *listener)
{
    if (listener->crowd)
        return true;
    if (!listener->reported && listener->alone != 1)
        return false;
    listener->crowd = somebody_waits(listener);
    return listener->crowd;
}

static enum outcome accept_one(struct listener *listener)
{
    struct net_address peer;
    int fd = net_accept(listener->fd, &peer);
    if (fd >= 0) {
        listener->connections++;
        listener->references++;
        listener->events->accepted(listener, fd, &peer);
        return ACCEPTED;
    }
    int error = errno;
    if (error_would_block(error)) {
        everybody_came(listener);
        return OVER;
    }
    trace_not_accepted(listener, error);
    if (is_passing(error))
        return PASSED;
    exhausted(listener, error);
    return OVER;
}

/* One connection, and the next one after what that made ready: a handler
 * that pauses or closes the listener is the last to start. Callbacks may
 * release it: one that is buried can still be looked at until the turn
 * ends. */
static void accept_next(struct listener *listener, unsigned turn)
{
    enum outcome outcome = PASSED;
    if (listener->turn != turn)
        listener->batch = 0;
    listener->turn = turn;
    while (outcome == PASSED && may_accept(listener) &&
           listener->batch < LISTENER_BATCH) {
        listener->batch++;
        outcome = accept_one(listener);
    }
    if (outcome == ACCEPTED && may_accept(listener) && others_wait(listener))
        loop_before_wait(listener->loop, &listener->more);
    if (!may_accept(listener))
        update(listener);
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct listener *listener = watcher->data;
    (void) ev, (void) events;
    unsigned turn = listener->loop->turn + 1; /* which begins after the poll */
    bool in_a_row = turn - listener->turn <= 1;
    listener->alone = in_a_row ? listener->alone % ALONE + 1 : 0;
    accept_next(listener, turn);
}

static void on_more(struct loop_call *call)
{
    struct listener *listener = list_entry(call, struct listener, more);
    accept_next(listener, listener->loop->turn);
}

static void on_rested(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void) ev, (void) events;
    update(timer->data);
}

static void on_drain(struct loop_call *call)
{
    listener_close(list_entry(call, struct listener, drain));
}

static struct listener *make(struct loop *loop, int fd,
                             unsigned max_connections,
                             const struct listener_events *events, void *owner)
{
    struct listener *listener = memory_new(sizeof *listener);
    list_init(&listener->grave);
    listener->loop = loop;
    listener->events = events;
    listener->owner = owner;
    listener->fd = fd;
    listener->max_connections = max_connections;
    listener->drain.run = on_drain;
    list_init(&listener->more.link);
    listener->more.run = on_more;
    list_insert(&loop->drains, &listener->drain.link);
    listener->references = 1;
    net_local_address(fd, &listener->address);
    ev_io_init(&listener->acceptor, on_readable, fd, EV_READ);
    listener->acceptor.data = listener;
    ev_init(&listener->rest, on_rested);
    listener->rest.data = listener;
    trace_listener(listener, "listening on");
    update(listener);
    return listener;
}

struct listener *listener_open(struct loop *loop,
                               const struct net_address *address, int backlog,
                               bool reuse_port, unsigned max_connections,
                               const struct listener_events *events,
                               void *owner)
{
    int fd = net_listen(address, backlog, reuse_port);
    if (fd < 0)
        return NULL;
    struct listener *listener = make(loop, fd, max_connections, events, owner);
    net_file_note(&listener->file, &listener->address);
    return listener;
}

struct listener *listener_adopt(struct loop *loop, int fd,
                                unsigned max_connections,
                                const struct listener_events *events,
                                void *owner)
{
    int listens = 0;
    socklen_t length = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length))
        return NULL;
    int error = listens ? net_set_nonblocking(fd, true) : EINVAL;
    if (error == 0)
        error = net_set_cloexec(fd);
    if (error == 0)
        return make(loop, fd, max_connections, events, owner);
    errno = error;
    return NULL;
}

void listener_pass_on(struct listener *listener, bool nodelay, bool keepalive)
{
    listener->passes_on = net_pass_on(listener->fd, nodelay, keepalive);
}

void listener_pause(struct listener *listener)
{
    listener->paused = true;
    update(listener);
}

void listener_resume(struct listener *listener)
{
    listener->paused = false;
    update(listener);
}

void listener_set_unref(struct listener *listener, bool unref)
{
    listener->unref = unref;
    update(listener);
}

void listener_close(struct listener *listener)
{
    if (listener->fd < 0)
        return;
    int fd = listener->fd;
    trace_listener(listener, "no longer listening on");
    net_file_remove(&listener->file, &listener->address);
    listener->fd = -1;
    list_remove(&listener->drain.link);
    list_remove(&listener->more.link);
    ev_timer_stop(listener->loop->ev, &listener->rest);
    update(listener);
    standard_close(fd);
}

static void drop(struct listener *listener)
{
    if (--listener->references == 0)
        loop_bury(listener->loop, listener);
}

void listener_connection_ended(struct listener *listener)
{
    listener->connections--;
    if (!ev_is_active(&listener->acceptor))
        update(listener);
    drop(listener);
}

void listener_release(struct listener *listener)
{
    listener_close(listener);
    drop(listener);
}
