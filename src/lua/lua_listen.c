/* weir.listen: an address to a listener. It waits only for names that have
 * to be looked up. */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/resolver.h"
#include "io/net.h"
#include "lua/arguments.h"
#include "lua/lua_listener.h"
#include "lua/lua_tls.h"
#include "lua/task_internal.h"

#define HANDSHAKE_TIMEOUT 10.0 /* seconds */

static int failed(lua_State *L, const char *text, int error, const char *words)
{
    lua_pushfstring(L, "listen %s: %s", text,
                    words ? words : error_text(error));
    return push_failure(L, error, lua_tostring(L, -1));
}

/* --- names ---------------------------------------------------------------- */

/* The slots of an operation. */
enum { NAME };

static void cancel(struct operation *op)
{
    struct lua_listener *box = op->object;
    resolver_cancel(box->query);
    box->query = NULL;
    lua_listener_let_go(box);
    free(operation_room(op)->slot[NAME].pointer);
}

static void describe(struct operation *op, char *text, size_t size)
{
    snprintf(text, size, "%s (resolving the name)",
             (char *) operation_room(op)->slot[NAME].pointer);
}

static const struct operation_class listen_class = {
    .name = "listen", .cancel = cancel, .describe = describe};

static int open_at(struct lua_listener *box, const struct net_address *address)
{
    const struct stream_options *options = &box->options.stream;
    box->listener =
        listener_open(task_loop(), address, box->backlog, box->reuse_port,
                      box->max_connections, &lua_listener_events, box);
    if (!box->listener)
        return errno;
    listener_pass_on(box->listener, options->nodelay, options->keepalive);
    return 0;
}

/* "listen name:80: 192.0.2.1:80: Cannot assign requested address" */
static void fail_by_name(struct operation *op, int error,
                         const struct net_address *address)
{
    char text[NET_TEXT] = "";
    if (address)
        net_format(address, text, sizeof text);
    char *message = memory_format(
        "listen %s: %s%s%s", (char *) operation_room(op)->slot[NAME].pointer,
        text, address ? ": " : "", error_text(error));
    free(operation_room(op)->slot[NAME].pointer);
    lua_listener_let_go(op->object);
    operation_fail(op, error, message);
    free(message);
}

/* The first of its addresses that is this machine's. */
static void found(void *owner, int error, const struct net_address *addresses,
                  size_t count)
{
    struct operation *op = owner;
    struct lua_listener *box = op->object;
    size_t i = 0;
    box->query = NULL;
    for (; i < count; i++) {
        error = open_at(box, &addresses[i]);
        if (error != EADDRNOTAVAIL)
            break;
    }
    if (error) {
        i = i < count || i == 0 ? i : i - 1;
        fail_by_name(op, error, count > 0 ? &addresses[i] : NULL);
        return;
    }
    free(operation_room(op)->slot[NAME].pointer);
    lua_rawgeti(operation_results(op), LUA_REGISTRYINDEX, box->anchor);
    operation_finish(op, 1);
}

/* The userdata is on top. */
static int listen_by_name(lua_State *L, struct lua_listener *box,
                          const char *text, const struct net_target *target)
{
    static const char *const none[] = {NULL};
    struct call call;
    int self = lua_gettop(L), error;
    if (!call_may_wait(L))
        lua_listener_let_go(box); /* it raises */
    call_parse(L, &call, self + 1, none, "listen");
    int refused = call_refused(L, &call);
    struct resolver *resolver =
        refused ? NULL : resolver_get(task_loop(), NULL, &error);
    if (!resolver) {
        lua_listener_let_go(box);
        return refused ? refused : failed(L, text, error, NULL);
    }
    struct operation *op = call_wait(L, &call, &listen_class, -1);
    op->object = box;
    operation_room(op)->slot[NAME].pointer = memory_format("%s", text);
    box->query = resolver_lookup(resolver, target->host, target->port,
                                 AF_UNSPEC, found, op);
    return call_suspend(L, &call, self);
}

/* --- the call ------------------------------------------------------------- */

/* The options of the table at `index` (0: none), but for TLS; raises. */
static void read_options(lua_State *L, int index, struct lua_listener *box)
{
    static const char *const known[] = {STREAM_OPTION_NAMES, "backlog",
                                        "reuse_port",        "max_connections",
                                        "handshake_timeout", NULL};
    if (index)
        options_check(L, index, known, "listen");
    lua_stream_options(L, index, &box->options);
    box->handshake_timeout =
        options_seconds(L, index, "handshake_timeout", HANDSHAKE_TIMEOUT);
    box->max_connections =
        (unsigned) options_whole(L, index, "max_connections", 0, 1 << 30, 0);
    box->backlog = (int) options_whole(L, index, "backlog", 0, 1 << 30, 0);
    box->reuse_port = options_boolean(L, index, "reuse_port", false);
}

static int reference(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* The userdata is on top, and complete but for its listener. */
static int begin(lua_State *L, struct lua_listener *box, const char *text,
                 struct net_target *target)
{
    int error = 0;
    if (target->kind == TARGET_FD) {
        box->listener =
            listener_adopt(task_loop(), target->fd, box->max_connections,
                           &lua_listener_events, box);
        error = box->listener ? 0 : errno;
    } else if (net_complete(target)) {
        error = open_at(box, &target->address);
    } else {
        return listen_by_name(L, box, text, target);
    }
    if (!error)
        return 1;
    lua_listener_let_go(box);
    bool deaf = target->kind == TARGET_FD && error == EINVAL;
    return failed(L, text, error, deaf ? "The socket does not listen" : NULL);
}

/* weir.listen(address, [options], handler) → listener */
static int weir_listen(lua_State *L)
{
    size_t size;
    const char *expected;
    struct net_target target;
    if (lua_type(L, 1) != LUA_TSTRING)
        return argument_error(L, 1, "an address (a string) expected");
    const char *text = lua_tolstring(L, 1, &size);
    int handler = lua_isfunction(L, 2) ? 2 : 3;
    int options = handler == 3 && argument_options(L, 2) ? 2 : 0;
    if (!lua_isfunction(L, handler))
        return argument_error(L, handler, "a handler (a function) expected");
    if (handler == 2 && !lua_isnoneornil(L, 3))
        return argument_error(L, 3, "nothing expected behind the handler");
    lua_settop(L, handler);
    struct lua_listener *box = lua_newuserdata(L, sizeof *box);
    *box = (struct lua_listener){
        .handler = LUA_NOREF, .anchor = LUA_NOREF, .tls = LUA_NOREF};
    luaL_getmetatable(L, LISTENER_TYPE);
    lua_setmetatable(L, -2);
    int self = lua_gettop(L);
    read_options(L, options, box);
    if (!net_parse(&target, text, size, &expected))
        return failed(L, text, EINVAL, expected);
    int error = lua_tls_option(L, options, target.tls, "listen");
    if (error)
        return failed(L, text, error, lua_tostring(L, -1));
    if (!lua_isnil(L, -1)) {
        lua_tls_check_server(L, "listen");
        box->tls = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    box->handler = reference(L, handler);
    box->anchor = reference(L, self);
    box->context = context_retain(context_current());
    lua_settop(L, self);
    return begin(L, box, text, &target);
}

void lua_listen_open(lua_State *L)
{
    lua_pushcfunction(L, weir_listen);
    lua_setfield(L, -2, "listen");
}
