#include "event/resolver.h"

#include <ares.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/resolver_socket.h"

#define SYSTEM_FILE "/etc/resolv.conf"

struct resolver {
    struct resolver *next; /* of resolvers */
    struct loop *loop;
    char *servers; /* NULL: the system's */
    ares_channel channel;
    ev_timer timer;
    struct list sockets; /* struct socket, those that c-ares waits for */
    unsigned queries;    /* that c-ares has not answered, */
    unsigned wanted;     /* and those of them not cancelled */
    struct resolver_refusals refusals;
    struct stat file; /* SYSTEM_FILE, as it was read */
    bool retired;     /* for good, once its queries are over */
    struct loop_call tidy;
};

struct socket {
    struct list link;
    ev_io watcher;
};

/* c-ares cannot cancel one query: a cancelled one stays, without a callback,
 * until it is answered or nobody waits for another one of its resolver. */
struct resolver_query {
    struct list link;          /* queries */
    struct resolver *resolver; /* NULL when it has answered, */
    struct loop_call deliver;  /* and this waits */
    resolver_found *found;
    resolver_answered *answered;
    void *owner;
    bool cancelled;
    unsigned refusals; /* its resolver's, when it was asked */
    int status;        /* c-ares'; or -errno */
    in_port_t port;    /* in network order */
    int family;        /* that was asked for */
    bool local;        /* "localhost" was */
    struct net_address *addresses;
    size_t count;
    unsigned char *message;
    size_t size;
};

_Static_assert(RESOLVER_NO_DATA == ERROR_RESOLVE - ARES_ENODATA, "ares.h");
_Static_assert(RESOLVER_BAD_NAME == ERROR_RESOLVE - ARES_EBADNAME, "ares.h");
_Static_assert(RESOLVER_BAD_ANSWER == ERROR_RESOLVE - ARES_EBADRESP, "ares.h");

static struct resolver *resolvers;
static struct list queries = {&queries, &queries};

static void update_timer(struct resolver *resolver)
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
    update_timer(resolver);
}

static void on_socket(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct resolver *resolver = watcher->data;
    int fd = watcher->fd; /* the watcher may be gone soon */
    (void) ev;
    ares_process_fd(resolver->channel, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD);
    update_timer(resolver);
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
        update_timer(resolver);
    }
    if (!resolver->retired)
        return;
    struct resolver **place = &resolvers;
    while (*place != resolver)
        place = &(*place)->next;
    *place = resolver->next;
    resolver_free(resolver);
}

/* Not at once: c-ares may be at work in it. */
static void tidy_when_idle(struct resolver *resolver)
{
    if (resolver->wanted == 0 && (resolver->retired || resolver->queries > 0))
        loop_next_turn(resolver->loop, &resolver->tidy);
}

/* All zero when it cannot be read, without a descriptor left say: c-ares does
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
        tidy_when_idle(resolver);
    }
    resolver = resolver_new(loop, servers, error);
    /* Scripts may name any number of servers: only the system's stay. */
    if (resolver && servers)
        resolver->retired = true;
    return resolver;
}

static void query_free(struct resolver_query *query)
{
    list_remove(&query->link);
    list_remove(&query->deliver.link);
    free(query->addresses);
    free(query->message);
    free(query);
}

static void on_deliver(struct loop_call *call)
{
    struct resolver_query *query =
        list_entry(call, struct resolver_query, deliver);
    int status = query->status;
    int error = status <= ARES_SUCCESS ? -status : ERROR_RESOLVE - status;
    /* The owner may cancel nothing any more, but free itself. */
    if (query->found)
        query->found(query->owner, error, query->addresses, query->count);
    else
        query->answered(query->owner, error, query->message, query->size);
    query_free(query);
}

static struct resolver_query *query_new(struct resolver *resolver, void *owner)
{
    struct resolver_query *query = memory_new(sizeof *query);
    list_insert(&queries, &query->link);
    list_init(&query->deliver.link);
    query->deliver.run = on_deliver;
    query->resolver = resolver;
    query->owner = owner;
    query->refusals = resolver->refusals.count;
    resolver->queries++;
    resolver->wanted++;
    return query;
}

static void leave_resolver(struct resolver_query *query)
{
    struct resolver *resolver = query->resolver;
    query->resolver = NULL;
    resolver->queries--;
    if (!query->cancelled)
        resolver->wanted--;
    tidy_when_idle(resolver);
}

/* c-ares may answer inside the call that asks, and amidst its own work: the
 * result is delivered from the next turn. */
static void finish(struct resolver_query *query, int status)
{
    struct loop *loop = query->resolver->loop;
    leave_resolver(query);
    query->status = status;
    loop_next_turn(loop, &query->deliver);
}

static void answer(struct resolver_query *query, int status)
{
    const struct resolver_refusals *refusals = &query->resolver->refusals;
    if (status == ARES_ECONNREFUSED && refusals->count != query->refusals)
        status = refusals->status;
    if (!query->cancelled && status != ARES_EDESTRUCTION) {
        finish(query, status);
        return;
    }
    leave_resolver(query);
    query_free(query);
}

