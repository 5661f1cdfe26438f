/* stream:send_file: a file, or a part of one, in the queue of what is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "lua/arguments.h"
#include "lua/lua_stream.h"

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

static void sent(struct stream_waiter *waiter, int error)
{
    struct operation *op = operation_of(waiter);
    if (error) {
        lua_write_fail(op, error);
        return;
    }
    lua_State *to = operation_results(op);
    lua_pushnumber(to, (lua_Number) operation_room(op)->count);
    operation_finish(op, 1);
}

static const struct operation_class send_file_class = {
    .name = "send_file",
    .cancel = lua_write_cancel,
    .describe = lua_stream_operation_target,
    .of_stream = true};

/* Queues `length` bytes of `fd`, which is the queue's then, and waits until
 * they have left. */
static int send_part(lua_State *L, struct call *call, struct lua_stream *box,
                     int fd, uint64_t offset, uint64_t length)
{
    struct stream *stream = box->stream;
    int error = stream_may_write(stream, length);
    if (error || length == 0)
        close(fd);
    if (error)
        return lua_stream_call_fail(L, call, box, error);
    if (length == 0) {
        lua_pushinteger(L, 0);
        return call_return(L, call, 1);
    }
    outqueue_file(&stream->output, fd, (off_t) offset, length, close_file, NULL,
                  fd);
    uint64_t end = stream->output.queued;
    stream_written(stream);
    if (stream->output_error)
        return lua_stream_call_fail(L, call, box, stream->output_error);
    if (stream->output.sent >= end) {
        lua_pushnumber(L, (lua_Number) length);
        return call_return(L, call, 1);
    }
    struct operation *op = lua_write_wait(L, call, &send_file_class, box, sent);
    operation_room(op)->count = length;
    stream_wait_sent(stream, &operation_room(op)->waiter, end);
    return call_suspend(L, call, 1);
}

/* stream:send_file(path_or_fd, [options], [callback]) → bytes sent */
static int stream_send_file(lua_State *L)
{
    static const char *const known[] = {"length", "offset", "timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    const char *words;
    if (lua_type(L, 2) != LUA_TSTRING && lua_type(L, 2) != LUA_TNUMBER)
        return argument_error(L, 2, "a path or a descriptor expected");
    if (lua_type(L, 2) == LUA_TNUMBER)
        argument_fd(L, 2);
    call_parse(L, &call, 3, known, "send_file");
    uint64_t offset =
        options_whole(L, call.options, "offset", 0, WHOLE_MOST, 0);
    uint64_t length =
        options_whole(L, call.options, "length", 0, WHOLE_MOST, WHOLE_MOST);
    call.stream = box->stream;
    const char *path = lua_type(L, 2) == LUA_TSTRING
                           ? lua_tostring(L, 2)
                           : lua_pushfstring(L, "fd:%d", argument_fd(L, 2));
    int own = open_file(L, 2);
    if (own < 0)
        return file_failed(L, &call, path, errno, NULL);
    int error = check_file(own, offset, &length, &words);
    if (!error)
        return send_part(L, &call, box, own, offset, length);
    close(own);
    return file_failed(L, &call, path, error, words);
}

void lua_send_file_methods(lua_State *L)
{
    lua_pushcfunction(L, stream_send_file);
    lua_setfield(L, -2, "send_file");
}
