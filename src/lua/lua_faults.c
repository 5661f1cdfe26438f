#include "lua/lua_faults.h"

#include <lauxlib.h>

#include "io/faults.h"
#include "lua/arguments.h"
#include "lua/lua_stream.h"

/* faults.wrap(stream, options) → stream: an open one, from here on with the
 * faults that io/faults.h describes. */
static int faults_wrap(lua_State *L)
{
    static const char *const known[] = {"join", "most", "reset_after",
                                        "seed", "wait", NULL};
    struct lua_stream *box = lua_stream_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    options_check(L, 2, known, "faults.wrap");
    struct faults_options options = {
        .seed = options_whole(L, 2, "seed", 0, WHOLE_MOST, 0),
        .most = options_whole(L, 2, "most", 0, WHOLE_MOST, 0),
        .wait = (unsigned) options_whole(L, 2, "wait", 0, 1000000, 0),
        .reset_after = options_whole(L, 2, "reset_after", 0, WHOLE_MOST, 0),
        .join = options_boolean(L, 2, "join", false),
    };
    struct stream *stream = box->stream;
    if (stream->phase != STREAM_OPEN)
        return luaL_error(L, "faults.wrap: an open stream expected");
    stream_wrap(stream, faults_new(stream->transport, &options));
    lua_settop(L, 1);
    return 1;
}

int luaopen_weir_faults(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, faults_wrap);
    lua_setfield(L, -2, "wrap");
    return 1;
}
