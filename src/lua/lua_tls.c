/* TLS contexts in Lua: weir.tls.context, and what the option `tls` means. */
#include "lua/lua_tls.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/tls.h"
#include "lua/arguments.h"
#include "lua/lua_certificate.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

#define CONTEXT_TYPE "weir.tls.context"

struct lua_tls {
    struct tls_context *context;
    struct context *caller; /* who made it: on_sni runs in there */
    int on_sni;             /* registry reference, or LUA_NOREF */
    bool server;
};

/* --- options -------------------------------------------------------------- */

static struct tls_string string_option(lua_State *L, int index, const char *key)
{
    struct tls_string value = {NULL, 0};
    value.data = options_string(L, index, key, &value.size);
    return value;
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
static struct tls_string alpn_option(lua_State *L, int index)
{
    struct tls_string value = {NULL, 0};
    lua_getfield(L, index, "alpn");
    if (lua_isnil(L, -1))
        return value;
    if (!lua_istable(L, -1))
        call_error(L, "bad option 'alpn' (a list of strings expected, got %s)",
                   luaL_typename(L, -1));
    int list = lua_gettop(L), count = (int) lua_objlen(L, list);
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
    if (settings->ocsp_response.data && !settings->cert.data)
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
        .server_name = string_option(L, index, "server_name").data,
        .ciphers = string_option(L, index, "ciphers").data,
        .ciphersuites = string_option(L, index, "ciphersuites").data,
        .keylog = string_option(L, index, "keylog").data,
        .ocsp_response = string_option(L, index, "ocsp_response"),
        .ocsp = ocsp_option(L, index),
        .min_version = version_option(L, index, "min_version"),
        .max_version = version_option(L, index, "max_version"),
        .verify = verify_option(L, index),
    };
    check_settings(L, settings);
}

/* --- the userdata --------------------------------------------------------- */

static struct lua_tls *check_context(lua_State *L, int index)
{
    return luaL_checkudata(L, index, CONTEXT_TYPE);
}

/* NULL if the value is none. */
static struct lua_tls *test_context(lua_State *L, int index)
{
    void *box = lua_touserdata(L, index);
    if (!box || !lua_getmetatable(L, index))
        return NULL;
    luaL_getmetatable(L, CONTEXT_TYPE);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same ? box : NULL;
}

static int collect(lua_State *L)
{
    struct lua_tls *box = check_context(L, 1);
    tls_context_release(box->context);
    context_release(box->caller);
    luaL_unref(L, LUA_REGISTRYINDEX, box->on_sni);
    *box = (struct lua_tls){.on_sni = LUA_NOREF};
    return 0;
}

/* Pushes the context that the table of options at `index` (0: none) asks
 * for; or the message, returning the error. */
