/* The userdata of a datagram socket, for the three files that make up its Lua
 * surface. */
#ifndef WEIR_LUA_UDP_H
#define WEIR_LUA_UDP_H

#include <lua.h>

#include "event/datagram.h"
#include "lua/task.h"

#define UDP_TYPE "weir.udp"

/* Made with `datagram` NULL, then filled. */
struct lua_udp {
    struct datagram *datagram;
    struct operation *receive; /* that waits */
    struct list errands;       /* sends and connects that wait */
    double timeout;            /* for every operation; < 0: none */
    bool unref;
};

struct lua_udp *lua_udp_check(lua_State *L, int index);

/* Its own address in words, or whom it is connected to with `peer`; "" if
 * there is none. `text` has room for NET_TEXT. */
char *lua_udp_address(const struct lua_udp *box, bool peer, char *text);

/* The operation waits on the socket, and is the last thing to do. */
struct operation *lua_udp_wait(struct lua_udp *box, lua_State *L,
                               struct call *call,
                               const struct operation_class *class);

/* lua_udp_receive.c: receive, for the table on top of the stack; and what the
 * datagram calls when the pending one ends. */
void lua_udp_receive_methods(lua_State *L);
void lua_udp_received(struct datagram *datagram, int error);

/* lua_udp_send.c: send and connect, for the table on top of the stack. */
void lua_udp_send_methods(lua_State *L);
void lua_udp_unref_errands(struct lua_udp *box, bool unref);
/* The socket was closed: those that still look for an address fail. */
void lua_udp_fail_errands(struct lua_udp *box);
/* Lua is ending: they end without a word. */
void lua_udp_drop_errands(struct lua_udp *box);

#endif
