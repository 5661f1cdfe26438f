/* The writes: short pieces are copied into the queue, long ones stay where
 * they are, anchored until their last byte has left. */
#include <lauxlib.h>
#include <stdlib.h>

#include "lua/arguments.h"
#include "lua/lua_stream.h"

#define LONG_PIECE 4096 /* bytes: not copied from here on */
#define DEEPEST 64      /* lists within lists */

/* --- waiting -------------------------------------------------------------- */

struct operation *lua_write_operation(struct list *link)
{
    return operation_of(link);
}

void lua_write_cancel(struct operation *op)
{
    stream_cancel_waiter(&operation_room(op)->waiter);
}

static const struct operation_class write_class = {
    .name = "write",
    .cancel = lua_write_cancel,
    .describe = lua_stream_operation_target,
    .of_stream = true};
static const struct operation_class flush_class = {
    .name = "flush",
    .cancel = lua_write_cancel,
    .describe = lua_stream_operation_target,
    .of_stream = true};
static const struct operation_class shutdown_class = {
    .name = "shutdown",
    .cancel = lua_write_cancel,
    .describe = lua_stream_operation_target,
    .of_stream = true};

void lua_write_fail(struct operation *op, int error)
{
    char *message = lua_stream_message(op->object, op->class->name, error);
    operation_fail(op, error, message);
    free(message);
}

static void sent(struct stream_waiter *waiter, int error)
{
    struct operation *op = operation_of(waiter);
    if (error) {
        lua_write_fail(op, error);
        return;
    }
    lua_pushboolean(operation_results(op), true);
    operation_finish(op, 1);
}

struct operation *
lua_write_wait(lua_State *L, struct call *call,
               const struct operation_class *class, struct lua_stream *box,
               void (*done)(struct stream_waiter *, int error))
{
    call->stream = box->stream;
    struct operation *op = call_wait(L, call, class, box->timeout);
    op->object = box;
    operation_room(op)->waiter.done = done;
    if (box->stream->unref)
        operation_unref(op, true);
    return op;
}

static int return_true(lua_State *L, struct call *call)
{
    lua_pushboolean(L, true);
    return call_return(L, call, 1);
}

/* Waits until everything up to `until` has been sent; true then. */
static int wait_sent(lua_State *L, struct call *call,
                     const struct operation_class *class,
                     struct lua_stream *box, uint64_t until)
{
    if (box->stream->output.sent >= until)
        return return_true(L, call);
    struct operation *op = lua_write_wait(L, call, class, box, sent);
    stream_wait_sent(box->stream, &operation_room(op)->waiter, until);
    return call_suspend(L, call, 1);
}

/* --- what is written ------------------------------------------------------ */

/* The bytes of the value at `index`; raises if it is none that can be. */
static uint64_t measure(lua_State *L, int index, int depth)
{
    int type = lua_type(L, index);
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        size_t size;
        lua_tolstring(L, index, &size);
        return size;
    }
    if (type != LUA_TTABLE)
        call_error(L,
                   "write: a string, a number or a list of them expected, "
                   "got %s%s",
                   luaL_typename(L, index), depth > 0 ? " in the list" : "");
    if (depth > DEEPEST)
        call_error(L, "write: lists nested more than %d deep", DEEPEST);
    luaL_checkstack(L, 4, "write: lists nested too deep");
    uint64_t total = 0;
    int count = (int) lua_objlen(L, index);
    argument_list(L, index, count, "write");
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, index, i);
        total += measure(L, lua_gettop(L), depth + 1);
        lua_pop(L, 1);
    }
    return total;
}

static void release_anchor(void *context, intptr_t token)
{
    luaL_unref(context, LUA_REGISTRYINDEX, (int) token);
}

static void queue_value(lua_State *L, struct outqueue *queue, int index)
{
    if (lua_istable(L, index)) {
        int count = (int) lua_objlen(L, index);
        for (int i = 1; i <= count; i++) {
            lua_rawgeti(L, index, i);
            queue_value(L, queue, lua_gettop(L));
            lua_pop(L, 1);
        }
        return;
    }
    size_t size;
    const char *data = lua_tolstring(L, index, &size);
    if (size < LONG_PIECE) {
        outqueue_copy(queue, data, size);
        return;
    }
    lua_pushvalue(L, index);
    outqueue_refer(queue, data, size, release_anchor, task_state(),
                   luaL_ref(L, LUA_REGISTRYINDEX));
}

