/* What few streams have in Lua: made when it is first needed, and given up when
 * nothing is left in it. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "lua/lua_stream.h"

/* The one of all streams that have nothing. */
static const struct lua_rare none = {.connect_timeout = -1, .tls = LUA_NOREF};

void lua_stream_rare_begin(struct lua_stream *box)
{
    box->rare = &none;
}

struct lua_rare *lua_stream_have_rare(struct lua_stream *box)
{
    if (box->rare == &none) {
        struct lua_rare *rare = memory_new(sizeof *rare);
        *rare = none;
        box->rare = rare;
    }
    return (struct lua_rare *) box->rare;
}

static bool is_used(const struct lua_rare *rare)
{
    return rare->ready || rare->connecting || rare->host || rare->source ||
           rare->peer || rare->connect_timeout >= 0 || rare->listener ||
           rare->pair || rare->close_context || rare->tls != LUA_NOREF ||
           rare->shaking;
}

static void free_rare(struct lua_stream *box)
{
    struct lua_rare *rare = (struct lua_rare *) box->rare;
    box->rare = &none;
    if (rare == &none)
        return;
    free(rare->host);
    free(rare->source);
    free(rare->peer);
    context_release(rare->close_context);
    luaL_unref(task_state(), LUA_REGISTRYINDEX, rare->tls);
    free(rare);
}

void lua_stream_rare_trim(struct lua_stream *box)
{
    if (!is_used(box->rare))
        free_rare(box);
}

void lua_stream_rare_end(struct lua_stream *box)
{
    lua_stream_unpair(box);
    free_rare(box);
}

/* A unix socket that is not bound has no name to be called by. */
const char *lua_stream_name(const char *peer)
{
    return peer && strcmp(peer, "unix:") != 0 ? peer : "";
}

void lua_stream_set_peer(struct lua_stream *box, const char *peer)
{
    const char *name = lua_stream_name(peer);
    box->first_peer[0] = '\0';
    if (!*name && !box->rare->peer)
        return;
    struct lua_rare *rare = lua_stream_have_rare(box);
    free(rare->peer);
    rare->peer = *name ? memory_copy(name, strlen(name)) : NULL;
}

const char *lua_stream_peer(const struct lua_stream *box)
{
    if (box->rare->peer)
        return box->rare->peer;
    return box->first_peer[0] ? box->first_peer : NULL;
}

void lua_stream_pair(struct lua_stream *a, struct lua_stream *b)
{
    lua_stream_have_rare(a)->pair = b;
    lua_stream_have_rare(b)->pair = a;
}

struct lua_stream *lua_stream_unpair(struct lua_stream *box)
{
    struct lua_stream *other = box->rare->pair;
    if (!other)
        return NULL;
    lua_stream_have_rare(other)->pair = NULL;
    lua_stream_have_rare(box)->pair = NULL;
    return other;
}

void lua_stream_set_close_context(struct lua_stream *box,
                                  struct context *context)
{
    if (!context && !box->rare->close_context)
        return;
    struct lua_rare *rare = lua_stream_have_rare(box);
    context_release(rare->close_context);
    rare->close_context = context;
}
