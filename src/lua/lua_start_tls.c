/* stream:start_tls: a stream in the clear becomes an encrypted one. */
#include <errno.h>
#include <lauxlib.h>

#include "io/tls.h"
#include "lua/arguments.h"
#include "lua/lua_tls.h"

static void abandon_start(void *object, int error, const char *message)
{
    struct lua_stream *box = object;
    lua_stream_have_rare(box)->ready = NULL;
    stream_abort_for(box->stream, error, message);
}

static const struct operation_class start_class = {
    .name = "start_tls",
    .abandon = abandon_start,
    .describe = lua_stream_operation_target,
    .of_stream = true};

static void check_start(lua_State *L, const struct lua_stream *box)
{
    const struct stream *stream = box->stream;
    if (box->rare->ready)
        call_error(L, "start_tls: %s is still under way",
                   box->rare->ready->class->name);
    if (stream->phase == STREAM_CONNECTING || stream->phase == STREAM_HANDSHAKE)
        call_error(L, "start_tls: the stream is still being connected");
    if (stream->reading || stream->result)
        call_error(L, "start_tls: a read is pending (%s)",
                   box->read ? box->read->class->name : "copy_to");
    if (stream->rare->next || tls_is(stream->transport))
        call_error(L, "start_tls: the stream is encrypted already");
}

/* What was said in the clear must not count as said under protection. */
static int refuse_injected(lua_State *L, struct lua_stream *box,
                           struct call *call)
{
    char text[32];
    size_t length = buffer_length(&box->stream->input);
    const char *target = lua_stream_target(box, text, sizeof text);
    lua_pushfstring(L,
                    "start_tls %s: %d bytes came in the clear that nobody has "
                    "read: they are not to be trusted",
                    target, (int) length);
    stream_fail(box->stream, EPROTO, lua_tostring(L, -1));
    return call_fail(L, call, EPROTO, lua_tostring(L, -1));
}

static struct transport *start_transport(struct lua_stream *box, bool server)
{
    struct stream *stream = box->stream;
    int fd = stream->transport->fd;
    size_t length = buffer_length(&stream->input);
    const char *peer = lua_stream_peer(box);
    if (!server)
        return lua_tls_client(box, fd, peer ? peer : "");
    return lua_tls_server(
        box, fd, length > 0 ? buffer_data(&stream->input) : "", length);
}

void lua_tls_begin(lua_State *L, struct lua_stream *box)
{
    if (box->rare->tls == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, box->rare->tls);
    bool server = lua_tls_test(L, -1)->server;
    if (server)
        lua_tls_check_server(L, "stream");
    else
        lua_tls_check_client(L, box, "stream");
    lua_pop(L, 1);
    lua_stream_keep(L, box, lua_gettop(L));
    stream_handshake(box->stream, start_transport(box, server));
}

/* `timeout` is the call's, the rest are TLS's: pushes its context. */
static int push_start_context(lua_State *L, struct call *call)
{
    static const char *const known[] = {TLS_OPTION_NAMES, "timeout", NULL};
    static const char *const timeout_alone[] = {"timeout", NULL};
    if (lua_tls_test(L, 2)) {
        call_parse(L, call, 3, timeout_alone, "start_tls");
        lua_pushvalue(L, 2);
        return 0;
    }
    call_parse(L, call, 2, known, "start_tls");
    return lua_tls_new(L, call->options);
}

/* stream:start_tls([options], [callback]) → stream, or
 * stream:start_tls(context, [options], [callback]) */
static int stream_start_tls(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    struct stream *stream = box->stream;
    struct call call;
    check_start(L, box);
    int error = push_start_context(L, &call);
    call.stream = stream;
    if (error) {
        lua_pushfstring(L, "start_tls: %s", lua_tostring(L, -1));
        return call_fail(L, &call, error, lua_tostring(L, -1));
    }
    bool server = lua_tls_test(L, -1)->server;
    if (server)
        lua_tls_check_server(L, "start_tls");
    lua_tls_set(L, box);
    if (!server)
        lua_tls_check_client(L, box, "start_tls");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    error = stream_may_write(stream, 0);
    if (!error)
        error = stream->input_error;
    if (error)
        return lua_stream_call_fail(L, &call, box, error);
    if (!server && buffer_length(&stream->input) > 0)
        return refuse_injected(L, box, &call);
    lua_stream_keep(L, box, 1);
    stream_handshake(stream, start_transport(box, server));
    struct operation *op = call_wait(L, &call, &start_class, box->timeout);
    op->object = box;
    lua_stream_have_rare(box)->ready = op;
    lua_stream_hold(box, op);
    return call_suspend(L, &call, 1);
}

void lua_start_tls_methods(lua_State *L)
{
    lua_pushcfunction(L, stream_start_tls);
    lua_setfield(L, -2, "start_tls");
}
