/* require "weir.faults": a worse network, for specs. Not public. */
#ifndef WEIR_LUA_FAULTS_H
#define WEIR_LUA_FAULTS_H

#include <lua.h>

int luaopen_weir_faults(lua_State *L);

#endif
