/* Streams in Lua: their userdata, and when they are over. */
#include "lua/lua_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "io/net.h"
#include "io/standard.h"
#include "lua/arguments.h"
#include "lua/lua_tls.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

static unsigned last_id;

/* The address of the streams' metatable, and a registry reference. */
static const void *metatable;
static int metatable_reference;

/* Not luaL_checkudata: that looks the type up by its name. */
struct lua_stream *lua_stream_check(lua_State *L, int index)
{
    struct lua_stream *box = lua_touserdata(L, index);
    if (box && lua_getmetatable(L, index)) {
        bool is_stream = lua_topointer(L, -1) == metatable;
        lua_pop(L, 1);
        if (is_stream && !box->stream)
            argument_live(L, index, NULL);
        if (is_stream)
            return box;
    }
    argument_error(
        L, index,
        lua_pushfstring(L, "weir.stream expected, got %s%s",
                        luaL_typename(L, index),
                        index == 1 ? "; methods are called with ':'" : ""));
    return NULL;
}

/* --- the userdata --------------------------------------------------------- */

void lua_stream_keep(lua_State *L, struct lua_stream *box, int index)
{
    if (box->anchor != LUA_NOREF)
        return;
    lua_pushvalue(L, index);
    box->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
}

void lua_stream_let_go(struct lua_stream *box)
{
    const struct lua_rare *rare = box->rare;
    if (rare->connecting || rare->shaking || box->close_callback != LUA_NOREF)
        return;
    lua_stream_rare_trim(box);
    luaL_unref(task_state(), LUA_REGISTRYINDEX, box->anchor);
    box->anchor = LUA_NOREF;
}

void lua_stream_push_box(lua_State *L, struct lua_stream *box)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, box->anchor);
}

/* events->over: the close callback runs in a task of its own, in this turn
 * or the next, after all that was told before (R17). */
static void stream_over(struct stream *stream, int error)
{
    struct lua_stream *box = stream_owner(stream);
    lua_State *L = task_state();
    if (box->close_callback == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, box->close_callback);
    luaL_unref(L, LUA_REGISTRYINDEX, box->close_callback);
    box->close_callback = LUA_NOREF;
    int count = 0;
    if (error) {
        char text[32];
        const char *target = lua_stream_target(box, text, sizeof text);
        lua_pushfstring(L, "%s: %s", target, stream_reason(stream, error));
        lua_pushstring(L, error_code(error));
        count = 2;
    }
    context_enter(box->rare->close_context);
    task_start(L, count, stream, false);
    context_enter(NULL);
    lua_stream_set_close_context(box, NULL);
    lua_stream_let_go(box);
}

static const struct stream_events events = {lua_read_done, lua_connect_ready,
                                            lua_copy_done, stream_over,
                                            lua_tls_asked};

struct lua_stream *lua_stream_push(lua_State *L,
                                   const struct lua_stream_options *options,
                                   const char *peer)
{
    const char *name = lua_stream_name(peer);
    size_t size = strlen(name);
    struct lua_stream *box = lua_newuserdata(L, sizeof *box + size + 1);
    *box = (struct lua_stream){
        .close_callback = LUA_NOREF,
        .anchor = LUA_NOREF,
        .timeout = options->timeout,
    };
    lua_stream_rare_begin(box);
    memcpy(box->first_peer, name, size + 1);
    if (options->connect_timeout >= 0)
        lua_stream_have_rare(box)->connect_timeout = options->connect_timeout;
    lua_rawgeti(L, LUA_REGISTRYINDEX, metatable_reference);
    lua_setmetatable(L, -2);
    box->stream = stream_new(task_loop(), &options->stream, &events, box);
    box->stream->id = ++last_id;
    return box;
}

static int stream_collect(lua_State *L)
{
    struct lua_stream *box = luaL_checkudata(L, 1, STREAM_TYPE);
    struct stream *stream = box->stream;
    if (!stream)
        return 0;
    lua_stream_rare_end(box);
    box->stream = NULL;
    stream_disown(stream);
    stream_release(stream);
    return 0;
}

/* A read that only the other end of a pair can satisfy holds nobody. */
void lua_stream_hold(struct lua_stream *box, struct operation *op)
{
    if (box->stream->unref)
        operation_unref(op, true);
    if (box->rare->pair)
        operation_set_internal(op, true);
}

