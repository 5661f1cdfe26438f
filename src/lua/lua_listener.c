/* Listeners: a task for each connection. How one begins is in lua_listen.c. */
#include "lua/lua_listener.h"

#include <errno.h>
#include <lauxlib.h>

#include "base/error.h"
#include "io/net.h"
#include "lua/arguments.h"
#include "lua/lua_tls.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

static struct lua_listener *check_listener(lua_State *L)
{
    struct lua_listener *box = luaL_checkudata(L, 1, LISTENER_TYPE);
    argument_live(L, 1, box->listener);
    return box;
}

/* It is closed: whose handshakes are under way still gets a handler. */
void lua_listener_let_go(struct lua_listener *box)
{
    lua_State *L = task_state();
    if (box->shaking > 0)
        return;
    luaL_unref(L, LUA_REGISTRYINDEX, box->anchor);
    luaL_unref(L, LUA_REGISTRYINDEX, box->handler);
    luaL_unref(L, LUA_REGISTRYINDEX, box->tls);
    context_release(box->context);
    box->anchor = box->handler = box->tls = LUA_NOREF;
    box->context = NULL;
}

/* --- connections ---------------------------------------------------------- */

static void handler_ended(void *stream, bool raised)
{
    (void) raised;
    stream_set_busy(stream, false);
}

/* The handler gets the stream that is on top of L. */
static void start_handler(lua_State *L, struct lua_listener *box,
                          struct stream *stream)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, box->handler);
    lua_insert(L, -2);
    stream_set_busy(stream, true);
    context_enter(box->context);
    struct task *task = task_start(L, 1, stream, false);
    context_enter(NULL);
    task_on_end(task, handler_ended, stream);
}

/* The stream is on top: its handler runs when the handshake is done (R27). */
static void start_handshake(lua_State *L, struct lua_listener *box,
                            struct lua_stream *connection, int fd)
{
    struct stream *stream = connection->stream;
    lua_stream_keep(L, connection, lua_gettop(L));
    lua_pop(L, 1);
    lua_stream_have_rare(connection)->listener = box;
    box->shaking++;
    stream_set_busy(stream, true);
    stream_open(stream, fd, lua_tls_server(connection, fd, NULL, 0));
    stream_handshake_timeout(stream, box->handshake_timeout);
}

/* A peer that only left is not worth a line. */
static void report_handshake(struct lua_stream *connection, int error)
{
    char text[32];
    if (error == ERROR_TRUNCATED || error == ECONNRESET ||
        error == ERROR_CLOSED || error == ECANCELED)
        return;
    report_line("weir: TLS handshake with %s: %s",
                lua_stream_target(connection, text, sizeof text),
                stream_reason(connection->stream, error));
}

void lua_listener_ready(struct lua_stream *connection, int error)
{
    struct lua_listener *box = connection->rare->listener;
    lua_State *L = task_state();
    lua_stream_have_rare(connection)->listener = NULL;
    box->shaking--;
    if (error) {
        box->failed++;
        report_handshake(connection, error);
    } else {
        lua_stream_push_box(L, connection);
        start_handler(L, box, connection->stream);
    }
    if (box->listener->fd < 0)
        lua_listener_let_go(box);
}

static void accepted(struct listener *listener, int fd,
                     const struct net_address *peer)
{
    struct lua_listener *box = listener->owner;
    box->accepted++;
    lua_State *L = task_state();
    char text[NET_TEXT];
    box->options.stream.listener = listener;
    struct lua_stream *connection =
        lua_stream_push(L, &box->options, net_format(peer, text, sizeof text));
    if (box->tls != LUA_NOREF) {
        start_handshake(L, box, connection, fd);
        return;
    }
    stream_open(connection->stream, fd, NULL);
    start_handler(L, box, connection->stream);
}

static void exhausted(struct listener *listener, int error)
{
    char text[NET_TEXT];
    net_format(&listener->address, text, sizeof text);
    report_line("weir: accept on %s: %s; new connections wait", text,
                error_text(error));
    collector_all();
}

const struct listener_events lua_listener_events = {accepted, exhausted};

/* --- methods -------------------------------------------------------------- */

/* listener:close(): idempotent; connections go on */
static int listener_close_method(lua_State *L)
{
    struct lua_listener *box = check_listener(L);
    listener_close(box->listener);
    lua_listener_let_go(box);
    return 0;
}

/* listener:address() → "127.0.0.1:80", as bound */
static int listener_address(lua_State *L)
{
    char text[NET_TEXT];
    struct lua_listener *box = check_listener(L);
    lua_pushstring(L, net_format(&box->listener->address, text, sizeof text));
    return 1;
}

static int listener_pause_method(lua_State *L)
{
    listener_pause(check_listener(L)->listener);
    return 0;
}

static int listener_resume_method(lua_State *L)
{
    listener_resume(check_listener(L)->listener);
    return 0;
}

static int set_unref(lua_State *L, bool unref)
{
    listener_set_unref(check_listener(L)->listener, unref);
    lua_settop(L, 1);
    return 1;
}

static int listener_unref(lua_State *L)
{
    return set_unref(L, true);
}

static int listener_ref(lua_State *L)
{
    return set_unref(L, false);
}

static void set_number(lua_State *L, const char *key, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, key);
}

/* listener:stats() → a table of counts */
static int listener_stats(lua_State *L)
{
    struct lua_listener *box = check_listener(L);
    lua_createtable(L, 0, 4);
    set_number(L, "accepted", box->accepted);
    set_number(L, "open", box->listener->connections);
    set_number(L, "handshaking", box->shaking);
    set_number(L, "failed_handshakes", box->failed);
    return 1;
}

static int listener_collect(lua_State *L)
{
    struct lua_listener *box = luaL_checkudata(L, 1, LISTENER_TYPE);
    if (box->listener)
        listener_release(box->listener);
    box->listener = NULL;
    luaL_unref(L, LUA_REGISTRYINDEX, box->tls);
    context_release(box->context);
    box->context = NULL;
    return 0;
}

static int listener_tostring(lua_State *L)
{
    char text[NET_TEXT];
    struct lua_listener *box = check_listener(L);
    lua_pushfstring(L, "weir.listener (%s, %s)",
                    net_format(&box->listener->address, text, sizeof text),
                    box->listener->fd >= 0 ? "listening" : "closed");
    return 1;
}

void lua_listener_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"close", listener_close_method},
        {"address", listener_address},
        {"pause", listener_pause_method},
        {"resume", listener_resume_method},
        {"stats", listener_stats},
        {"unref", listener_unref},
        {"ref", listener_ref},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {
        {"__gc", listener_collect},
        {"__tostring", listener_tostring},
        {NULL, NULL},
    };
    lua_type_new(L, LISTENER_TYPE, methods, metamethods);
    lua_listen_open(L);
}
