/* The reads: arguments to a match, the match to the stream, what was found to
 * Lua. */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "lua/arguments.h"
#include "lua/lua_pattern.h"
#include "lua/lua_stream.h"

#define MOST ((uint64_t) 1 << 53)
#define REGEX_MAX 65536 /* bytes, unless `max` is given (R5) */

static void cancel_read(struct operation *op)
{
    struct lua_stream *box = op->object;
    box->read = NULL;
    stream_cancel_read(box->stream);
}

#define READ_CLASS(name) \
    static const struct operation_class name##_class = { \
        #name, cancel_read, lua_stream_operation_target, false}

READ_CLASS(read_until);
READ_CLASS(read_until_regex);
READ_CLASS(read_bytes);
READ_CLASS(read_some);
READ_CLASS(read_until_close);
READ_CLASS(read_frame);
READ_CLASS(read_into);

/* --- results -------------------------------------------------------------- */

static int push_captures(lua_State *L, struct stream *stream)
{
    const struct pattern *pattern = stream->match.pattern;
    int groups = pattern_groups(pattern);
    luaL_checkstack(L, groups + LUA_MINSTACK, "too many captures");
    for (int n = 1; n <= groups; n++) {
        size_t start, end;
        if (pattern_group(pattern, n, &start, &end))
            lua_pushlstring(L, stream->view + start, end - start);
        else
            lua_pushnil(L);
    }
    return groups;
}

/* Pushes what the read that is done has found; returns how many values. */
static int push_found(lua_State *L, struct stream *stream)
{
    const struct match_found *found = &stream->found;
    if (stream->into) {
        lua_pushnumber(L, (lua_Number) found->size);
        return 1;
    }
    lua_pushlstring(L, stream_found(stream), found->end - found->start);
    if (stream->match.kind == MATCH_REGEX)
        return 1 + push_captures(L, stream);
    if (stream->match.kind == MATCH_UNTIL && stream->match.listed) {
        lua_pushinteger(L, found->index + 1);
        return 2;
    }
    return 1;
}

void lua_read_done(struct stream *stream, int error)
{
    struct lua_stream *box = stream->owner;
    struct operation *op = box->read;
    box->read = NULL;
    if (error) {
        char *message = lua_stream_message(box, op->class->name, error);
        operation_fail(op, error, message);
        free(message);
        return;
    }
    int count = push_found(operation_results(op), stream);
    stream_consume(stream);
    operation_finish(op, count);
}

/* --- one read ------------------------------------------------------------- */

void lua_stream_check_idle(lua_State *L, struct lua_stream *box)
{
    struct stream *stream = box->stream;
    if (stream->reading || stream->view)
        luaL_error(L, "already reading (%s)",
                   box->read ? box->read->class->name : "a read");
}

/* The value at `kept` lives until the read ends. */
static int read_result(lua_State *L, struct lua_stream *box, struct call *call,
                       const struct operation_class *class, int kept, int error)
{
    struct stream *stream = box->stream;
    if (error == 0) {
        int count = push_found(L, stream);
        stream_consume(stream);
        return call_return(L, call, count);
    }
    if (error != STREAM_WAIT)
        return lua_stream_call_fail(L, call, box, error);
    box->read = call_wait(L, call, class, box->timeout);
    box->read->object = box;
    lua_stream_hold(box, box->read);
    return call_suspend(L, call, kept);
}

static int read_match(lua_State *L, struct lua_stream *box, struct call *call,
                      const struct operation_class *class, struct match *match)
{
    int refused = call_refused(L, call);
    if (refused)
        return refused;
    call->stream = box->stream;
    match->limit = box->stream->options.max_buffer_size;
    return read_result(L, box, call, class, 1, stream_read(box->stream, match));
}

/* Parses [options], [callback] with `max` and `timeout` from `index`. */
static struct lua_stream *begin(lua_State *L, int index, struct call *call,
                                const char *name, const char *const known[],
                                struct match *match)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    call_parse(L, call, index, known, name);
    lua_stream_check_idle(L, box);
    match->max = options_whole(L, call->options, "max", 0, MOST, MOST);
    match->max_given = match->max != MOST;
    if (!match->max_given)
        match->max = box->stream->options.max_buffer_size;
    return box;
}

static const char *const max_known[] = {"max", "timeout", NULL};
static const char *const bytes_known[] = {"max", "partial", "timeout", NULL};

/* stream:read_until(delimiter, [options], [callback]) → data [, index] */
static int read_until(lua_State *L)
{
    static const char *const known[] = {"inclusive", "max", "timeout", NULL};
    struct match match = {.kind = MATCH_UNTIL};
    struct call call;
    match.pattern = lua_pattern_delimiters(L, 2);
    match.listed = lua_istable(L, 2);
    struct lua_stream *box = begin(L, 3, &call, "read_until", known, &match);
    match.exclusive = !options_boolean(L, call.options, "inclusive", true);
    return read_match(L, box, &call, &read_until_class, &match);
}