/* --- methods about state -------------------------------------------------- */

static int stream_tostring(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    char text[NET_TEXT + 64];
    lua_stream_describe(box->stream, text, sizeof text);
    lua_pushfstring(L, "weir.%s", text);
    return 1;
}

static int stream_reading(lua_State *L)
{
    lua_pushboolean(L, lua_stream_check(L, 1)->stream->reading);
    return 1;
}

static int stream_writing(lua_State *L)
{
    struct stream *stream = lua_stream_check(L, 1)->stream;
    lua_pushboolean(L, outqueue_length(&stream->output) > 0);
    return 1;
}

static int stream_is_closed(lua_State *L)
{
    lua_pushboolean(L, stream_closed(lua_stream_check(L, 1)->stream));
    return 1;
}

static int stream_buffered(lua_State *L)
{
    struct stream *stream = lua_stream_check(L, 1)->stream;
    lua_pushnumber(L, (lua_Number) buffer_length(&stream->input));
    return 1;
}

static int stream_id(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer) lua_stream_check(L, 1)->stream->id);
    return 1;
}

static int stream_set_timeout(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    box->timeout = lua_isnoneornil(L, 2) ? -1 : argument_seconds(L, 2);
    return 0;
}

static int set_unref(lua_State *L, bool unref)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    stream_set_unref(box->stream, unref);
    if (box->read)
        operation_unref(box->read, unref);
    if (box->rare->ready)
        operation_unref(box->rare->ready, unref);
    const struct list *waiters = &box->stream->rare->waiters;
    for (struct list *link = waiters->next; link != waiters; link = link->next)
        operation_unref(lua_write_operation(link), unref);
    lua_settop(L, 1);
    return 1;
}

static int stream_unref(lua_State *L)
{
    return set_unref(L, true);
}

static int stream_ref(lua_State *L)
{
    return set_unref(L, false);
}

static int stream_set_close_callback(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    if (!lua_isnoneornil(L, 2) && !lua_isfunction(L, 2))
        return argument_error(L, 2, "a function, or nil, expected");
    luaL_unref(L, LUA_REGISTRYINDEX, box->close_callback);
    box->close_callback = LUA_NOREF;
    lua_stream_set_close_context(box, NULL);
    if (lua_isnoneornil(L, 2)) {
        stream_watch(box->stream, false);
        lua_stream_let_go(box);
        return 0;
    }
    lua_pushvalue(L, 2);
    box->close_callback = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_stream_set_close_context(box, context_retain(context_current()));
    lua_stream_keep(L, box, 1);
    box->stream->told = false;
    stream_watch(box->stream, true);
    return 0;
}

/* --- options -------------------------------------------------------------- */

/* What is read becomes a Lua string, and of one with 2 GiB LuaJIT raises an
 * error, which nobody catches outside of Lua code. */
#define LONGEST ((size_t) 0x7fff0000)

void lua_stream_options(lua_State *L, int index,
                        struct lua_stream_options *options)
{
    struct stream_options *stream = &options->stream;
    stream_default_options(stream);
    options->timeout = options_seconds(L, index, "timeout", -1);
    options->connect_timeout = options_seconds(L, index, "connect_timeout", -1);
    stream->max_buffer_size = options_whole(
        L, index, "max_buffer_size", 1, WHOLE_MOST, stream->max_buffer_size);
    stream->read_chunk_size = options_whole(
        L, index, "read_chunk_size", 1, WHOLE_MOST, stream->read_chunk_size);
    if (stream->max_buffer_size > LONGEST)
        stream->max_buffer_size = LONGEST;
    if (stream->read_chunk_size > stream->max_buffer_size)
        stream->read_chunk_size = stream->max_buffer_size;
    stream->max_write_buffer_size =
        options_whole(L, index, "max_write_buffer_size", 1, WHOLE_MOST, 0);
    stream->high_water = options_whole(L, index, "high_water", 1, WHOLE_MOST,
                                       stream->high_water);
    if (options_string(L, index, "source", NULL))
        lua_pop(L, 1);
    stream->half_open = options_boolean(L, index, "half_open", false);
    stream->nodelay = options_boolean(L, index, "nodelay", true);
    stream->keepalive = options_boolean(L, index, "keepalive", false);
}

