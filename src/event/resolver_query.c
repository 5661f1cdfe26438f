/* Queries: what is asked of a resolver, and how answers come back. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "event/resolver_internal.h"

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

static struct list queries = {&queries, &queries};

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
    resolver_tidy_when_idle(resolver);
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
    resolver_tidy_when_idle(resolver);
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
    resolver_update_timer(resolver);
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
    resolver_update_timer(resolver);
    return query;
}

/* Those that were about to be delivered. */
void resolver_query_free_all(void)
{
    for (struct list *link; (link = list_pop(&queries));)
        query_free(list_entry(link, struct resolver_query, link));
}
