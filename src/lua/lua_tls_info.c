/* stream:tls_info: what was agreed on, as a table. */
#include <stdlib.h>
#include <string.h>

#include "io/tls.h"
#include "lua/lua_certificate.h"
#include "lua/lua_tls.h"

static void set_string(lua_State *L, const char *key, const char *value,
                       size_t size)
{
    if (value)
        lua_pushlstring(L, value, size);
    else
        lua_pushnil(L);
    lua_setfield(L, -2, key);
}

static void set_text(lua_State *L, const char *key, const char *value)
{
    set_string(L, key, value, value ? strlen(value) : 0);
}

static void set_boolean(lua_State *L, const char *key, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

/* stream:tls_info() → table, or nil if it is not encrypted (yet) */
static int stream_tls_info(lua_State *L)
{
    struct stream *stream = lua_stream_check(L, 1)->stream;
    struct tls_info info;
    if (!tls_is(stream->transport) || !tls_get_info(stream->transport, &info)) {
        lua_pushnil(L);
        return 1;
    }
    size_t size = 0;
    char *session = tls_get_session(stream->transport, &size);
    lua_newtable(L);
    set_text(L, "version", info.version);
    set_text(L, "cipher", info.cipher);
    set_string(L, "alpn", info.alpn, info.alpn_size);
    set_text(L, "server_name", info.server_name);
    set_text(L, "verify_error", info.verify_error);
    set_boolean(L, "resumed", info.resumed);
    set_boolean(L, "verified", info.verified);
    set_boolean(L, "server", info.server);
    set_string(L, "session", session, size);
    free(session);
    lua_newtable(L);
    struct x509_st *peer;
    for (int i = 0; (peer = tls_peer_certificate(stream->transport, i)); i++) {
        lua_certificate_push(L, peer);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "peer_certificates");
    return 1;
}

void lua_tls_info_methods(lua_State *L)
{
    lua_pushcfunction(L, stream_tls_info);
    lua_setfield(L, -2, "tls_info");
}
