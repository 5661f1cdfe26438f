/* The reads: arguments to a match, the match to the stream, what was found to
 * Lua. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/arguments.h"
#include "lua/lua_pattern.h"
#include "lua/lua_stream.h"
#include "lua/task_internal.h"

#define REGEX_MAX 65536 /* bytes, unless `max` is given (R5) */

static void cancel_read(struct operation *op)
{
    struct lua_stream *box = op->object;
    box->read = NULL;
    stream_cancel_read(box->stream);
}

#define READ_CLASS(read) \
    static const struct operation_class read##_class = { \
        .name = #read, \
        .cancel = cancel_read, \
        .describe = lua_stream_operation_target, \
        .of_stream = true, \
        .bare = true}

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
    const struct pattern *pattern = match_pattern(&stream->match);
    int groups = pattern_groups(pattern);
    luaL_checkstack(L, groups + LUA_MINSTACK, "too many captures");
    for (int n = 1; n <= groups; n++) {
        size_t start, end;
        if (pattern_group(pattern, n, &start, &end))
            lua_pushlstring(L, stream->result->view + start, end - start);
        else
            lua_pushnil(L);
    }
    return groups;
}

/* Pushes what the read that is done has found; returns how many values. */
static int push_found(lua_State *L, struct stream *stream)
{
    if (stream->rare->into) {
        lua_pushnumber(L, (lua_Number) stream->rare->into_have);
        return 1;
    }
    const struct match_found *found = &stream->result->found;
    size_t size = found->end - found->start;
    collector_note_string(size);
    lua_pushlstring(L, stream_found(stream), size);
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
    struct lua_stream *box = stream_owner(stream);
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
    if (stream->reading || stream->result)
        call_error(L, "already reading (%s)",
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
    return read_result(L, box, call, class, 1, stream_read(box->stream, match));
}

/* Parses [options], [callback] with `max` and `timeout` from `index`. */
static void begin(lua_State *L, struct lua_stream *box, int index,
                  struct call *call, const char *name,
                  const char *const known[], struct match *match)
{
    call_parse(L, call, index, known, name);
    lua_stream_check_idle(L, box);
    match->max =
        options_whole(L, call->options, "max", 0, WHOLE_MOST, WHOLE_MOST);
    match->max_given = match->max != WHOLE_MOST;
    if (!match->max_given)
        match->max = box->stream->kind->options.max_buffer_size;
}

static const char *const max_known[] = {"max", "timeout", NULL};
static const char *const bytes_known[] = {"max", "partial", "timeout", NULL};

/* stream:read_until(delimiter, [options], [callback]) → data [, index] */
static int read_until(lua_State *L)
{
    static const char *const known[] = {"inclusive", "max", "timeout", NULL};
    struct match match = {.kind = MATCH_UNTIL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    match.pattern = lua_pattern_delimiters(L, 2);
    match.listed = lua_istable(L, 2);
    begin(L, box, 3, &call, "read_until", known, &match);
    match.exclusive = !options_boolean(L, call.options, "inclusive", true);
    return read_match(L, box, &call, &read_until_class, &match);
}

/* stream:read_until_regex(pattern, [options], [callback]) → data, captures… */
static int read_until_regex(lua_State *L)
{
    struct match match = {.kind = MATCH_REGEX};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    match.pattern = lua_pattern_regex(L, 2);
    begin(L, box, 3, &call, "read_until_regex", max_known, &match);
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
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    match.count = argument_whole(L, 2, 0, WHOLE_MOST);
    begin(L, box, 3, &call, "read_bytes", bytes_known, &match);
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
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    begin(L, box, 2, &call, "read_some", max_known, &match);
    if (match.max == 0)
        call_error(L, "bad option 'max' (a positive whole number expected, "
                      "got 0)");
    return read_match(L, box, &call, &read_some_class, &match);
}

/* stream:read_until_close([options], [callback]) → data */
static int read_until_close(lua_State *L)
{
    struct match match = {.kind = MATCH_END};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    begin(L, box, 2, &call, "read_until_close", max_known, &match);
    return read_match(L, box, &call, &read_until_close_class, &match);
}

/* The length prefix that the string at `index` names. */
static enum match_prefix check_prefix(lua_State *L, int index)
{
    static const char *const names[] = {
        [PREFIX_U8] = "u8",         [PREFIX_U16BE] = "u16be",
        [PREFIX_U16LE] = "u16le",   [PREFIX_U32BE] = "u32be",
        [PREFIX_U32LE] = "u32le",   [PREFIX_U64BE] = "u64be",
        [PREFIX_VARINT] = "varint", [PREFIX_NETSTRING] = "netstring"};
    enum { COUNT = sizeof names / sizeof *names };
    const char *text =
        lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(text, names[i]) == 0)
            return (enum match_prefix) i;
    }
    argument_error(L, index,
                   "u8, u16be, u16le, u32be, u32le, u64be, varint or "
                   "netstring expected");
    return PREFIX_U8;
}

