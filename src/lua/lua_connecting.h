/* What lua_connect.c begins, and lua_connecting.c goes on with. */
#ifndef WEIR_LUA_CONNECTING_H
#define WEIR_LUA_CONNECTING_H

#include <lua.h>
#include <stdbool.h>

#include "io/net.h"
#include "lua/lua_stream.h"

struct connector;
struct resolver_query;

/* A connect under way. */
struct connecting {
    struct lua_stream *box;
    struct resolver_query *query;
    struct connector *connector;
    struct net_target target;
    struct net_address source;
    bool bound; /* `source` was given */
    char *name; /* as the script wrote it */
};

/* That of the operation that waits in it, box->rare->ready. */
extern const struct operation_class lua_connecting_class;

/* A connect of the stream, which is at 1; `name` is copied. The caller sets
 * `target` and `source`. */
struct connecting *lua_connecting_begin(lua_State *L, struct lua_stream *box,
                                        const char *name);
/* Looks the name up, or tries the address. 0, or why it cannot even begin. */
int lua_connecting_start(struct connecting *connecting);
/* The descriptor is connected: TLS follows, if it is asked for; then what was
 * queued may leave, after the connect's own result. */
void lua_connecting_connected(struct lua_stream *box, int fd);
/* It is given up, or over. */
void lua_connecting_free(struct connecting *connecting);

#endif
