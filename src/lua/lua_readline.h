/* require "weir.readline": line editing for the REPL. Not public. */
#ifndef WEIR_LUA_READLINE_H
#define WEIR_LUA_READLINE_H

#include <lua.h>

int luaopen_weir_readline(lua_State *L);

#endif
