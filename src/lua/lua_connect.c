/* Connecting: an address to a descriptor, the descriptor to an open stream. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/connector.h"
#include "event/resolver.h"
#include "event/trace.h"
#include "io/net.h"
#include "io/standard.h"
#include "lua/arguments.h"
#include "lua/lua_stream.h"
#include "lua/lua_tls.h"

/* A connect under way. */
struct connecting {
    struct lua_stream *box;
    struct resolver_query *query;
    struct connector *connector;
    struct net_target target;
    struct net_address source;
    bool bound; /* `source` was given */
    char *name; /* as the script wrote it */
};

static void connecting_free(struct connecting *connecting)
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

/* --- the steps ------------------------------------------------------------ */

/* The connect is complete: what was queued may leave, after the connect's
 * own result. */
static void connected(struct lua_stream *box, int fd)
{
    if (box->rare->tls != LUA_NOREF) {
        const char *name = box->rare->connecting->name;
        stream_open(box->stream, fd, lua_tls_client(box, fd, name));
        return;
    }
    succeed(box);
    connecting_free(box->rare->connecting);
    stream_open(box->stream, fd, NULL);
}

static void failed(struct lua_stream *box, int error, const char *message)
{
    char *text = memory_copy(message, strlen(message));
    fail(box, error, text);
    connecting_free(box->rare->connecting);
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
    connected(box, fd);
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
        connecting_free(box->rare->connecting);
    else
        lua_stream_let_go(box);
}