static const char *const option_names[] = {STREAM_OPTION_NAMES, NULL};

/* A pair is connected from the start, and in the clear: start_tls is what
 * encrypts it. */
static const char *const pair_option_names[] = {PAIR_OPTION_NAMES, NULL};

static void open_options(lua_State *L, int index, const char *name,
                         const char *const known[],
                         struct lua_stream_options *options)
{
    bool given = argument_options(L, index);
    if (given)
        options_check(L, index, known, name);
    lua_stream_options(L, given ? index : 0, options);
}

/* --- weir.stream, weir.pair ----------------------------------------------- */

/* weir.stream([fd], [options]) → stream */
static int weir_stream(lua_State *L)
{
    struct lua_stream_options options;
    int index = lua_istable(L, 1) ? 1 : 2;
    bool around = !lua_isnoneornil(L, 1) && index == 2;
    int fd = around ? argument_fd(L, 1) : -1;
    open_options(L, index, "weir.stream", option_names, &options);
    if (around && fcntl(fd, F_GETFL) < 0) {
        int error = errno;
        lua_pushfstring(L, "stream fd:%d: %s", fd, error_text(error));
        return push_failure(L, error, lua_tostring(L, -1));
    }
    int given = lua_istable(L, index) ? index : 0;
    struct lua_stream *box = lua_stream_push(L, &options, NULL);
    int failed = lua_connect_keep(L, box, given);
    if (failed || !around)
        return failed ? failed : 1;
    struct net_address peer;
    char text[NET_TEXT] = "";
    if (net_peer_address(fd, &peer))
        net_format(&peer, text, sizeof text);
    lua_stream_set_peer(box, text);
    standard_adopt(fd);
    stream_open(box->stream, fd, NULL);
    lua_tls_begin(L, box);
    return 1;
}

/* weir.pair([options]) → a, b */
static int weir_pair(lua_State *L)
{
    struct lua_stream_options options;
    int fds[2];
    open_options(L, 1, "weir.pair", pair_option_names, &options);
    if (net_pair(fds) < 0) {
        int error = errno;
        lua_pushfstring(L, "pair: %s", error_text(error));
        return push_failure(L, error, lua_tostring(L, -1));
    }
    struct lua_stream *a = lua_stream_push(L, &options, NULL);
    stream_open(a->stream, fds[0], NULL);
    struct lua_stream *b = lua_stream_push(L, &options, NULL);
    stream_open(b->stream, fds[1], NULL);
    lua_stream_pair(a, b);
    return 2;
}

/* FFI and others may read or write what is a pair's: it is outside now. */
void lua_stream_shared(struct lua_stream *box)
{
    struct lua_stream *other = lua_stream_unpair(box);
    if (other && other->read)
        operation_set_internal(other->read, false);
    if (box->read)
        operation_set_internal(box->read, false);
}

static const luaL_Reg methods[] = {
    {"reading", stream_reading},
    {"writing", stream_writing},
    {"closed", stream_is_closed},
    {"buffered", stream_buffered},
    {"id", stream_id},
    {"set_timeout", stream_set_timeout},
    {"unref", stream_unref},
    {"ref", stream_ref},
    {"set_close_callback", stream_set_close_callback},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", stream_collect},
    {"__tostring", stream_tostring},
    {NULL, NULL},
};

void lua_stream_open(lua_State *L)
{
    lua_type_new(L, STREAM_TYPE, methods, metamethods);
    luaL_getmetatable(L, STREAM_TYPE);
    metatable = lua_topointer(L, -1);
    lua_pushvalue(L, -1);
    metatable_reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "__index");
    lua_read_methods(L);
    lua_copy_methods(L);
    lua_start_tls_methods(L);
    lua_tls_info_methods(L);
    lua_write_methods(L);
    lua_send_file_methods(L);
    lua_close_methods(L);
    lua_socket_methods(L);
    lua_connect_methods(L);
    lua_setfield(L, -4, "stream_methods");
    lua_setfield(L, -3, "stream_type");
    lua_pushcfunction(L, weir_stream);
    lua_setfield(L, -2, "stream");
    lua_pushcfunction(L, weir_pair);
    lua_setfield(L, -2, "pair");
    lua_streams_open(L);
    lua_connect_open(L);
}