static int push_new(lua_State *L, int index)
{
    struct tls_settings settings = {0};
    struct tls_fault fault = {0};
    struct lua_tls *box = lua_newuserdata(L, sizeof *box);
    *box = (struct lua_tls){.on_sni = LUA_NOREF};
    luaL_getmetatable(L, CONTEXT_TYPE);
    lua_setmetatable(L, -2);
    int self = lua_gettop(L);
    luaL_checkstack(L, LUA_MINSTACK, "tls options");
    if (index) {
        box->server = options_boolean(L, index, "server", false);
        lua_getfield(L, index, "on_sni");
        settings.asks = !lua_isnil(L, -1);
        if (settings.asks && !lua_isfunction(L, -1))
            call_error(L, "bad option 'on_sni' (a function expected, got %s)",
                       luaL_typename(L, -1));
        bool asks = settings.asks;
        if (asks) {
            box->on_sni = luaL_ref(L, LUA_REGISTRYINDEX);
            box->caller = context_retain(context_current());
        }
        read_settings(L, index, &settings);
        settings.asks = asks;
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

#define TLS_OPTION_NAMES \
    "alpn", "ca", "cert", "ciphers", "ciphersuites", "key", "keylog", \
        "max_version", "min_version", "ocsp", "ocsp_response", "on_sni", \
        "password", "server", "server_name", "session", "verify"

int lua_tls_push(lua_State *L, int index, const char *name)
{
    static const char *const known[] = {TLS_OPTION_NAMES, NULL};
    if (!lua_toboolean(L, index)) {
        lua_pushnil(L);
        return 0;
    }
    if (test_context(L, index)) {
        lua_pushvalue(L, index);
        return 0;
    }
    if (lua_istable(L, index)) {
        char text[64];
        snprintf(text, sizeof text, "%s: tls", name);
        options_check(L, index, known, text);
        return push_new(L, index);
    }
    if (!lua_isboolean(L, index))
        call_error(L,
                   "bad option 'tls' (true, a table or a context expected, "
                   "got %s)",
                   luaL_typename(L, index));
    return push_new(L, 0);
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
    int error = lua_tls_push(L, lua_gettop(L), name);
    lua_remove(L, -2);
    return error;
}

void lua_tls_check_server(lua_State *L, const char *name)
{
    struct lua_tls *tls = check_context(L, -1);
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
    int error = push_new(L, options);
    if (!error)
        return 1;
    lua_pushfstring(L, "tls.context: %s", lua_tostring(L, -1));
    return push_failure(L, error, lua_tostring(L, -1));
}

static int context_tostring(lua_State *L)
{
    struct lua_tls *box = check_context(L, 1);
    lua_pushfstring(L, "weir.tls.context (%p)", (void *) box->context);
    return 1;
}

/* --- streams -------------------------------------------------------------- */

void lua_tls_set(lua_State *L, struct lua_stream *box)
{
    luaL_unref(L, LUA_REGISTRYINDEX, box->tls);
    box->tls = luaL_ref(L, LUA_REGISTRYINDEX);
}

static struct lua_tls *context_of(const struct lua_stream *box)
{
    lua_State *L = task_state();
    lua_rawgeti(L, LUA_REGISTRYINDEX, box->tls);
    struct lua_tls *tls = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return tls;
}

void lua_tls_check_client(lua_State *L, const struct lua_stream *box,
                          const char *name)
{
    if (box->tls == LUA_NOREF)
        return;
    struct tls_context *context = context_of(box)->context;
    if (!box->host && !tls_context_server_name(context) &&
        tls_context_verifies(context))
        call_error(L,
                   "%s: whom to expect is not known: give TLS a "
                   "'server_name' to verify, or verify = false",
                   name);
}

struct transport *lua_tls_client(struct lua_stream *box, int fd,
                                 const char *address)
{
    struct tls_context *context = context_of(box)->context;
    const char *name = tls_context_server_name(context);
    box->shaking = true;
    if (!name)
        name = box->host;
    char *key = memory_format("%s %s", name ? name : "", address);
    struct tls_peer peer = {.name = name, .session_key = key};
    struct transport *transport = tls_client(context, fd, &peer);
    free(key);
    return transport;
}

struct transport *lua_tls_server(struct lua_stream *box, int fd,
                                 const char *read, size_t size)
{
    struct tls_peer peer = {.read = read, .read_size = size};
    box->shaking = true;
    return tls_server(context_of(box)->context, fd, &peer);
}

void lua_tls_done(struct lua_stream *box)
{
    box->shaking = false;
    luaL_unref(task_state(), LUA_REGISTRYINDEX, box->tls);
    box->tls = LUA_NOREF;
}

/* --- on_sni --------------------------------------------------------------- */

/* It raised, or the stream was closed while it ran: nobody waits then. */
static void chooser_ended(void *owner, bool raised)
{
    struct stream *stream = owner;
    if (raised && stream->phase == STREAM_HANDSHAKE) {
        tls_answer(stream->transport, NULL, true);
        stream_handshake_answered(stream);
    }
    stream_release(stream);
}

/* events->asked: lua/weir/tls.lua's choose calls on_sni(name), which may wait,
 * and then core.tls_answer. */
void lua_tls_asked(struct stream *stream)
{
    struct lua_stream *box = stream->owner;
    struct lua_tls *tls = context_of(box);
    lua_State *L = task_state();
    lua_getfield(L, LUA_REGISTRYINDEX, "weir.core");
    lua_getfield(L, -1, "tls_choose");
    lua_remove(L, -2);
    lua_stream_push_box(L, box);
    lua_rawgeti(L, LUA_REGISTRYINDEX, tls->on_sni);
    lua_pushstring(L, tls_asked_name(stream->transport));
    context_enter(tls->caller);
    struct task *task = task_start(L, 3, NULL, false);
    context_enter(NULL);
    task_on_end(task, chooser_ended, stream_retain(stream));
}

/* core.tls_answer(stream, context or nil) */
static int core_tls_answer(lua_State *L)
{
    struct stream *stream = lua_stream_check(L, 1)->stream;
    struct lua_tls *chosen = NULL;
    if (lua_toboolean(L, 2)) {
        chosen = test_context(L, 2);
        if (!chosen)
            call_error(L,
                       "on_sni: a context (weir.tls.context) or nil "
                       "expected, got %s",
                       luaL_typename(L, 2));
    }
    if (stream->phase != STREAM_HANDSHAKE)
        return 0;
    tls_answer(stream->transport, chosen ? chosen->context : NULL, false);
    stream_handshake_answered(stream);
    return 0;
}

/* --- start_tls ------------------------------------------------------------ */

static void cancel_start(struct operation *op)
{
    struct lua_stream *box = op->object;
    box->ready = NULL;
    stream_abort(box->stream);
}

static const struct operation_class start_class = {
    "start_tls", cancel_start, lua_stream_operation_target, false};

static void check_start(lua_State *L, const struct lua_stream *box)
{
    const struct stream *stream = box->stream;
    if (box->ready)
        call_error(L, "start_tls: %s is still under way",
                   box->ready->class->name);
    if (stream->phase == STREAM_CONNECTING || stream->phase == STREAM_HANDSHAKE)
        call_error(L, "start_tls: the stream is still being connected");
    if (stream->reading || stream->view)
        call_error(L, "start_tls: a read is pending (%s)",
                   box->read ? box->read->class->name : "copy_to");
    if (stream->next || tls_is(stream->transport))
        call_error(L, "start_tls: the stream is encrypted already");
}

/* What was said in the clear must not count as said under protection. */
static int refuse_injected(lua_State *L, struct lua_stream *box,
                           struct call *call)
{
    char target[200];
    size_t length = buffer_length(&box->stream->input);
    lua_stream_target(box, target, sizeof target);
    lua_pushfstring(L,
                    "start_tls %s: %d bytes came in the clear that nobody has "
                    "read: they are not to be trusted",
                    target, (int) length);
    stream_fail(box->stream, EPROTO, lua_tostring(L, -1));
    return call_fail(L, call, EPROTO, lua_tostring(L, -1));
}

static struct transport *start_transport(struct lua_stream *box, bool server)
{
    struct stream *stream = box->stream;
    int fd = stream->transport->fd;
    size_t length = buffer_length(&stream->input);
    if (!server)
        return lua_tls_client(box, fd, box->peer ? box->peer : "");
    return lua_tls_server(
        box, fd, length > 0 ? buffer_data(&stream->input) : "", length);
}

/* `timeout` is the call's, the rest are TLS's: pushes its context. */
static int push_start_context(lua_State *L, struct call *call)
{
    static const char *const known[] = {TLS_OPTION_NAMES, "timeout", NULL};
    if (test_context(L, 2)) {
        lua_pushvalue(L, 2);
        lua_remove(L, 2);
        lua_insert(L, 2);
        call_parse(L, call, 3, known, "start_tls");
        lua_pushvalue(L, 2);
        return 0;
    }
    call_parse(L, call, 2, known, "start_tls");
    return push_new(L, call->options);
}

/* stream:start_tls([options], [callback]) → stream */
static int stream_start_tls(lua_State *L)
{
    struct lua_stream *box = lua_stream_check(L, 1);
    struct stream *stream = box->stream;
    struct call call;
    check_start(L, box);
    int error = push_start_context(L, &call);
    call.stream = stream;
    if (error) {
        lua_pushfstring(L, "start_tls: %s", lua_tostring(L, -1));
        return call_fail(L, &call, error, lua_tostring(L, -1));
    }
    bool server = check_context(L, -1)->server;
    if (server)
        lua_tls_check_server(L, "start_tls");
    lua_tls_set(L, box);
    if (!server)
        lua_tls_check_client(L, box, "start_tls");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    error = stream_may_write(stream, 0);
    if (!error)
        error = stream->input_error;
    if (error)
        return lua_stream_call_fail(L, &call, box, error);
    if (!server && buffer_length(&stream->input) > 0)
        return refuse_injected(L, box, &call);
    lua_stream_keep(L, box, 1);
    stream_handshake(stream, start_transport(box, server));
    box->ready = call_wait(L, &call, &start_class, box->timeout);
    box->ready->object = box;
    if (stream->unref)
        operation_unref(box->ready, true);
    return call_suspend(L, &call, 1);
}

/* --- tls_info ------------------------------------------------------------- */

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

void lua_tls_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {{"start_tls", stream_start_tls},
                                       {"tls_info", stream_tls_info},
                                       {NULL, NULL}};
    luaL_setfuncs(L, methods, 0);
}

void lua_tls_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", collect}, {"__tostring", context_tostring}, {NULL, NULL}};
    lua_type_new(L, CONTEXT_TYPE, methods, metamethods);
    lua_pushcfunction(L, core_tls_answer);
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
