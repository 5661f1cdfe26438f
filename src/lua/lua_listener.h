/* The userdata of a listener, for the two files that make up its Lua
 * surface. */
#ifndef WEIR_LUA_LISTENER_H
#define WEIR_LUA_LISTENER_H

#include <lua.h>

#include "event/listener.h"
#include "lua/lua_stream.h"

#define LISTENER_TYPE "weir.listener"

struct resolver_query;

struct lua_listener {
    struct listener *listener;    /* NULL until it listens */
    struct resolver_query *query; /* its name is being looked up */
    struct lua_stream_options options;
    struct context *context;
    int handler; /* registry references */
    int anchor;  /* of the userdata, while it listens */
    int tls;     /* the context; LUA_NOREF: plain */
    double handshake_timeout;
    double accepted, failed; /* connections, handshakes */
    unsigned shaking;        /* handshakes under way */
    unsigned max_connections;
    int backlog;
    bool reuse_port;
};

/* What happens to its listener. */
extern const struct listener_events lua_listener_events;

/* It listens no more: what it kept alive may go. */
void lua_listener_let_go(struct lua_listener *box);

/* lua_listen.c: weir.listen, for the table on top of the stack. */
void lua_listen_open(lua_State *L);

#endif
