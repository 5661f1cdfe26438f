/* stream:copy_to: one stream's input becomes another's output, in C. */
#include <stdio.h>
#include <stdlib.h>

#include "event/copy.h"
#include "lua/arguments.h"
#include "lua/lua_stream.h"

/* The other stream's userdata, in an operation's slot. */
enum { OTHER };

/* It is its stream's read. */
static void cancel_copy(struct operation *op)
{
    struct lua_stream *box = op->object;
    box->read = NULL;
    stream_cancel_read(box->stream);
}

static void describe_copy(struct operation *op, char *text, size_t size)
{
    char from[32], to[32];
    const struct lua_stream *other = operation_room(op)->slot[OTHER].pointer;
    snprintf(text, size, "from %s to %s",
             lua_stream_target(op->object, from, sizeof from),
             lua_stream_target(other, to, sizeof to));
}

static const struct operation_class copy_class = {.name = "copy_to",
                                                  .cancel = cancel_copy,
                                                  .describe = describe_copy,
                                                  .of_stream = true};

/* "copy_to: writing 127.0.0.1:80: Broken pipe"; to be freed. */
static char *message(struct lua_stream *from, struct lua_stream *to,
                     const struct copy *copy, int error)
{
    if (copy->to_failed)
        return lua_stream_message(to, "copy_to: writing", error);
    return lua_stream_message(from, "copy_to: reading", error);
}

void lua_copy_done(struct stream *from, const struct copy *copy, int error)
{
    struct lua_stream *box = stream_owner(from);
    struct operation *op = box->read;
    box->read = NULL;
    if (error) {
        char *text =
            message(box, operation_room(op)->slot[OTHER].pointer, copy, error);
        operation_fail(op, error, text);
        free(text);
        return;
    }
    lua_pushnumber(operation_results(op), (lua_Number) copy->copied);
    operation_finish(op, 1);
}

static int fail(lua_State *L, struct call *call, char *text, int error)
{
    lua_pushstring(L, text);
    free(text);
    return call_fail(L, call, error, lua_tostring(L, -1));
}

/* One value that keeps both streams alive. */
static int push_both(lua_State *L)
{
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 2);
    return lua_gettop(L);
}

/* stream:copy_to(other, [options], [callback]) → bytes copied */
static int copy_to(lua_State *L)
{
    static const char *const known[] = {"length", "timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct lua_stream *other = lua_stream_check(L, 2);
    struct copy result;
    struct call call;
    call_parse(L, &call, 3, known, "copy_to");
    uint64_t length =
        options_whole(L, call.options, "length", 0, WHOLE_MOST, WHOLE_MOST);
    lua_stream_check_idle(L, box);
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    call.stream = box->stream;
    int error = copy_start(box->stream, other->stream, length, &result);
    if (error == 0) {
        lua_pushnumber(L, (lua_Number) result.copied);
        return call_return(L, &call, 1);
    }
    if (error != STREAM_WAIT)
        return fail(L, &call, message(box, other, &result, error), error);
    struct operation *op = call_wait(L, &call, &copy_class, box->timeout);
    op->object = box;
    operation_room(op)->slot[OTHER].pointer = other;
    box->read = op;
    lua_stream_hold(box, op);
    return call_suspend(L, &call, push_both(L));
}

void lua_copy_methods(lua_State *L)
{
    lua_pushcfunction(L, copy_to);
    lua_setfield(L, -2, "copy_to");
}
