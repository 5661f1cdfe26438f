#ifndef WEIR_LUA_INTERRUPT_H
#define WEIR_LUA_INTERRUPT_H

#include <lua.h>

int luaopen_weir_interrupt(lua_State *L);

#endif
