/* The parts of the Lua surface, and the order in which they open. */
#ifndef WEIR_MODULES_H
#define WEIR_MODULES_H

#include <lauxlib.h>
#include <lua.h>

/* Makes the global `weir`, which is also `require "weir"`. */
void weir_open(lua_State *L);

/* A metatable in the registry: `methods` are its __index. */
void lua_type_new(lua_State *L, const char *name, const luaL_Reg *methods,
                  const luaL_Reg *metamethods);

/* Each is called with the table of what only weir's own Lua modules use at
 * -2 and the public one at -1, and leaves the stack as it was. */
void lua_host_open(lua_State *L);
void lua_context_open(lua_State *L);
void lua_task_open(lua_State *L);
void lua_stream_open(lua_State *L);
void lua_listener_open(lua_State *L);
void lua_activation_open(lua_State *L);
void lua_resolve_open(lua_State *L);
void lua_udp_open(lua_State *L);
void lua_timer_open(lua_State *L);
void lua_signal_open(lua_State *L);
void lua_watch_open(lua_State *L);
void lua_queue_open(lua_State *L);
void lua_group_open(lua_State *L);
void lua_coroutine_open(lua_State *L);
void lua_fast_open(lua_State *L);
void lua_certificate_open(lua_State *L);
void lua_process_open(lua_State *L);
void lua_stdio_open(lua_State *L);
void lua_tls_open(lua_State *L);
void lua_trace_open(lua_State *L);

#endif
