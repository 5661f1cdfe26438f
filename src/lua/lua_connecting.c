/* A connect under way: from an address to a descriptor, from that to an open
 * stream. */
#include "lua/lua_connecting.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/connector.h"
#include "event/resolver.h"
#include "event/trace.h"
#include "lua/lua_tls.h"

struct connecting *lua_connecting_begin(lua_State *L, struct lua_stream *box,
                                        const char *name)
{
    struct connecting *connecting = memory_new(sizeof *connecting);
    connecting->box = box;
    connecting->name = memory_copy(name, strlen(name));
    lua_stream_have_rare(box)->connecting = connecting;
    lua_stream_keep(L, box, 1);
    return connecting;
}

void lua_connecting_free(struct connecting *connecting)
{
    struct lua_stream *box = connecting->box;
    if (connecting->query)
        resolver_cancel(connecting->query);
    if (connecting->connector)
        connector_cancel(connecting->connector);
    free(connecting->name);
    free(connecting);
    lua_stream_have_rare(box)->connecting = NULL;
    lua_stream_let_go(box);
}

static struct operation *take_ready(struct lua_stream *box)
{
    struct operation *op = box->rare->ready;
    if (op)
        lua_stream_have_rare(box)->ready = NULL;
    return op;
}

/* The operation that waits, if one does, ends. */
static void succeed(struct lua_stream *box)
{
    struct operation *op = take_ready(box);
    if (!op)
        return;
    lua_State *to = operation_results(op);
    lua_stream_push_box(to, box);
    operation_finish(op, 1);
}

static void fail(struct lua_stream *box, int error, const char *message)
{
    struct operation *op = take_ready(box);
    if (op)
        operation_fail(op, error, message);
}

void lua_connecting_connected(struct lua_stream *box, int fd)
{
    if (box->rare->tls != LUA_NOREF) {
        const char *name = box->rare->connecting->name;
        stream_open(box->stream, fd, lua_tls_client(box, fd, name));
        return;
    }
    succeed(box);
    lua_connecting_free(box->rare->connecting);
    stream_open(box->stream, fd, NULL);
}

static void failed(struct lua_stream *box, int error, const char *message)
{
    char *text = memory_copy(message, strlen(message));
    fail(box, error, text);
    lua_connecting_free(box->rare->connecting);
    stream_connect_failed(box->stream, error, text);
    free(text);
}

static void connector_ended(struct connector *connector, int fd, int error,
                            const char *message)
{
    struct connecting *connecting = connector_owner(connector);
    struct lua_stream *box = connecting->box;
    connecting->connector = NULL;
    if (fd < 0) {
        failed(box, error, message);
        return;
    }
    struct net_address peer;
    char text[NET_TEXT];
    if (net_peer_address(fd, &peer))
        lua_stream_set_peer(box, net_format(&peer, text, sizeof text));
    lua_connecting_connected(box, fd);
}

/* It says what was asked for, rather than which address answered. */
static void ready_failed(struct lua_stream *box, int error)
{
    char *message;
    if (!box->rare->ready)
        return;
    if (box->rare->connecting)
        message = memory_format("connect %s: %s", box->rare->connecting->name,
                                stream_reason(box->stream, error));
    else
        message = lua_stream_message(box, box->rare->ready->class->name, error);
    fail(box, error, message);
    free(message);
}

/* events->ready: a handshake ended, or the stream was closed before. */
void lua_connect_ready(struct stream *stream, int error)
{
    struct lua_stream *box = stream_owner(stream);
    if (stream_loop(stream)->trace)
        lua_tls_trace(box, error);
    lua_tls_done(box);
    if (box->rare->listener)
        lua_listener_ready(box, error);
    if (error)
        ready_failed(box, error);
    else
        succeed(box);
    if (box->rare->connecting)
        lua_connecting_free(box->rare->connecting);
    else
        lua_stream_let_go(box);
}

static void abandon_connect(void *object, int error, const char *message)
{
    struct lua_stream *box = object;
    (void) take_ready(box);
    if (box->rare->connecting)
        lua_connecting_free(box->rare->connecting);
    if (box->stream->phase == STREAM_CONNECTING)
        stream_connect_failed(box->stream, error, message);
    else
        stream_abort_for(box->stream, error, message);
}

/* With how far it has come: "localhost:81 ([::1]:81: Connection refused;
 * 127.0.0.1:81: no answer yet)". */
static void describe_connect(struct operation *op, char *text, size_t size)
{
    struct lua_stream *box = op->object;
    const struct connecting *connecting = box->rare->connecting;
    char doing[512] = "TLS handshake";
    if (!connecting) {
        lua_stream_operation_target(op, text, size);
        return;
    }
    if (connecting->query)
        snprintf(doing, sizeof doing, "resolving the name");
    else if (connecting->connector)
        connector_attempts(connecting->connector, doing, sizeof doing);
    snprintf(text, size, "%s (%s)", connecting->name, doing);
}

const struct operation_class lua_connecting_class = {.name = "connect",
                                                     .abandon = abandon_connect,
                                                     .describe =
                                                         describe_connect,
                                                     .of_stream = true};

static void try_addresses(struct connecting *connecting,
                          const struct net_address *addresses, size_t count)
{
    struct connector_request request = {
        .name = connecting->name,
        .addresses = addresses,
        .count = count,
        .source = connecting->bound ? &connecting->source : NULL,
        .stream = connecting->box->stream->id,
    };
    connecting->connector =
        connector_start(task_loop(), &request, connector_ended, connecting);
}

static void resolved(void *owner, int error,
                     const struct net_address *addresses, size_t count)
{
    struct connecting *connecting = owner;
    connecting->query = NULL;
    if (!error) {
        try_addresses(connecting, addresses, count);
        return;
    }
    char *message =
        memory_format("connect %s: %s", connecting->name, error_text(error));
    failed(connecting->box, error, message);
    free(message);
}

int lua_connecting_start(struct connecting *connecting)
{
    const struct net_target *target = &connecting->target;
    int error = 0;
    if (target->numeric || target->kind == TARGET_LOCAL) {
        try_addresses(connecting, &target->address, 1);
        return 0;
    }
    trace_stream(connecting->box->stream, '*', "resolving %s", target->host);
    struct resolver *resolver = resolver_get(task_loop(), NULL, &error);
    if (resolver)
        connecting->query =
            resolver_lookup(resolver, target->host, target->port, AF_UNSPEC,
                            resolved, connecting);
    return error;
}