void resolver_cancel(struct resolver_query *query)
{
    struct resolver *resolver = query->resolver;
    if (!resolver) {
        query_free(query);
        return;
    }
    query->cancelled = true;
    resolver->wanted--;
    tidy_when_idle(resolver);
}

static bool is_known(const struct resolver_query *query,
                     const struct net_address *address)
{
    for (size_t i = 0; i < query->count; i++)
        if (query->addresses[i].length == address->length &&
            memcmp(&query->addresses[i].as, &address->as, address->length) == 0)
            return true;
    return false;
}

static void add_address(struct resolver_query *query,
                        const struct net_address *address)
{
    if (is_known(query, address))
        return;
    size_t size = (query->count + 1) * sizeof *query->addresses;
    query->addresses = memory_resize(query->addresses, size);
    query->addresses[query->count++] = *address;
}

static void set_port(struct net_address *address, in_port_t port)
{
    struct sockaddr_in *four = (void *) &address->as;
    struct sockaddr_in6 *six = (void *) &address->as;
    if (four->sin_family == AF_INET)
        four->sin_port = port;
    else
        six->sin6_port = port;
}

/* Where /etc/hosts cannot be read, c-ares does not know "localhost"; it is
 * this machine all the same (RFC 6761). */
static void add_loopback(struct resolver_query *query, const char *host)
{
    struct net_address address;
    if (!net_numeric(&address, host, "0"))
        return;
    set_port(&address, query->port);
    if (query->family == AF_UNSPEC || query->family == address.as.any.sa_family)
        add_address(query, &address);
}

static void on_addresses(void *data, int status, int timeouts,
                         struct ares_addrinfo *info)
{
    struct resolver_query *query = data;
    const struct ares_addrinfo_node *node = info ? info->nodes : NULL;
    (void) timeouts;
    for (; node; node = node->ai_next) {
        struct net_address address = {.length = node->ai_addrlen};
        if (node->ai_addrlen > sizeof address.as)
            continue;
        memcpy(&address.as, node->ai_addr, node->ai_addrlen);
        set_port(&address, query->port);
        add_address(query, &address);
    }
    if (info)
        ares_freeaddrinfo(info);
    if (query->local && status == ARES_ECONNREFUSED) {
        add_loopback(query, "::1");
        add_loopback(query, "127.0.0.1");
        status = ARES_SUCCESS;
    }
    if (status == ARES_SUCCESS && query->count == 0)
        status = ARES_ENODATA;
    answer(query, status);
}

/* "localhost", and every name below it; a final dot does not matter. */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t size = strlen(host), length = sizeof name - 1;
    if (size > 0 && host[size - 1] == '.')
        size--;
    if (size < length || strncasecmp(host + size - length, name, length) != 0)
        return false;
    return size == length || host[size - length - 1] == '.';
}

struct resolver_query *resolver_lookup(struct resolver *resolver,
                                       const char *host, const char *port,
                                       int family, resolver_found *found,
                                       void *owner)
{
    struct net_address address;
    struct resolver_query *query = query_new(resolver, owner);
    query->found = found;
    if (net_numeric(&address, host, port)) {
        bool fits = family == AF_UNSPEC || family == address.as.any.sa_family;
        if (fits)
            add_address(query, &address);
        finish(query, fits ? ARES_SUCCESS : ARES_ENODATA);
        return query;
    }
    struct ares_addrinfo_hints hints = {.ai_family = family,
                                        .ai_socktype = SOCK_STREAM};
    /* c-ares knows it from /etc/hosts or by itself. */
    query->local = is_localhost(host);
    if (query->local)
        host = "localhost";
    query->family = family;
    /* Not c-ares' business: it refuses port 0. */
    query->port = htons((uint16_t) strtoul(port, NULL, 10));
    ares_getaddrinfo(resolver->channel, host, NULL, &hints, on_addresses,
                     query);
    update_timer(resolver);
    return query;
}

static void on_answer(void *data, int status, int timeouts,
                      unsigned char *message, int size)
{
    struct resolver_query *query = data;
    (void) timeouts;
    if (status == ARES_SUCCESS) {
        query->message = (void *) memory_copy(message, (size_t) size);
        query->size = (size_t) size;
    }
    answer(query, status);
}

struct resolver_query *resolver_query(struct resolver *resolver,
                                      const char *name, int type,
                                      resolver_answered *answered, void *owner)
{
    struct resolver_query *query = query_new(resolver, owner);
    query->answered = answered;
    ares_query(resolver->channel, name, 1, type, on_answer, query);
    update_timer(resolver);
    return query;
}

void resolver_free_all(void)
{
    while (resolvers) {
        struct resolver *resolver = resolvers;
        resolvers = resolver->next;
        resolver_free(resolver);
    }
    /* Those that were about to be delivered. */
    for (struct list *link; (link = list_pop(&queries));)
        query_free(list_entry(link, struct resolver_query, link));
}
