/* weir's Lua modules (lua/), which the binary carries as bytecode. */
#ifndef WEIR_LUA_MODULES_H
#define WEIR_LUA_MODULES_H

#include <lua.h>

/* Makes `require` find them, before anything on package.path. With the
 * environment's WEIR_LUA_PATH=lua they come from that directory instead, for
 * those who edit them. */
void lua_modules_open(lua_State *L);

#endif