/* stream:read_until_regex(pattern, [options], [callback]) → data, captures… */
static int read_until_regex(lua_State *L)
{
    struct match match = {.kind = MATCH_REGEX};
    struct call call;
    match.pattern = lua_pattern_regex(L, 2);
    struct lua_stream *box =
        begin(L, 3, &call, "read_until_regex", max_known, &match);
    if (!match.max_given && match.max > REGEX_MAX) {
        match.max = REGEX_MAX;
        match.max_given = true;
    }
    return read_match(L, box, &call, &read_until_regex_class, &match);
}

/* stream:read_bytes(n, [options], [callback]) → data */
static int read_bytes(lua_State *L)
{
    struct match match = {.kind = MATCH_COUNT};
    struct call call;
    match.count = argument_whole(L, 2, 0, MOST);
    struct lua_stream *box =
        begin(L, 3, &call, "read_bytes", bytes_known, &match);
    if (options_boolean(L, call.options, "partial", false) && match.count > 0) {
        match.kind = MATCH_ANY;
        match.max = match.count < match.max ? match.count : match.max;
        match.max_given = true;
    }
    return read_match(L, box, &call, &read_bytes_class, &match);
}

/* stream:read_some([options], [callback]) → data, at least 1 byte */
static int read_some(lua_State *L)
{
    struct match match = {.kind = MATCH_ANY};
    struct call call;
    struct lua_stream *box = begin(L, 2, &call, "read_some", max_known, &match);
    if (match.max == 0)
        luaL_error(L, "bad option 'max' (a positive whole number expected, "
                      "got 0)");
    return read_match(L, box, &call, &read_some_class, &match);
}

/* stream:read_until_close([options], [callback]) → data */
static int read_until_close(lua_State *L)
{
    struct match match = {.kind = MATCH_END};
    struct call call;
    struct lua_stream *box =
        begin(L, 2, &call, "read_until_close", max_known, &match);
    return read_match(L, box, &call, &read_until_close_class, &match);
}

/* stream:read_frame(prefix, [options], [callback]) → payload */
static int read_frame(lua_State *L)
{
    static const char *const names[] = {"u8",     "u16be",     "u16le",
                                        "u32be",  "u32le",     "u64be",
                                        "varint", "netstring", NULL};
    static const enum match_prefix prefixes[] = {
        PREFIX_U8,    PREFIX_U16BE, PREFIX_U16LE,  PREFIX_U32BE,
        PREFIX_U32LE, PREFIX_U64BE, PREFIX_VARINT, PREFIX_NETSTRING};
    struct match match = {.kind = MATCH_FRAME};
    struct call call;
    match.prefix = prefixes[luaL_checkoption(L, 2, NULL, names)];
    struct lua_stream *box =
        begin(L, 3, &call, "read_frame", max_known, &match);
    return read_match(L, box, &call, &read_frame_class, &match);
}

/* read_into_memory(stream, pointer, n, partial, buffer, [options],
 * [callback]) → count: what lua/weir/stream.lua's read_into ends in. `buffer`
 * is what the pointer points into, kept alive meanwhile. */
static int read_into(lua_State *L)
{
    static const char *const known[] = {"offset", "partial", "timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    void *memory = *(void *const *) lua_topointer(L, 2);
    size_t size = argument_whole(L, 3, 0, MOST);
    bool partial = lua_toboolean(L, 4);
    call_parse(L, &call, 6, known, "read_into");
    lua_stream_check_idle(L, box);
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    call.stream = box->stream;
    if (size == 0) {
        lua_pushinteger(L, 0);
        return call_return(L, &call, 1);
    }
    /* One value keeps both alive: the stream and what the memory is part of. */
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, 5);
    lua_rawseti(L, -2, 2);
    lua_replace(L, 5);
    return read_result(L, box, &call, &read_into_class, 5,
                       stream_read_into(box->stream, memory, size, partial));
}

/* --- what is buffered ----------------------------------------------------- */

/* stream:peek([n]) → data: at most n of the bytes that are buffered */
static int stream_peek(lua_State *L)
{
    struct stream *stream = lua_stream_check(L, 1)->stream;
    size_t length = buffer_length(&stream->input);
    if (!lua_isnoneornil(L, 2)) {
        uint64_t most = argument_whole(L, 2, 0, MOST);
        length = most < length ? (size_t) most : length;
    }
    lua_pushlstring(L, length > 0 ? buffer_data(&stream->input) : "", length);
    return 1;
}

/* stream:unread(data) → true */
static int stream_unread_method(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    size_t size;
    const char *data = luaL_checklstring(L, 2, &size);
    lua_stream_check_idle(L, box);
    int error = stream_unread(box->stream, data, size);
    if (error) {
        char *message = lua_stream_message(box, "unread", error);
        lua_pushstring(L, message);
        free(message);
        return push_failure(L, error, lua_tostring(L, -1));
    }
    lua_pushboolean(L, true);
    return 1;
}

void lua_read_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read_until", read_until},
        {"read_until_regex", read_until_regex},
        {"read_bytes", read_bytes},
        {"read_some", read_some},
        {"read_until_close", read_until_close},
        {"read_frame", read_frame},
        {"read_into_memory", read_into},
        {"peek", stream_peek},
        {"unread", stream_unread_method},
        {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
