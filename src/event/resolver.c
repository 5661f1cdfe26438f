/* Resolvers: c-ares' channels on the loop, with their sockets, their timer and
 * the servers that they ask. Queries are in resolver_query.c. */
#include "event/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "event/resolver_internal.h"

#define SYSTEM_FILE "/etc/resolv.conf"

struct socket {
    struct list link;
    ev_io watcher;
};

static struct resolver *resolvers;

void resolver_update_timer(struct resolver *resolver)
{
    struct timeval left;
    ev_timer_stop(resolver->loop->ev, &resolver->timer);
    if (!ares_timeout(resolver->channel, NULL, &left))
        return;
    double seconds = (double) left.tv_sec + (double) left.tv_usec * 1e-6;
    loop_start_timer(resolver->loop, &resolver->timer, seconds);
}

static void on_timeout(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct resolver *resolver = timer->data;
    (void) ev, (void) events;
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    resolver_update_timer(resolver);
}

static void on_socket(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct resolver *resolver = watcher->data;
    int fd = watcher->fd; /* the watcher may be gone soon */
    (void) ev;
    ares_process_fd(resolver->channel, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD);
    resolver_update_timer(resolver);
}

static struct socket *find_socket(struct resolver *resolver, int fd)
{
    struct list *link = resolver->sockets.next;
    for (; link != &resolver->sockets; link = link->next) {
        struct socket *socket = list_entry(link, struct socket, link);
        if (socket->watcher.fd == fd)
            return socket;
    }
    return NULL;
}

/* c-ares says what it waits for; nothing, just before it closes a socket. */
static void on_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = data;
    struct socket *socket = find_socket(resolver, fd);
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    if (socket)
        ev_io_stop(resolver->loop->ev, &socket->watcher);
    if (events == 0) {
        if (socket)
            list_remove(&socket->link);
        free(socket);
        return;
    }
    if (!socket) {
        socket = memory_new(sizeof *socket);
        list_insert(&resolver->sockets, &socket->link);
        ev_init(&socket->watcher, on_socket);
        socket->watcher.data = resolver;
    }
    ev_io_set(&socket->watcher, fd, events);
    ev_io_start(resolver->loop->ev, &socket->watcher);
}

static int open_channel(struct resolver *resolver)
{
    struct ares_options options = {
        .timeout = RESOLVER_TIMEOUT,
        .tries = RESOLVER_TRIES,
        .sock_state_cb = on_state,
        .sock_state_cb_data = resolver,
    };
    int given = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS)
        status = ares_init_options(&resolver->channel, &options, given);
    if (status != ARES_SUCCESS)
        return ERROR_RESOLVE - status;
    ares_set_socket_functions(resolver->channel, &resolver_sockets,
                              &resolver->refusals);
    if (!resolver->servers)
        return 0;
    status = ares_set_servers_ports_csv(resolver->channel, resolver->servers);
    return status == ARES_SUCCESS ? 0 : EINVAL;
}

/* It is in no list any more. */
static void resolver_free(struct resolver *resolver)
{
    if (resolver->channel)
        ares_destroy(resolver->channel); /* ends what is pending */
    list_remove(&resolver->tidy.link);
    ev_timer_stop(resolver->loop->ev, &resolver->timer);
    free(resolver->servers);
    free(resolver);
    ares_library_cleanup();
}

/* Nobody waits any more: the sockets of cancelled queries close, and one
 * that is retired goes. */
static void on_tidy(struct loop_call *call)
{
    struct resolver *resolver = list_entry(call, struct resolver, tidy);
    if (resolver->wanted > 0)
        return;
    if (resolver->queries > 0) {
        ares_cancel(resolver->channel);
        resolver_update_timer(resolver);
    }
    if (!resolver->retired)
        return;
    struct resolver **place = &resolvers;
    while (*place != resolver)
        place = &(*place)->next;
    *place = resolver->next;
    resolver_free(resolver);
}

void resolver_tidy_when_idle(struct resolver *resolver)
{
    if (resolver->wanted == 0 && (resolver->retired || resolver->queries > 0))
        loop_next_turn(resolver->loop, &resolver->tidy);
}

/* All zero when it cannot be read, as when no descriptor is left: c-ares does
 * without it then and tells nobody. Once it can be, the state is another. */
static void read_file_state(struct stat *state)
{
    int fd = open(SYSTEM_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, state) != 0)
        memset(state, 0, sizeof *state);
    if (fd >= 0)
        close(fd);
}

static bool is_current(const struct resolver *resolver)
{
    struct stat now;
    const struct stat *then = &resolver->file;
    if (resolver->servers)
        return true;
    read_file_state(&now);
    return now.st_ino == then->st_ino && now.st_size == then->st_size &&
           now.st_mtime == then->st_mtime;
}

static struct resolver *resolver_new(struct loop *loop, const char *servers,
                                     int *error)
{
    struct resolver *resolver = memory_new(sizeof *resolver);
    resolver->loop = loop;
    list_init(&resolver->sockets);
    list_init(&resolver->tidy.link);
    resolver->tidy.run = on_tidy;
    ev_init(&resolver->timer, on_timeout);
    resolver->timer.data = resolver;
    if (servers)
        resolver->servers = memory_copy(servers, strlen(servers));
    read_file_state(&resolver->file);
    *error = open_channel(resolver);
    if (*error != 0) {
        resolver_free(resolver);
        return NULL;
    }
    resolver->next = resolvers;
    resolvers = resolver;
    return resolver;
}

static struct resolver *find_resolver(const char *servers)
{
    struct resolver *resolver = resolvers;
    for (; resolver; resolver = resolver->next) {
        if (servers && resolver->servers &&
            strcmp(servers, resolver->servers) == 0)
            return resolver;
        if (!servers && !resolver->servers && !resolver->retired)
            return resolver;
    }
    return NULL;
}

struct resolver *resolver_get(struct loop *loop, const char *servers,
                              int *error)
{
    const char *given = getenv("WEIR_NAMESERVERS");
    if (!servers && given && given[0])
        servers = given;
    *error = EINVAL;
    if (servers && !servers[0])
        return NULL;
    struct resolver *resolver = find_resolver(servers);
    *error = 0;
    if (resolver && is_current(resolver))
        return resolver;
    if (resolver) {
        resolver->retired = true;
        resolver_tidy_when_idle(resolver);
    }
    resolver = resolver_new(loop, servers, error);
    /* Scripts may name any number of servers: only the system's stay. */
    if (resolver && servers)
        resolver->retired = true;
    return resolver;
}

void resolver_free_all(void)
{
    while (resolvers) {
        struct resolver *resolver = resolvers;
        resolvers = resolver->next;
        resolver_free(resolver);
    }
    resolver_query_free_all();
}
