/* weir.udp: datagram sockets. What they do is in lua_udp_receive.c and
 * lua_udp_send.c. */
#include "lua/lua_udp.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>

#include "base/error.h"
#include "io/net.h"
#include "lua/arguments.h"
#include "lua/modules.h"

struct lua_udp *lua_udp_check(lua_State *L, int index)
{
    struct lua_udp *box = luaL_checkudata(L, index, UDP_TYPE);
    argument_live(L, index, box->datagram);
    return box;
}

char *lua_udp_address(const struct lua_udp *box, bool peer, char *text)
{
    struct net_address address;
    int fd = box->datagram->fd;
    text[0] = '\0';
    if (fd >= 0 && (peer ? net_peer_address(fd, &address)
                         : net_local_address(fd, &address)))
        net_format(&address, text, NET_TEXT);
    return text;
}

struct operation *lua_udp_wait(struct lua_udp *box, lua_State *L,
                               struct call *call,
                               const struct operation_class *class)
{
    struct operation *op = call_wait(L, call, class, box->timeout);
    if (box->unref)
        operation_unref(op, true);
    return op;
}

static int udp_close(lua_State *L)
{
    struct lua_udp *box = lua_udp_check(L, 1);
    datagram_close(box->datagram);
    lua_udp_fail_errands(box);
    return 0;
}

/* An operation that waits keeps the userdata: only at the very end, when no
 * task is told anything any more, may there still be one. */
static int udp_collect(lua_State *L)
{
    struct lua_udp *box = luaL_checkudata(L, 1, UDP_TYPE);
    if (!box->datagram)
        return 0;
    lua_udp_drop_errands(box);
    datagram_cancel_receive(box->datagram);
    datagram_release(box->datagram);
    box->datagram = NULL;
    return 0;
}

static int push_address(lua_State *L, bool peer)
{
    struct lua_udp *box = lua_udp_check(L, 1);
    char text[NET_TEXT];
    int error = box->datagram->fd < 0 ? ERROR_CLOSED : ENOTCONN;
    if (lua_udp_address(box, peer, text)[0]) {
        lua_pushstring(L, text);
        return 1;
    }
    lua_pushfstring(L, "%s: %s", peer ? "peer_address" : "local_address",
                    error_text(error));
    return push_failure(L, error, lua_tostring(L, -1));
}

/* socket:local_address() → "127.0.0.1:53", as bound */
static int udp_local_address(lua_State *L)
{
    return push_address(L, false);
}

/* socket:peer_address() → whom it is connected to */
static int udp_peer_address(lua_State *L)
{
    return push_address(L, true);
}

/* socket:fd() → number, or nil when it is closed */
static int udp_fd(lua_State *L)
{
    int fd = lua_udp_check(L, 1)->datagram->fd;
    if (fd >= 0)
        lua_pushinteger(L, fd);
    else
        lua_pushnil(L);
    return 1;
}

static int push_outcome(lua_State *L, const char *what, const char *target,
                        int error)
{
    if (error) {
        lua_pushfstring(L, "%s%s%s: %s", what, target[0] ? " " : "", target,
                        error_text(error));
        return push_failure(L, error, lua_tostring(L, -1));
    }
    lua_pushboolean(L, true);
    return 1;
}

/* socket:set_broadcast(on) → true */
static int udp_set_broadcast_method(lua_State *L)
{
    int fd = lua_udp_check(L, 1)->datagram->fd;
    bool on = argument_boolean(L, 2);
    int error = fd < 0 ? ERROR_CLOSED : udp_set_broadcast(fd, on);
    return push_outcome(L, "set_broadcast", "", error);
}

/* An interface by name or number; 0 and an errno if there is none. */
static int find_interface(lua_State *L, int index, unsigned *found)
{
    *found = 0;
    if (lua_isnoneornil(L, index))
        return 0;
    if (lua_type(L, index) == LUA_TNUMBER) {
        *found = (unsigned) argument_whole(L, index, 1, INT_MAX);
        return 0;
    }
    if (lua_type(L, index) != LUA_TSTRING)
        argument_error(L, index, "interface (a name or a number) expected");
    *found = if_nametoindex(lua_tostring(L, index));
    return *found ? 0 : ENODEV;
}

/* Takes the zone of "ff02::1%eth0" off the group. */
static int member(lua_State *L, const char *what, bool join)
{
    int fd = lua_udp_check(L, 1)->datagram->fd;
    if (lua_type(L, 2) != LUA_TSTRING)
        return argument_error(L, 2, "a group's address (a string) expected");
    const char *text = lua_tostring(L, 2);
    unsigned interface;
    struct net_address group;
    int error = find_interface(L, 3, &interface);
    if (error)
        return push_outcome(L, what, lua_tostring(L, 3), error);
    if (!net_numeric(&group, text, "0"))
        return push_outcome(L, what, text, EINVAL);
    if (!interface)
        interface = net_zone(&group);
    error = fd < 0 ? ERROR_CLOSED : udp_member(fd, &group, interface, join);
    return push_outcome(L, what, text, error);
}

/* socket:join(group, [interface]) → true */
static int udp_join(lua_State *L)
{
    return member(L, "join", true);
}

/* socket:leave(group, [interface]) → true */
static int udp_leave(lua_State *L)
{
    return member(L, "leave", false);
}

static int set_unref(lua_State *L, bool unref)
{
    struct lua_udp *box = lua_udp_check(L, 1);
    box->unref = unref;
    if (box->receive)
        operation_unref(box->receive, unref);
    lua_udp_unref_errands(box, unref);
    lua_settop(L, 1);
    return 1;
}

