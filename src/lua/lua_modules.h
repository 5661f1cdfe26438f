/* weir's Lua modules (lua/), which the binary carries as bytecode. */
#ifndef WEIR_LUA_MODULES_H
#define WEIR_LUA_MODULES_H

#include <lua.h>

/* Makes `require` find them, before anything on package.path. With the
 * environment's WEIR_LUA_PATH=lua they come from that directory instead, for
 * those who edit them. */
void lua_modules_open(lua_State *L);

/* Pushes the chunk of the module `name`, such as "weir.repl", to be called;
 * raises if it cannot be loaded. */
void lua_modules_load(lua_State *L, const char *name);

#endif
