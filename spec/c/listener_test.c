/* The listener: batches, limits, exhaustion, stopping. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "event/listener.h"
#include "turn.h"

static struct {
    int accepted, exhausted, error;
    int fds[300];
    int stop_at; /* what to do when so many were accepted */
    void (*stop)(struct listener *);
} seen;

/* How often accept4 fails, and why: no peer can bring that about at will. */
static struct {
    int times, error;
} fault;

static int accepts; /* calls of accept4 */

/* In libc's place. */
int failing_accept(int fd, struct sockaddr *address, socklen_t *size,
                   int flags) __asm__("accept4");

int failing_accept(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    accepts++;
    if (fault.times == 0)
        return (int) syscall(SYS_accept4, fd, address, size, flags);
    fault.times--;
    errno = fault.error;
    return -1;
}

static void on_accepted(struct listener *listener, int fd,
                        const struct net_address *peer)
{
    CHECK(peer->length > 0);
    seen.fds[seen.accepted++] = fd;
    if (seen.accepted == seen.stop_at)
        seen.stop(listener);
}

static void on_exhausted(struct listener *listener, int error)
{
    (void) listener;
    seen.exhausted++;
    seen.error = error;
}

static const struct listener_events events = {on_accepted, on_exhausted};

static struct listener *open_listener(const char *text, unsigned limit)
{
    struct net_address address = address_of(text);
    memset(&seen, 0, sizeof seen);
    struct listener *listener =
        listener_open(loop, &address, 0, false, limit, &events, NULL);
    CHECK(listener && loop->holds == 1);
    return listener;
}

static void connect_many(struct listener *listener, int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        fds[i] = net_socket(listener->address.as.any.sa_family, SOCK_STREAM);
        int error = net_connect(fds[i], &listener->address);
        CHECK(error == 0 || error == EINPROGRESS);
        struct pollfd wait = {.fd = fds[i], .events = POLLOUT};
        CHECK(poll(&wait, 1, 1000) == 1);
    }
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static void turns(int count)
{
    while (count-- > 0) {
        loop_stay_awake(loop);
        turn();
    }
}

/* All of a turn that begins now, up to its poll. */
static void whole_turn(void)
{
    loop->turn++;
    for (int i = 0; i < 300; i++)
        loop_flush(loop);
}

static void end_all(struct listener *listener)
{
    close_all(seen.fds, seen.accepted);
    for (int i = 0; i < seen.accepted; i++)
        listener_connection_ended(listener);
}

static void test_batch(const char *folder)
{
    char text[64];
    int fds[200];
    snprintf(text, sizeof text, "unix:%s/batch", folder);
    struct listener *listener = open_listener(text, 0);
    connect_many(listener, fds, 200);
    turns(1);
    CHECK(seen.accepted == 1); /* the first of the turn to come */
    whole_turn();
    CHECK(seen.accepted == LISTENER_BATCH);
    turns(1);
    whole_turn();
    CHECK(seen.accepted == 200);
    end_all(listener);
    close_all(fds, 200);
    listener_release(listener);
    CHECK(loop->holds == 0);
    turns(1);
    struct stat info;
    CHECK(lstat(text + 5, &info) < 0); /* its own file is gone */
}

/* To accept nobody takes longer than to accept somebody. */
static void test_accepts_nobody_in_vain(void)
{
    int fds[12];
    struct listener *listener = open_listener("127.0.0.1:0", 0);
    for (int i = 0; i < 2; i++) {
        connect_many(listener, fds + i, 1);
        loop->turn += 2;
        accepts = 0;
        turns(2);
        CHECK(seen.accepted == i + 1 && accepts == 1);
    }
    connect_many(listener, fds + 2, 10);
    accepts = 0;
    for (int i = 0; i < 10; i++) {
        loop->turn++;
        turns(1);
    }
    CHECK(seen.accepted == 12 && accepts == 11); /* a crowd, until it is over */
    end_all(listener);
    close_all(fds, 12);
    listener_release(listener);
    turns(1);
}

static void test_stopping_inside(void (*stop)(struct listener *),
                                 int afterwards)
{
    int fds[5];
    struct listener *listener = open_listener("127.0.0.1:0", 0);
    seen.stop_at = 2;
    seen.stop = stop;
    connect_many(listener, fds, 5);
    turns(3);
    CHECK(seen.accepted == 2);
    if (afterwards > 2) {
        listener_resume(listener);
        turns(3);
        CHECK(seen.accepted == afterwards);
    }
    end_all(listener);
    if (stop != listener_release)
        listener_release(listener);
    CHECK(loop->holds == 0);
    turns(1);
    close_all(fds, 5);
}

static void test_limit(void)
{
    int fds[5];
    struct listener *listener = open_listener("127.0.0.1:0", 2);
    connect_many(listener, fds, 5);
    turns(3);
    CHECK(seen.accepted == 2);
    close(seen.fds[0]);
    listener_connection_ended(listener);
    turns(3);
    CHECK(seen.accepted == 3);
    close_all(seen.fds + 1, 2);
    listener_release(listener);
    turns(1);
    listener_connection_ended(listener); /* it outlived its owner */
    listener_connection_ended(listener);
    turns(1);
    close_all(fds, 5);
}