/* stream:read_frame(prefix, [options], [callback]) → payload */
static int read_frame(lua_State *L)
{
    struct match match = {.kind = MATCH_FRAME};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    match.prefix = check_prefix(L, 2);
    begin(L, box, 3, &call, "read_frame", max_known, &match);
    return read_match(L, box, &call, &read_frame_class, &match);
}

/* --- into memory ---------------------------------------------------------- */

/* core.check_memory of lua/weir/stream.lua: looked for once. */
static void push_check_memory(lua_State *L)
{
    static int reference = LUA_NOREF;
    if (reference == LUA_NOREF) {
        lua_getfield(L, LUA_REGISTRYINDEX, "weir.core");
        lua_getfield(L, -1, "check_memory");
        reference = luaL_ref(L, LUA_REGISTRYINDEX);
        lua_pop(L, 1);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
}

/* Where the `size` bytes at `offset` of the FFI memory at `index` are. Raises
 * if there is no such thing. */
static char *memory_at(lua_State *L, int index, uint64_t offset, uint64_t size)
{
    push_check_memory(L);
    lua_pushvalue(L, index);
    lua_pushnumber(L, (lua_Number) offset);
    lua_pushnumber(L, (lua_Number) size);
    lua_call(L, 3, 1);
    bool indirect = lua_toboolean(L, -1);
    lua_pop(L, 1);
    const void *memory = lua_topointer(L, index);
    if (indirect)
        memory = *(const void *const *) memory;
    return (char *) memory + offset;
}

/* stream:read_into(memory, n, [options], [callback]) → count; a string.buffer
 * is lua/weir/stream.lua's business. */
static int read_into(lua_State *L)
{
    static const char *const known[] = {"offset", "partial", "timeout", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    struct call call;
    uint64_t size = argument_whole(L, 3, 0, WHOLE_MOST);
    call_parse(L, &call, 4, known, "read_into");
    lua_stream_check_idle(L, box);
    uint64_t offset =
        options_whole(L, call.options, "offset", 0, WHOLE_MOST, 0);
    bool partial = options_boolean(L, call.options, "partial", false);
    char *memory = memory_at(L, 2, offset, size);
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    call.stream = box->stream;
    if (size == 0) {
        lua_pushinteger(L, 0);
        return call_return(L, &call, 1);
    }
    /* One value keeps both alive: the stream and the memory. */
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 2);
    lua_replace(L, 2);
    return read_result(L, box, &call, &read_into_class, 2,
                       stream_read_into(box->stream, memory, size, partial));
}

/* --- lines ---------------------------------------------------------------- */

/* core.check_lines(stream, delimiter, [options]): raises what read_until would
 * when the iterator is used. */
static int check_lines(lua_State *L)
{
    lua_stream_check(L, 1);
    lua_pattern_delimiters(L, 2);
    if (!argument_options(L, 3))
        return 0;
    options_check(L, 3, max_known, "lines");
    options_whole(L, 3, "max", 0, WHOLE_MOST, 0);
    options_seconds(L, 3, "timeout", 0);
    return 0;
}

/* --- what is buffered ----------------------------------------------------- */

/* stream:peek([n]) → data: at most n of the bytes that are buffered */
static int stream_peek(lua_State *L)
{
    struct stream *stream = lua_stream_check(L, 1)->stream;
    size_t length = buffer_length(&stream->input);
    if (!lua_isnoneornil(L, 2)) {
        uint64_t most = argument_whole(L, 2, 0, WHOLE_MOST);
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
    if (lua_type(L, 2) != LUA_TSTRING)
        return argument_error(L, 2, "a string expected");
    const char *data = lua_tolstring(L, 2, &size);
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
        {"read_into", read_into},
        {"check_lines", check_lines},
        {"peek", stream_peek},
        {"unread", stream_unread_method},
        {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
