/* The handshakes of streams: their contexts, the transports that are made of
 * those, and what a server's on_sni is asked meanwhile. */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/memory.h"
#include "event/trace.h"
#include "io/tls.h"
#include "lua/arguments.h"
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
