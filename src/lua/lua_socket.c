/* What a stream's descriptor is and how it is set: addresses, TCP options. */
#include <errno.h>
#include <lauxlib.h>

#include "base/error.h"
#include "io/net.h"
#include "lua/arguments.h"
#include "lua/lua_stream.h"

/* Pushes the address, or nil, message, code. */
static int push_address(lua_State *L, const char *what,
                        bool (*get)(int, struct net_address *))
{
    struct lua_stream *box = lua_stream_check(L, 1);
    struct net_address address;
    char text[NET_TEXT];
    int fd = box->stream->transport->fd;
    if (fd >= 0 && get(fd, &address)) {
        lua_pushstring(L, net_format(&address, text, sizeof text));
        return 1;
    }
    /* A pipe or a file has none: what it is called is for messages. */
    bool socket = fd < 0 || errno != ENOTSOCK;
    if (get == net_peer_address && lua_stream_peer(box) && socket) {
        lua_pushstring(L, lua_stream_peer(box));
        return 1;
    }
    int error = fd < 0 ? ENOTCONN : errno;
    lua_pushfstring(L, "%s stream #%d: %s", what, (int) box->stream->id,
                    error_text(error));
    return push_failure(L, error, lua_tostring(L, -1));
}

/* stream:local_address() → "127.0.0.1:80" */
static int stream_local_address(lua_State *L)
{
    return push_address(L, "local_address", net_local_address);
}

/* stream:peer_address() → "127.0.0.1:80" */
static int stream_peer_address(lua_State *L)
{
    return push_address(L, "peer_address", net_peer_address);
}

/* stream:fd() → number, or nil if there is none (any more) */
static int stream_fd(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    int fd = box->stream->transport->fd;
    if (fd < 0) {
        lua_pushnil(L);
        return 1;
    }
    lua_stream_shared(box);
    lua_pushinteger(L, fd);
    return 1;
}

static int set_option(lua_State *L, const char *name, int (*set)(int, bool),
                      bool on)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    int fd = box->stream->transport->fd;
    int error = fd < 0 ? 0 : set(fd, on);
    /* Where there is no TCP there is nothing to set. */
    bool none =
        error == ENOTSOCK || error == EOPNOTSUPP || error == ENOPROTOOPT;
    if (error && !none) {
        char text[32];
        const char *target = lua_stream_target(box, text, sizeof text);
        lua_pushfstring(L, "%s %s: %s", name, target, error_text(error));
        return push_failure(L, error, lua_tostring(L, -1));
    }
    lua_pushboolean(L, true);
    return 1;
}

/* stream:set_nodelay(b) → true */
static int stream_set_nodelay(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    bool on = argument_boolean(L, 2);
    box->stream->nodelay = on;
    return set_option(L, "set_nodelay", net_set_nodelay, on);
}

/* stream:set_keepalive(b) → true */
static int stream_set_keepalive(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    bool on = argument_boolean(L, 2);
    box->stream->keepalive = on;
    return set_option(L, "set_keepalive", net_set_keepalive, on);
}

void lua_socket_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"local_address", stream_local_address},
        {"peer_address", stream_peer_address},
        {"fd", stream_fd},
        {"set_nodelay", stream_set_nodelay},
        {"set_keepalive", stream_set_keepalive},
        {NULL, NULL},
    };
    luaL_setfuncs(L, methods, 0);
}
