/* The endings that a script asks for: close, abort, detach. */
#include <errno.h>
#include <lauxlib.h>

#include "base/error.h"
#include "lua/arguments.h"
#include "lua/lua_stream.h"

/* stream:close([options]): `linger` seconds at most to flush */
static int stream_close_method(lua_State *L)
{
    static const char *const known[] = {"linger", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    int options = argument_options(L, 2) ? 2 : 0;
    if (options)
        options_check(L, 2, known, "close");
    double linger = options_seconds(L, options, "linger", STREAM_LINGER);
    stream_close(box->stream, linger);
    return 0;
}

/* stream:abort() */
static int stream_abort_method(lua_State *L)
{
    stream_abort(lua_stream_check(L, 1)->stream);
    return 0;
}

/* --- detach --------------------------------------------------------------- */

static int detached(lua_State *L, struct lua_stream *box)
{
    struct stream *stream = box->stream;
    size_t length = buffer_length(&stream->input);
    lua_stream_shared(box);
    lua_pushinteger(L, stream_detach(stream));
    lua_pushlstring(L, length > 0 ? buffer_data(&stream->input) : "", length);
    buffer_consume(&stream->input, length);
    return 2;
}

static const struct operation_class detach_class = {
    .name = "detach",
    .cancel = lua_write_cancel,
    .describe = lua_stream_operation_target,
    .of_stream = true};

static void detach_sent(struct stream_waiter *waiter, int error)
{
    struct operation *op = operation_of(waiter);
    struct lua_stream *box = op->object;
    /* Closed meanwhile, or handed over to somebody who also waited. */
    if (!error && stream_closed(box->stream))
        error = ERROR_CLOSED;
    if (error)
        operation_fail(op, error, NULL);
    else
        operation_finish(op, detached(operation_results(op), box));
}

/* stream:detach([options], [callback]) → fd, data */
static int stream_detach_method(lua_State *L)
{
    static const char *const known[] = {"timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct stream *stream = box->stream;
    struct call call;
    call_parse(L, &call, 2, known, "detach");
    if (stream->reading)
        return call_error(L, "detach: a read is pending");
    if (stream->transport != &stream->plain || stream->rare->next)
        return call_error(L, "detach: not possible on a TLS stream");
    if (stream->phase == STREAM_CONNECTING)
        return call_error(L, "detach: the stream is still being connected");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    call.stream = stream;
    int error = stream_may_write(stream, 0);
    if (error && error != EPIPE)
        return lua_stream_call_fail(L, &call, box, error);
    if (stream->phase == STREAM_OPEN && outqueue_length(&stream->output) == 0)
        return call_return(L, &call, detached(L, box));
    struct operation *op =
        lua_write_wait(L, &call, &detach_class, box, detach_sent);
    stream_wait_sent(stream, &operation_room(op)->waiter,
                     stream->output.queued);
    return call_suspend(L, &call, 1);
}

void lua_close_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"close", stream_close_method},
        {"abort", stream_abort_method},
        {"detach", stream_detach_method},
        {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
