/* TLS in Lua: contexts, and the streams that are set up with them. */
#ifndef WEIR_LUA_TLS_H
#define WEIR_LUA_TLS_H

#include <lua.h>
#include <stdbool.h>

#include "lua/lua_stream.h"

struct tls_context;

/* The userdata. */
struct lua_tls {
    struct tls_context *context;
    struct context *caller; /* who made it: on_sni runs in there */
    int on_sni;             /* registry reference, or LUA_NOREF */
    bool server;
};

/* NULL if the value at `index` is none. */
struct lua_tls *lua_tls_test(lua_State *L, int index);

/* The names of the options that make one, for lists of known ones. */
#define TLS_OPTION_NAMES \
    "alpn", "ca", "cert", "ciphers", "ciphersuites", "key", "keylog", \
        "max_version", "min_version", "ocsp", "ocsp_response", "on_sni", \
        "password", "server", "server_name", "session", "verify"

/* Pushes the one that the table of options at `index` (0: none) asks for; or
 * the message, returning the error. The keys are known ones. */
int lua_tls_new(lua_State *L, int index);

/* Pushes the context that the option `tls` (true, a table of options, a
 * context) of the table at `options` (0: none) comes to, or that an address
 * wanted; or nil if it is nil or false. Returns 0; or an error, having pushed
 * the message. Wrong use raises, in the name of the call. */
int lua_tls_option(lua_State *L, int options, bool wanted, const char *name);

/* Raises where the context on top cannot be used as a server's. */
void lua_tls_check_server(lua_State *L, const char *name);

/* Gives the context on top (popped) to the stream, whose handshake it is
 * for. */
void lua_tls_set(lua_State *L, struct lua_stream *box);
/* Raises where the stream has one that does not know whom to verify. */
void lua_tls_check_client(lua_State *L, const struct lua_stream *box,
                          const char *name);
/* The transports made with it. `address` is whom it is connected to. */
struct transport *lua_tls_client(struct lua_stream *box, int fd,
                                 const char *address);
struct transport *lua_tls_server(struct lua_stream *box, int fd,
                                 const char *read, size_t size);
/* If the stream (at the top), which is open and plain, has a context, its
 * handshake begins; nobody is told of its end. */
void lua_tls_begin(lua_State *L, struct lua_stream *box);
/* The handshake ended: what the trace says of it; and its context may go. */
void lua_tls_trace(struct lua_stream *box, int error);
void lua_tls_done(struct lua_stream *box);

/* events->asked */
void lua_tls_asked(struct stream *stream);
/* core.tls_answer, which lua/weir/tls.lua calls then */
int lua_tls_answer(lua_State *L);

/* Add stream:start_tls and stream:tls_info to the table on top. */
void lua_start_tls_methods(lua_State *L);
void lua_tls_info_methods(lua_State *L);

#endif