static void abandon_connect(void *object, int error, const char *message)
{
    struct lua_stream *box = object;
    (void) take_ready(box);
    if (box->rare->connecting)
        connecting_free(box->rare->connecting);
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

static const struct operation_class connect_class = {.name = "connect",
                                                     .abandon = abandon_connect,
                                                     .describe =
                                                         describe_connect,
                                                     .of_stream = true};

/* --- addresses ------------------------------------------------------------ */

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

/* 0, or why it cannot even begin. */
static int start(struct connecting *connecting)
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

/* "127.0.0.1", "::1" or "127.0.0.1:5000": where to connect from. */
static bool parse_source(const char *text, struct net_address *address)
{
    struct net_target target;
    const char *expected;
    if (net_numeric(address, text, "0"))
        return true;
    if (!net_parse(&target, text, strlen(text), &expected) || !target.numeric)
        return false;
    *address = target.address;
    return true;
}

/* --- the calls ------------------------------------------------------------ */

static int bad_address(lua_State *L, struct call *call, const char *text,
                       const char *expected)
{
    lua_pushfstring(L, "connect %s: %s", text, expected);
    return call_fail(L, call, EINVAL, lua_tostring(L, -1));
}

static int bad_source(lua_State *L, struct call *call, const char *text,
                      const char *from)
{
    lua_pushfstring(L, "source %s: an IP address, or IP:port, expected", from);
    return bad_address(L, call, text, lua_tostring(L, -1));
}

/* The stream is at 1. */
static struct connecting *begin_connecting(lua_State *L, struct lua_stream *box,
                                           const char *name)
{
    struct connecting *connecting = memory_new(sizeof *connecting);
    connecting->box = box;
    connecting->name = memory_copy(name, strlen(name));
    lua_stream_have_rare(box)->connecting = connecting;
    lua_stream_keep(L, box, 1);
    return connecting;
}

static int wait_ready(lua_State *L, struct lua_stream *box, struct call *call)
{
    double timeout = options_seconds(L, call->options, "connect_timeout",
                                     box->rare->connect_timeout);
    call->timeout = timeout >= 0 ? timeout : call->timeout;
    struct operation *op = call_wait(L, call, &connect_class, box->timeout);
    op->object = box;
    lua_stream_have_rare(box)->ready = op;
    if (box->stream->unref)
        operation_unref(op, true);
    return call_suspend(L, call, 1);
}

/* fd:N: a connected descriptor becomes the stream's. */
static int adopt(lua_State *L, struct lua_stream *box, struct call *call,
                 int fd)
{
    struct net_address peer;
    char text[NET_TEXT] = "";
    int error = fcntl(fd, F_GETFL) < 0 ? errno : 0;
    if (!error && net_is_socket(fd) && !net_peer_address(fd, &peer))
        error = ENOTCONN;
    if (error) {
        lua_pushfstring(L, "connect fd:%d: %s", fd, error_text(error));
        return call_fail(L, call, error, lua_tostring(L, -1));
    }
    if (net_is_socket(fd))
        net_format(&peer, text, sizeof text);
    lua_stream_set_peer(box, text);
    standard_adopt(fd);
    if (box->rare->tls != LUA_NOREF) {
        begin_connecting(L, box, lua_tostring(L, 2));
        connected(box, fd);
        return wait_ready(L, box, call);
    }
    stream_open(box->stream, fd, NULL);
    lua_pushvalue(L, 1);
    return call_return(L, call, 1);
}

/* What the option `tls` asks for, or the address, or the stream's options did
 * before. Returns what the C function returns, or 0. */
static int prepare_tls(lua_State *L, struct lua_stream *box, struct call *call,
                       const struct net_target *target)
{
    bool wanted = target->tls && box->rare->tls == LUA_NOREF;
    int error = lua_tls_option(L, call->options, wanted, "connect");
    if (error) {
        lua_pushfstring(L, "connect %s: %s", lua_tostring(L, 2),
                        lua_tostring(L, -1));
        return call_fail(L, call, error, lua_tostring(L, -1));
    }
    struct lua_rare *rare = lua_stream_have_rare(box);
    free(rare->host);
    rare->host = target->kind == TARGET_HOST
                     ? memory_copy(target->host, strlen(target->host))
                     : NULL;
    if (!lua_isnil(L, -1))
        lua_tls_set(L, box);
    else
        lua_pop(L, 1);
    lua_tls_check_client(L, box, "connect");
    return 0;
}

/* The stream is at 1, the address at 2, the call parsed. */
static int begin(lua_State *L, struct lua_stream *box, struct call *call)
{
    size_t size;
    const char *text = lua_tolstring(L, 2, &size);
    const char *expected;
    struct net_target target;
    struct net_address source;
    const char *from = options_string(L, call->options, "source", NULL);
    if (!from)
        from = box->rare->source;
    int refused = call_refused(L, call);
    if (refused)
        return refused;
    call->stream = box->stream;
    if (!net_parse(&target, text, size, &expected))
        return bad_address(L, call, text, expected);
    if (target.kind == TARGET_HOST && target.host[0] == '\0')
        return bad_address(L, call, text, "a host is missing before the ':'");
    if (from && !parse_source(from, &source))
        return bad_source(L, call, text, from);
    int failed_tls = prepare_tls(L, box, call, &target);
    if (failed_tls)
        return failed_tls;
    if (target.kind == TARGET_FD)
        return adopt(L, box, call, target.fd);
    struct connecting *connecting = begin_connecting(L, box, text);
    connecting->target = target;
    connecting->source = source;
    connecting->bound = from != NULL;
    lua_stream_set_peer(box, text);
    int error = start(connecting);
    if (error) {
        connecting_free(connecting);
        return lua_stream_call_fail(L, call, box, error);
    }
    stream_connecting(box->stream);
    return wait_ready(L, box, call);
}

/* stream:connect(address, [options], [callback]) → stream */
static int stream_connect(lua_State *L)
{
    static const char *const known[] = {"connect_timeout", "source", "timeout",
                                        "tls", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    if (lua_type(L, 2) != LUA_TSTRING)
        return argument_error(L, 2, "an address (a string) expected");
    call_parse(L, &call, 3, known, "connect");
    if (box->stream->phase != STREAM_IDLE)
        return call_error(L, "connect: the stream is already in use");
    return begin(L, box, &call);
}

/* weir.connect(address, [options], [callback]) → stream */
static int weir_connect(lua_State *L)
{
    static const char *const known[] = {STREAM_OPTION_NAMES, NULL};
    struct lua_stream_options options;
    struct call call;
    if (lua_type(L, 1) != LUA_TSTRING)
        return argument_error(L, 1, "an address (a string) expected");
    call_parse(L, &call, 2, known, "connect");
    lua_stream_options(L, call.options, &options);
    struct lua_stream *box = lua_stream_push(L, &options, NULL);
    lua_insert(L, 1);
    call.options += call.options > 0;
    call.callback += call.callback > 0;
    int results = begin(L, box, &call);
    if (!call.callback)
        return results;
    lua_pushvalue(L, 1);
    return 1;
}

static void keep_source(lua_State *L, struct lua_stream *box, int options)
{
    size_t size;
    const char *source = options_string(L, options, "source", &size);
    if (!source)
        return;
    lua_stream_have_rare(box)->source = memory_copy(source, size);
    lua_pop(L, 1);
}

int lua_connect_keep(lua_State *L, struct lua_stream *box, int options)
{
    keep_source(L, box, options);
    int error = lua_tls_option(L, options, false, "stream");
    if (error) {
        lua_pushfstring(L, "stream: %s", lua_tostring(L, -1));
        return push_failure(L, error, lua_tostring(L, -1));
    }
    if (lua_isnil(L, -1))
        lua_pop(L, 1);
    else
        lua_tls_set(L, box);
    return 0;
}

void lua_connect_methods(lua_State *L)
{
    lua_pushcfunction(L, stream_connect);
    lua_setfield(L, -2, "connect");
}

void lua_connect_open(lua_State *L)
{
    lua_pushcfunction(L, weir_connect);
    lua_setfield(L, -2, "connect");
}
