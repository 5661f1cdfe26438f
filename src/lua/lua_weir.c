/* The table `weir`: the C parts first, then the built-in Lua modules. */
#include <lauxlib.h>

#include "lua/lua_modules.h"
#include "lua/modules.h"

void lua_type_new(lua_State *L, const char *name, const luaL_Reg *methods,
                  const luaL_Reg *metamethods)
{
    luaL_newmetatable(L, name);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    luaL_setfuncs(L, metamethods, 0);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pop(L, 1);
}

static void (*const parts[])(lua_State *) = {
    lua_host_open,    lua_context_open,   lua_task_open,
    lua_stream_open,  lua_listener_open,  lua_activation_open,
    lua_resolve_open, lua_timer_open,     lua_signal_open,
    lua_udp_open,     lua_watch_open,     lua_queue_open,
    lua_group_open,   lua_coroutine_open, lua_certificate_open,
    lua_process_open, lua_stdio_open,     lua_tls_open,
    lua_fast_open,    lua_trace_open,
};

/* Each is a chunk that is called with weir and core. */
static const char *const lua_parts[] = {
    "weir.fast",        "weir.coroutine", "weir.channel",
    "weir.deadline",    "weir.stream",    "weir.frame",
    "weir.certificate", "weir.tls",       NULL};

void weir_open(lua_State *L)
{
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "weir.core");
    lua_newtable(L);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        parts[i](L);
    for (int i = 0; lua_parts[i]; i++) {
        lua_modules_load(L, lua_parts[i]);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -4);
        lua_call(L, 2, 0);
    }
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "weir");
    lua_pop(L, 2);
    lua_setglobal(L, "weir");
    lua_pop(L, 1);
}
