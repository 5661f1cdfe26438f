/* stream:connect, weir.connect: what a connect is asked for. How it goes on is
 * in lua_connecting.c. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "io/standard.h"
#include "lua/arguments.h"
#include "lua/lua_connecting.h"
#include "lua/lua_tls.h"

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

static int wait_ready(lua_State *L, struct lua_stream *box, struct call *call)
{
    double timeout = options_seconds(L, call->options, "connect_timeout",
                                     box->rare->connect_timeout);
    call->timeout = timeout >= 0 ? timeout : call->timeout;
    struct operation *op =
        call_wait(L, call, &lua_connecting_class, box->timeout);
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
        lua_connecting_begin(L, box, lua_tostring(L, 2));
        lua_connecting_connected(box, fd);
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
    struct net_address source = {0};
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
    struct connecting *connecting = lua_connecting_begin(L, box, text);
    connecting->target = target;
    connecting->source = source;
    connecting->bound = from != NULL;
    lua_stream_set_peer(box, text);
    int error = lua_connecting_start(connecting);
    if (error) {
        lua_connecting_free(connecting);
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