/* Queues the argument; much of it leaves at once, and may fail at once. */
static int write_value(lua_State *L, struct stream *stream, uint64_t size)
{
    int error = stream_may_write(stream, size);
    if (error)
        return error;
    queue_value(L, &stream->output, 2);
    stream_written(stream);
    return stream->output_error;
}

/* FFI memory: the argument becomes a string of its bytes (`length` of them, or
 * as many as it has). */
static void cdata_to_string(lua_State *L, int index, const struct call *call)
{
    enum { CDATA = 10 }; /* LuaJIT's own type */
    uint64_t length =
        options_whole(L, call->options, "length", 0, WHOLE_MOST, WHOLE_MOST);
    if (lua_type(L, index) != CDATA) {
        if (length != WHOLE_MOST)
            call_error(L, "write: 'length' is for FFI memory, got %s",
                       luaL_typename(L, index));
        return;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, "weir.core");
    lua_getfield(L, -1, "bytes_of");
    lua_remove(L, -2);
    lua_pushvalue(L, index);
    if (length != WHOLE_MOST)
        lua_pushnumber(L, (lua_Number) length);
    lua_call(L, length != WHOLE_MOST ? 2 : 1, 1);
    lua_replace(L, index);
}

/* stream:write(data, [options], [callback]) → true */
static int stream_write(lua_State *L)
{
    static const char *const known[] = {"length", "timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct stream *stream = box->stream;
    struct call call;
    if (lua_isnone(L, 2))
        return argument_error(L, 2, "a string, a number or a list expected");
    call_parse_only(L, &call, 3, known, "write");
    cdata_to_string(L, 2, &call);
    uint64_t size = measure(L, 2, 0);
    bool waits = !call.callback && call_may_wait(L);
    call.stream = stream;
    int error = write_value(L, stream, size);
    if (error && !waits && !call.callback) {
        char *message = lua_stream_message(box, "write", error);
        lua_pushstring(L, message);
        free(message);
        return push_failure(L, error, lua_tostring(L, -1));
    }
    if (error)
        return lua_stream_call_fail(L, &call, box, error);
    uint64_t end = stream->output.queued;
    if (call.callback)
        return wait_sent(L, &call, &write_class, box, end);
    if (!waits) {
        lua_pushboolean(L, true);
        return 1;
    }
    int refused = call_refused(L, &call); /* but it is queued, as any (R25) */
    if (refused)
        return refused;
    uint64_t high = stream->kind->options.high_water;
    if (outqueue_length(&stream->output) <= high)
        return return_true(L, &call);
    return wait_sent(L, &call, &write_class, box, end - high / 2);
}

/* stream:flush([options], [callback]) → true */
static int stream_flush_method(lua_State *L)
{
    static const char *const known[] = {"timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct stream *stream = box->stream;
    struct call call;
    call_parse(L, &call, 2, known, "flush");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    call.stream = stream;
    stream->lost = 0;
    if (stream->output_error)
        return lua_stream_call_fail(L, &call, box, stream->output_error);
    return wait_sent(L, &call, &flush_class, box, stream->output.queued);
}

/* stream:shutdown([options], [callback]) → true */
static int stream_shutdown_method(lua_State *L)
{
    static const char *const known[] = {"timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    call_parse(L, &call, 2, known, "shutdown");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    struct stream *stream = box->stream;
    call.stream = stream;
    int error = stream_may_shutdown(stream);
    if (error)
        return lua_stream_call_fail(L, &call, box, error);
    if (stream->shut_done)
        return return_true(L, &call);
    struct operation *op = lua_write_wait(L, &call, &shutdown_class, box, sent);
    stream_shutdown(stream, &operation_room(op)->waiter);
    return call_suspend(L, &call, 1);
}

void lua_write_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"write", stream_write},
        {"flush", stream_flush_method},
        {"shutdown", stream_shutdown_method},
        {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
