/* The writes: short pieces are copied into the queue, long ones stay where
 * they are, anchored until their last byte has left. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "lua/arguments.h"
#include "lua/lua_stream.h"

#define LONG_PIECE 4096 /* bytes: not copied from here on */
#define DEEPEST 64      /* lists within lists */

/* --- waiting -------------------------------------------------------------- */

struct operation *lua_write_operation(struct list *link)
{
    return operation_of(link);
}

static void cancel_wait(struct operation *op)
{
    stream_cancel_waiter(&operation_room(op)->waiter);
}

static const struct operation_class write_class = {
    .name = "write",
    .cancel = cancel_wait,
    .describe = lua_stream_operation_target,
    .of_stream = true};
static const struct operation_class flush_class = {
    .name = "flush",
    .cancel = cancel_wait,
    .describe = lua_stream_operation_target,
    .of_stream = true};
static const struct operation_class shutdown_class = {
    .name = "shutdown",
    .cancel = cancel_wait,
    .describe = lua_stream_operation_target,
    .of_stream = true};
static const struct operation_class send_file_class = {
    .name = "send_file",
    .cancel = cancel_wait,
    .describe = lua_stream_operation_target,
    .of_stream = true};

static void sent(struct stream_waiter *waiter, int error)
{
    struct operation *op = operation_of(waiter);
    struct lua_stream *box = op->object;
    if (error) {
        char *message = lua_stream_message(box, op->class->name, error);
        operation_fail(op, error, message);
        free(message);
        return;
    }
    lua_State *to = operation_results(op);
    if (op->class == &send_file_class)
        lua_pushnumber(to, (lua_Number) operation_room(op)->count);
    else
        lua_pushboolean(to, true);
    operation_finish(op, 1);
}

/* Begins an operation whose waiter is about to be given to the stream. */
static struct operation *begin_wait(lua_State *L, struct call *call,
                                    const struct operation_class *class,
                                    struct lua_stream *box)
{
    call->stream = box->stream;
    struct operation *op = call_wait(L, call, class, box->timeout);
    op->object = box;
    operation_room(op)->waiter.done = sent;
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
    struct operation *op = begin_wait(L, call, class, box);
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
    struct operation *op = begin_wait(L, &call, &shutdown_class, box);
    stream_shutdown(stream, &operation_room(op)->waiter);
    return call_suspend(L, &call, 1);
}

/* --- files ---------------------------------------------------------------- */

static void close_file(void *context, intptr_t token)
{
    (void) context;
    close((int) token);
}

static int file_failed(lua_State *L, struct call *call, const char *path,
                       int error, const char *words)
{
    lua_pushfstring(L, "send_file %s: %s", path,
                    words ? words : error_text(error));
    return call_fail(L, call, error, lua_tostring(L, -1));
}

/* A name with a zero byte is no file's, and must not become another one's. A
 * named pipe must not block the host before it is refused. */
static int open_path(lua_State *L, int index)
{
    size_t size;
    const char *path = lua_tolstring(L, index, &size);
    if (strlen(path) == size)
        return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    errno = ENOENT;
    return -1;
}

/* A descriptor of our own for the file at `index`, a path or a descriptor. */
static int open_file(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TSTRING)
        return open_path(L, index);
    int fd = argument_fd(L, index);
    int mode = fcntl(fd, F_GETFL);
    if (mode >= 0 && (mode & O_ACCMODE) == O_WRONLY) {
        errno = EBADF;
        return -1;
    }
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Can `*length` bytes (WHOLE_MOST: all) at `offset` be sent? Then 0, and how
 * many they are. */
static int check_file(int fd, uint64_t offset, uint64_t *length,
                      const char **words)
{
    struct stat status;
    *words = NULL;
    if (fstat(fd, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    if (!S_ISREG(status.st_mode)) {
        *words = "not a regular file";
        return EINVAL;
    }
    uint64_t size = (uint64_t) status.st_size;
    uint64_t rest = size > offset ? size - offset : 0;
    if (*length != WHOLE_MOST && *length > rest) {
        *words = "it ends before 'offset' + 'length'";
        return EINVAL;
    }
    if (*length == WHOLE_MOST)
        *length = rest;
    return 0;
}

/* stream:send_file(path_or_fd, [options], [callback]) → bytes sent */
static int stream_send_file(lua_State *L)
{
    static const char *const known[] = {"length", "offset", "timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct stream *stream = box->stream;
    struct call call;
    const char *words = NULL;
    if (lua_type(L, 2) != LUA_TSTRING && lua_type(L, 2) != LUA_TNUMBER)
        return argument_error(L, 2, "a path or a descriptor expected");
    if (lua_type(L, 2) == LUA_TNUMBER)
        argument_fd(L, 2);
    call_parse(L, &call, 3, known, "send_file");
    uint64_t offset =
        options_whole(L, call.options, "offset", 0, WHOLE_MOST, 0);
    uint64_t length =
        options_whole(L, call.options, "length", 0, WHOLE_MOST, WHOLE_MOST);
    call.stream = stream;
    const char *path = lua_type(L, 2) == LUA_TSTRING
                           ? lua_tostring(L, 2)
                           : lua_pushfstring(L, "fd:%d", argument_fd(L, 2));
    int own = open_file(L, 2);
    if (own < 0)
        return file_failed(L, &call, path, errno, NULL);
    int error = check_file(own, offset, &length, &words);
    if (error) {
        close(own);
        return file_failed(L, &call, path, error, words);
    }
    error = stream_may_write(stream, length);
    if (error || length == 0)
        close(own);
    if (error)
        return lua_stream_call_fail(L, &call, box, error);
    if (length == 0) {
        lua_pushinteger(L, 0);
        return call_return(L, &call, 1);
    }
    outqueue_file(&stream->output, own, (off_t) offset, length, close_file,
                  NULL, own);
    uint64_t end = stream->output.queued;
    stream_written(stream);
    if (stream->output_error)
        return lua_stream_call_fail(L, &call, box, stream->output_error);
    if (stream->output.sent >= end) {
        lua_pushnumber(L, (lua_Number) length);
        return call_return(L, &call, 1);
    }
    struct operation *op = begin_wait(L, &call, &send_file_class, box);
    operation_room(op)->count = length;
    stream_wait_sent(stream, &operation_room(op)->waiter, end);
    return call_suspend(L, &call, 1);
}

void lua_write_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"write", stream_write},
        {"flush", stream_flush_method},
        {"shutdown", stream_shutdown_method},
        {"send_file", stream_send_file},
        {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
