/* TLS contexts in Lua: weir.tls.context, and what the option `tls` means. */
#include "lua/lua_tls.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_context.h"
#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

#define CONTEXT_TYPE "weir.tls.context"

/* --- options -------------------------------------------------------------- */

static struct tls_text string_option(lua_State *L, int index, const char *key)
{
    struct tls_text value = {NULL, 0};
    value.data = options_string(L, index, key, &value.size);
    return value;
}

/* One that OpenSSL and the system take as a C string, and would cut off. */
static const char *text_option(lua_State *L, int index, const char *key)
{
    size_t size = 0;
    const char *text = options_string(L, index, key, &size);
    if (text && strlen(text) != size)
        call_error(L, "bad option '%s' (it has a zero byte)", key);
    return text;
}

static const char *name_option(lua_State *L, int index)
{
    const char *name = text_option(L, index, "server_name");
    if (name && (!*name || strlen(name) > 255))
        call_error(L,
                   "bad option 'server_name' (1 to 255 bytes expected, "
                   "got %d)",
                   (int) strlen(name));
    return name;
}

static int version_option(lua_State *L, int index, const char *key)
{
    static const char *const names[] = {"1.0", "1.1", "1.2", "1.3"};
    lua_getfield(L, index, key);
    if (lua_isnil(L, -1))
        return 0;
    const char *text = lua_tostring(L, -1);
    for (int i = 0; text && i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return 10 + i;
    return call_error(L,
                      "bad option '%s' (\"1.2\" or \"1.3\" expected, got %s)",
                      key, text ? text : luaL_typename(L, -1));
}

static enum tls_verify verify_option(lua_State *L, int index)
{
    lua_getfield(L, index, "verify");
    if (lua_isnil(L, -1))
        return TLS_VERIFY_DEFAULT;
    if (lua_isboolean(L, -1))
        return lua_toboolean(L, -1) ? TLS_VERIFY_REQUIRED : TLS_VERIFY_NONE;
    const char *text = lua_tostring(L, -1);
    if (!text || strcmp(text, "optional") != 0)
        call_error(L,
                   "bad option 'verify' (true, false or \"optional\" expected, "
                   "got %s)",
                   text ? text : luaL_typename(L, -1));
    return TLS_VERIFY_OPTIONAL;
}

static enum tls_ocsp ocsp_option(lua_State *L, int index)
{
    lua_getfield(L, index, "ocsp");
    if (!lua_toboolean(L, -1))
        return TLS_OCSP_NONE;
    const char *text = lua_tostring(L, -1);
    if (text && strcmp(text, "request") == 0)
        return TLS_OCSP_REQUEST;
    if (!text || strcmp(text, "require") != 0)
        call_error(L,
                   "bad option 'ocsp' (\"request\" or \"require\" expected, "
                   "got %s)",
                   text ? text : luaL_typename(L, -1));
    return TLS_OCSP_REQUIRE;
}

/* The names as ALPN has them on the wire: each behind its length. */
static struct tls_text alpn_option(lua_State *L, int index)
{
    struct tls_text value = {NULL, 0};
    lua_getfield(L, index, "alpn");
    if (lua_isnil(L, -1))
        return value;
    if (!lua_istable(L, -1))
        call_error(L, "bad option 'alpn' (a list of strings expected, got %s)",
                   luaL_typename(L, -1));
    int list = lua_gettop(L), count = (int) lua_objlen(L, list);
    lua_pushnil(L);
    if (count == 0 && lua_next(L, list))
        call_error(L, "bad option 'alpn' (a list of strings expected)");
    lua_settop(L, list);
    luaL_Buffer wire;
    luaL_buffinit(L, &wire);
    for (int i = 1; i <= count; i++) {
        size_t size = 0;
        lua_rawgeti(L, list, i);
        const char *name =
            lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
        if (!name || size == 0 || size > 255)
            call_error(L, "bad option 'alpn' (strings of 1 to 255 bytes "
                          "expected in the list)");
        char length = (char) size;
        lua_pushlstring(L, &length, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
        luaL_addvalue(&wire);
    }
    luaL_pushresult(&wire);
    value.data = lua_tolstring(L, -1, &value.size);
    return value;
}

static void check_settings(lua_State *L, const struct tls_settings *settings)
{
    int least = settings->min_version ? settings->min_version : 12;
    if (settings->max_version && settings->max_version < least)
        call_error(L,
                   "bad option 'max_version' (at least min_version, 1.%d, "
                   "expected)",
                   least - 10);
    if (settings->key.data && !settings->cert.data)
        call_error(L, "the option 'key' needs a 'cert'");
    if (settings->ocsp_response && !settings->cert.data)
        call_error(L, "the option 'ocsp_response' needs a 'cert'");
    if (settings->alpn.size > 65535)
        call_error(L, "bad option 'alpn' (too many names)");
}

/* Leaves the strings on the stack. */
static void read_settings(lua_State *L, int index,
                          struct tls_settings *settings)
{
    *settings = (struct tls_settings){
        .cert = string_option(L, index, "cert"),
        .key = string_option(L, index, "key"),
        .ca = string_option(L, index, "ca"),
        .password = string_option(L, index, "password"),
        .session = string_option(L, index, "session"),
        .alpn = alpn_option(L, index),
        .server_name = name_option(L, index),
        .ciphers = text_option(L, index, "ciphers"),
        .ciphersuites = text_option(L, index, "ciphersuites"),
        .keylog = text_option(L, index, "keylog"),
        .ocsp_response = text_option(L, index, "ocsp_response"),
        .ocsp = ocsp_option(L, index),
        .min_version = version_option(L, index, "min_version"),
        .max_version = version_option(L, index, "max_version"),
        .verify = verify_option(L, index),
    };
    check_settings(L, settings);
}

/* --- the userdata --------------------------------------------------------- */

struct lua_tls *lua_tls_test(lua_State *L, int index)
{
    struct lua_tls *box = lua_touserdata(L, index);
    if (!box || !lua_getmetatable(L, index))
        return NULL;
    luaL_getmetatable(L, CONTEXT_TYPE);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same && box->context ? box : NULL;
}

static int collect(lua_State *L)
{
    struct lua_tls *box = luaL_checkudata(L, 1, CONTEXT_TYPE);
    tls_context_release(box->context);
    context_release(box->caller);
    luaL_unref(L, LUA_REGISTRYINDEX, box->on_sni);
    *box = (struct lua_tls){.on_sni = LUA_NOREF};
    return 0;
}

/* Is it given? */
static bool keep_on_sni(lua_State *L, int index, struct lua_tls *box)
{
    lua_getfield(L, index, "on_sni");
    if (lua_isnil(L, -1))
        return false;
    if (!lua_isfunction(L, -1))
        call_error(L, "bad option 'on_sni' (a function expected, got %s)",
                   luaL_typename(L, -1));
    box->on_sni = luaL_ref(L, LUA_REGISTRYINDEX);
    box->caller = context_retain(context_current());
    return true;
}

int lua_tls_new(lua_State *L, int index)
{
    struct tls_settings settings = {0};
    struct tls_fault fault = {0};
    struct lua_tls *box = lua_newuserdata(L, sizeof *box);
    *box = (struct lua_tls){.on_sni = LUA_NOREF};
    luaL_getmetatable(L, CONTEXT_TYPE);
    lua_setmetatable(L, -2);
    int self = lua_gettop(L);
    luaL_checkstack(L, 2 * LUA_MINSTACK, "tls options");
    if (index) {
        read_settings(L, index, &settings);
        settings.asks = keep_on_sni(L, index, box);
        box->server = options_boolean(L, index, "server", false);
    }
    box->context = tls_context_get(&settings, &fault);
    lua_settop(L, self);
    if (box->context)
        return 0;
    lua_pushstring(L, fault.message);
    free(fault.message);
    lua_remove(L, self);
    return fault.error;
}

/* The `tls` value at `index`: see lua_tls_option. */
static int push_context(lua_State *L, int index, const char *name)
{
    static const char *const known[] = {TLS_OPTION_NAMES, NULL};
    if (!lua_toboolean(L, index)) {
        lua_pushnil(L);
        return 0;
    }
    if (lua_tls_test(L, index)) {
        lua_pushvalue(L, index);
        return 0;
    }
    if (lua_istable(L, index)) {
        char text[64];
        snprintf(text, sizeof text, "%s: tls", name);
        options_check(L, index, known, text);
        return lua_tls_new(L, index);
    }
    if (!lua_isboolean(L, index))
        call_error(L,
                   "bad option 'tls' (true, a table or a context expected, "
                   "got %s)",
                   luaL_typename(L, index));
    return lua_tls_new(L, 0);
}

int lua_tls_option(lua_State *L, int options, bool wanted, const char *name)
{
    if (options)
        lua_getfield(L, options, "tls");
    else
        lua_pushnil(L);
    if (wanted && !lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, true);
    }
    int error = push_context(L, lua_gettop(L), name);
    lua_remove(L, -2);
    return error;
}

void lua_tls_check_server(lua_State *L, const char *name)
{
    struct lua_tls *tls = lua_tls_test(L, -1);
    if (!tls_context_serves(tls->context) && tls->on_sni == LUA_NOREF)
        call_error(L, "%s: a TLS server needs a certificate (option 'cert')",
                   name);
}

/* weir.tls.context([options]) → context */
static int tls_context(lua_State *L)
{
    static const char *const known[] = {TLS_OPTION_NAMES, NULL};
    int options = argument_options(L, 1) ? 1 : 0;
    if (options)
        options_check(L, 1, known, "tls.context");
    int error = lua_tls_new(L, options);
    if (!error)
        return 1;
    lua_pushfstring(L, "tls.context: %s", lua_tostring(L, -1));
    return push_failure(L, error, lua_tostring(L, -1));
}

static int context_tostring(lua_State *L)
{
    struct lua_tls *box = luaL_checkudata(L, 1, CONTEXT_TYPE);
    lua_pushfstring(L, "weir.tls.context (%p)", (void *) box->context);
    return 1;
}

void lua_tls_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", collect}, {"__tostring", context_tostring}, {NULL, NULL}};
    lua_type_new(L, CONTEXT_TYPE, methods, metamethods);
    lua_pushcfunction(L, lua_tls_answer);
    lua_setfield(L, -3, "tls_answer");
    lua_getfield(L, -1, "tls");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, "tls");
    }
    lua_pushcfunction(L, tls_context);
    lua_setfield(L, -2, "context");
    lua_pop(L, 1);
}