static int udp_unref(lua_State *L)
{
    return set_unref(L, true);
}

static int udp_ref(lua_State *L)
{
    return set_unref(L, false);
}

static int udp_closed(lua_State *L)
{
    lua_pushboolean(L, lua_udp_check(L, 1)->datagram->fd < 0);
    return 1;
}

static int udp_tostring(lua_State *L)
{
    struct lua_udp *box = lua_udp_check(L, 1);
    char local[NET_TEXT], peer[NET_TEXT];
    if (box->datagram->fd < 0) {
        lua_pushliteral(L, "weir.udp (closed)");
        return 1;
    }
    lua_udp_address(box, false, local);
    lua_udp_address(box, true, peer);
    lua_pushfstring(L, "weir.udp (%s%s%s)", local,
                    peer[0] ? ", connected to " : "", peer);
    return 1;
}

/* --- weir.udp ------------------------------------------------------------- */

static int open_failed(lua_State *L, const char *text, int error,
                       const char *words)
{
    lua_pushfstring(L, "udp%s%s: %s", text ? " " : "", text ? text : "",
                    words ? words : error_text(error));
    return push_failure(L, error, lua_tostring(L, -1));
}

/* Reads the options of the table at `index` (0: none); raises. An interface
 * that does not exist is an errno. */
static int read_options(lua_State *L, int index, struct lua_udp *box,
                        struct udp_options *options)
{
    static const char *const known[] = {
        "broadcast",  "interface", "loopback", "reuse_address",
        "reuse_port", "timeout",   "ttl",      NULL};
    int error = 0;
    *options = (struct udp_options){.loopback = true};
    if (!index)
        return 0;
    options_check(L, index, known, "weir.udp");
    box->timeout = options_seconds(L, index, "timeout", -1);
    options->broadcast = options_boolean(L, index, "broadcast", false);
    options->loopback = options_boolean(L, index, "loopback", true);
    options->reuse_address = options_boolean(L, index, "reuse_address", false);
    options->reuse_port = options_boolean(L, index, "reuse_port", false);
    options->hops = (int) options_whole(L, index, "ttl", 1, 255, 0);
    lua_getfield(L, index, "interface");
    if (lua_type(L, -1) == LUA_TNUMBER)
        options_whole(L, index, "interface", 1, INT_MAX, 0);
    else if (!lua_isnil(L, -1) && !lua_isstring(L, -1))
        call_error(L, "bad option 'interface' (a name or a number expected)");
    error = find_interface(L, lua_gettop(L), &options->interface);
    lua_pop(L, 1);
    return error;
}

/* NULL with an errno, and perhaps with words for it. */
static struct datagram *open_at(const char *text, size_t size,
                                const struct udp_options *options, int *error,
                                const char **words)
{
    struct datagram *datagram = NULL;
    struct net_target target;
    if (!text) {
        *error = datagram_open(&datagram, task_loop(), NULL, options);
    } else if (!net_parse(&target, text, size, words)) {
        *error = EINVAL;
    } else if (target.kind == TARGET_FD) {
        *error = datagram_adopt(&datagram, task_loop(), target.fd, options);
    } else if (target.tls || !net_complete(&target)) {
        *error = EINVAL;
        *words = "the IP address of an interface expected";
    } else {
        *error =
            datagram_open(&datagram, task_loop(), &target.address, options);
    }
    return datagram;
}

/* weir.udp([address], [options]) → socket */
static int weir_udp(lua_State *L)
{
    struct udp_options options;
    size_t size = 0;
    int index = lua_istable(L, 1) ? 1 : 2;
    const char *text = NULL, *words = NULL;
    if (index == 2 && !lua_isnoneornil(L, 1)) {
        if (lua_type(L, 1) != LUA_TSTRING)
            return argument_error(L, 1, "an address (a string) expected");
        text = lua_tolstring(L, 1, &size);
    }
    bool given = argument_options(L, index);
    struct lua_udp *box = lua_newuserdata(L, sizeof *box);
    *box = (struct lua_udp){.timeout = -1};
    list_init(&box->errands);
    luaL_getmetatable(L, UDP_TYPE);
    lua_setmetatable(L, -2);
    int error = read_options(L, given ? index : 0, box, &options);
    if (error)
        return open_failed(L, text, error, NULL);
    box->datagram = open_at(text, size, &options, &error, &words);
    if (!box->datagram)
        return open_failed(L, text, error, words);
    box->datagram->owner = box;
    box->datagram->received = lua_udp_received;
    return 1;
}

void lua_udp_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"close", udp_close},
        {"closed", udp_closed},
        {"local_address", udp_local_address},
        {"peer_address", udp_peer_address},
        {"fd", udp_fd},
        {"set_broadcast", udp_set_broadcast_method},
        {"join", udp_join},
        {"leave", udp_leave},
        {"unref", udp_unref},
        {"ref", udp_ref},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {
        {"__gc", udp_collect},
        {"__tostring", udp_tostring},
        {NULL, NULL},
    };
    lua_type_new(L, UDP_TYPE, methods, metamethods);
    luaL_getmetatable(L, UDP_TYPE);
    lua_getfield(L, -1, "__index");
    lua_udp_receive_methods(L);
    lua_udp_send_methods(L);
    lua_pop(L, 2);
    lua_pushcfunction(L, weir_udp);
    lua_setfield(L, -2, "udp");
}
