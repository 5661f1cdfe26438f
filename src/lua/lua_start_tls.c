/* Streams and TLS: the transports that they get, stream:start_tls, what
 * on_sni is asked, stream:tls_info. */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "event/trace.h"
#include "io/tls.h"
#include "lua/arguments.h"
#include "lua/lua_certificate.h"
#include "lua/lua_listener.h"
#include "lua/lua_tls.h"

void lua_tls_set(lua_State *L, struct lua_stream *box)
{
    struct lua_rare *rare = lua_stream_have_rare(box);
    luaL_unref(L, LUA_REGISTRYINDEX, rare->tls);
    rare->tls = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* A listener keeps the one of its connections as long as one shakes hands. */
static struct lua_tls *context_of(const struct lua_stream *box)
{
    const struct lua_rare *rare = box->rare;
    lua_State *L = task_state();
    lua_rawgeti(L, LUA_REGISTRYINDEX,
                rare->listener ? rare->listener->tls : rare->tls);
    struct lua_tls *tls = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return tls;
}

void lua_tls_check_client(lua_State *L, const struct lua_stream *box,
                          const char *name)
{
    if (box->rare->tls == LUA_NOREF)
        return;
    struct tls_context *context = context_of(box)->context;
    if (!box->rare->host && !tls_context_server_name(context) &&
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
    lua_stream_have_rare(box)->shaking = true;
    if (!name)
        name = box->rare->host;
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
    lua_stream_have_rare(box)->shaking = true;
    return tls_server(context_of(box)->context, fd, &peer);
}

void lua_tls_trace(struct lua_stream *box, int error)
{
    struct tls_info info;
    struct stream *stream = box->stream;
    if (!box->rare->shaking)
        return;
    if (error || !tls_get_info(stream->transport, &info)) {
        trace_stream_error(stream, '*', "tls handshake failed", error);
        return;
    }
    trace_stream(stream, '*', "tls handshake done: %s, %s%s%.*s%s%s%s%s%s%s",
                 info.version, info.cipher, info.alpn ? ", alpn " : "",
                 (int) info.alpn_size, info.alpn ? info.alpn : "",
                 info.server_name ? ", name " : "",
                 info.server_name ? info.server_name : "",
                 info.resumed ? ", resumed" : "",
                 info.verified ? ", peer verified" : "",
                 info.verify_error ? ", peer not verified: " : "",
                 info.verify_error ? info.verify_error : "");
}

void lua_tls_done(struct lua_stream *box)
{
    if (!box->rare->shaking && box->rare->tls == LUA_NOREF)
        return;
    struct lua_rare *rare = lua_stream_have_rare(box);
    rare->shaking = false;
    luaL_unref(task_state(), LUA_REGISTRYINDEX, rare->tls);
    rare->tls = LUA_NOREF;
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
    struct lua_stream *box = stream_owner(stream);
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
int lua_tls_answer(lua_State *L)
{
    struct stream *stream = lua_stream_check(L, 1)->stream;
    struct lua_tls *chosen = NULL;
    if (lua_toboolean(L, 2)) {
        chosen = lua_tls_test(L, 2);
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

static void abandon_start(void *object, int error, const char *message)
{
    struct lua_stream *box = object;
    lua_stream_have_rare(box)->ready = NULL;
    stream_abort_for(box->stream, error, message);
}

static const struct operation_class start_class = {
    .name = "start_tls",
    .abandon = abandon_start,
    .describe = lua_stream_operation_target,
    .of_stream = true};

static void check_start(lua_State *L, const struct lua_stream *box)
{
    const struct stream *stream = box->stream;
    if (box->rare->ready)
        call_error(L, "start_tls: %s is still under way",
                   box->rare->ready->class->name);
    if (stream->phase == STREAM_CONNECTING || stream->phase == STREAM_HANDSHAKE)
        call_error(L, "start_tls: the stream is still being connected");
    if (stream->reading || stream->result)
        call_error(L, "start_tls: a read is pending (%s)",
                   box->read ? box->read->class->name : "copy_to");
    if (stream->rare->next || tls_is(stream->transport))
        call_error(L, "start_tls: the stream is encrypted already");
}

/* What was said in the clear must not count as said under protection. */
static int refuse_injected(lua_State *L, struct lua_stream *box,
                           struct call *call)
{
    char text[32];
    size_t length = buffer_length(&box->stream->input);
    const char *target = lua_stream_target(box, text, sizeof text);
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
    const char *peer = lua_stream_peer(box);
    if (!server)
        return lua_tls_client(box, fd, peer ? peer : "");
    return lua_tls_server(
        box, fd, length > 0 ? buffer_data(&stream->input) : "", length);
}

void lua_tls_begin(lua_State *L, struct lua_stream *box)
{
    if (box->rare->tls == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, box->rare->tls);
    bool server = lua_tls_test(L, -1)->server;
    if (server)
        lua_tls_check_server(L, "stream");
    else
        lua_tls_check_client(L, box, "stream");
    lua_pop(L, 1);
    lua_stream_keep(L, box, lua_gettop(L));
    stream_handshake(box->stream, start_transport(box, server));
}

/* `timeout` is the call's, the rest are TLS's: pushes its context. */
static int push_start_context(lua_State *L, struct call *call)
{
    static const char *const known[] = {TLS_OPTION_NAMES, "timeout", NULL};
    static const char *const timeout_alone[] = {"timeout", NULL};
    if (lua_tls_test(L, 2)) {
        call_parse(L, call, 3, timeout_alone, "start_tls");
        lua_pushvalue(L, 2);
        return 0;
    }
    call_parse(L, call, 2, known, "start_tls");
    return lua_tls_new(L, call->options);
}

/* stream:start_tls([options], [callback]) → stream, or
 * stream:start_tls(context, [options], [callback]) */
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
    bool server = lua_tls_test(L, -1)->server;
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
    struct operation *op = call_wait(L, &call, &start_class, box->timeout);
    op->object = box;
    lua_stream_have_rare(box)->ready = op;
    lua_stream_hold(box, op);
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
