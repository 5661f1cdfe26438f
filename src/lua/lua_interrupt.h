/* require "weir.interrupt": SIGINT as an error, for the REPL. Not public. */
#ifndef WEIR_LUA_INTERRUPT_H
#define WEIR_LUA_INTERRUPT_H

#include <lua.h>

int luaopen_weir_interrupt(lua_State *L);

#endif