static void test_exhaustion(void)
{
    int fds[3];
    struct rlimit limit, before;
    struct listener *listener = open_listener("127.0.0.1:0", 0);
    connect_many(listener, fds, 3);
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = (rlim_t) fds[2] + 1; /* not one more */
    setrlimit(RLIMIT_NOFILE, &limit);
    turns(3);
    CHECK(seen.accepted == 0 && seen.exhausted == 1 && seen.error == EMFILE);
    CHECK(!ev_is_active(&listener->acceptor)); /* no CPU burnt */
    turn();                                    /* 100 ms later, again */
    turns(3);
    CHECK(seen.exhausted == 1); /* the same episode */
    setrlimit(RLIMIT_NOFILE, &before);
    turn();
    turns(3);
    CHECK(seen.accepted == 3);
    CHECK(!listener->reported);
    end_all(listener);
    close_all(fds, 3);
    listener_release(listener);
    turns(1);
}

/* The last one that waited took the last descriptor. */
static void test_end_of_episode(void)
{
    int fds[3], free[2];
    struct rlimit limit, before;
    struct listener *listener = open_listener("127.0.0.1:0", 0);
    connect_many(listener, fds, 3);
    free[0] = dup(0);
    free[1] = dup(0);
    close_all(free, 2);
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = (rlim_t) free[1] + 1;
    setrlimit(RLIMIT_NOFILE, &limit);
    turns(3);
    CHECK(seen.accepted == 2 && seen.exhausted == 1);
    close(seen.fds[0]);
    listener_connection_ended(listener);
    CHECK(listener->reported); /* one still waits */
    turn();                    /* 100 ms later */
    turns(3);
    CHECK(seen.accepted == 3 && seen.exhausted == 1);
    close_all(seen.fds + 1, 2);
    listener_connection_ended(listener);
    listener_connection_ended(listener);
    CHECK(!listener->reported);
    setrlimit(RLIMIT_NOFILE, &before);
    close_all(fds, 3);
    listener_release(listener);
    turns(1);
}

static void test_errors(void)
{
    static const int errors[] = {ECONNABORTED, EINTR, ENFILE, ENOMEM, ENOBUFS};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        int fds[2];
        bool passing = errors[i] == ECONNABORTED || errors[i] == EINTR;
        struct listener *listener = open_listener("127.0.0.1:0", 0);
        connect_many(listener, fds, 2);
        fault.times = 1;
        fault.error = errors[i];
        turns(3);
        CHECK(fault.times == 0);
        CHECK(seen.accepted == (passing ? 2 : 0));
        CHECK(seen.exhausted == (passing ? 0 : 1));
        CHECK(passing || seen.error == errors[i]);
        CHECK(ev_is_active(&listener->acceptor) == passing);
        if (!passing)
            turn(); /* 100 ms later */
        turns(3);
        CHECK(seen.accepted == 2);
        end_all(listener);
        close_all(fds, 2);
        listener_release(listener);
        turns(1);
    }
}

static void test_foreign_path(const char *folder)
{
    char text[64], moved[64];
    struct stat info;
    snprintf(text, sizeof text, "unix:%s/mine", folder);
    snprintf(moved, sizeof moved, "%s/moved", folder);
    struct listener *listener = open_listener(text, 0);
    CHECK(rename(text + 5, moved) == 0);
    struct net_address address = address_of(text);
    int other = net_listen(&address, 0, false);
    CHECK(other >= 0);
    listener_release(listener);
    CHECK(lstat(text + 5, &info) == 0); /* the other's file stays */
    close(other);
    unlink(text + 5);
    unlink(moved);
    turns(1);
}

static void test_adopt(void)
{
    struct net_address address = address_of("127.0.0.1:0");
    int fd = net_listen(&address, 0, false), peer;
    memset(&seen, 0, sizeof seen);
    struct listener *listener = listener_adopt(loop, fd, 0, &events, NULL);
    CHECK(listener != NULL);
    connect_many(listener, &peer, 1);
    turns(2);
    CHECK(seen.accepted == 1);
    end_all(listener);
    CHECK(!listener_adopt(loop, peer, 0, &events, NULL) && errno == EINVAL);
    close(peer);
    listener_set_unref(listener, true);
    CHECK(loop->holds == 0);
    listener_release(listener);
    turns(1);
}

int main(void)
{
    char folder[] = "/tmp/weir-listener-XXXXXX";
    CHECK(mkdtemp(folder));
    loop = loop_new();
    test_batch(folder);
    test_accepts_nobody_in_vain();
    test_stopping_inside(listener_pause, 5);
    test_stopping_inside(listener_close, 2);
    test_stopping_inside(listener_release, 2);
    test_limit();
    test_exhaustion();
    test_end_of_episode();
    test_errors();
    test_foreign_path(folder);
    test_adopt();
    loop_free(loop);
    CHECK(rmdir(folder) == 0);
    return failures > 0;
}
