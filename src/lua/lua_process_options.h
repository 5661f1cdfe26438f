/* What weir.process is told: the command, and how to start it. */
#ifndef WEIR_LUA_PROCESS_OPTIONS_H
#define WEIR_LUA_PROCESS_OPTIONS_H

#include <lua.h>

#include "io/spawn.h"

/* Fills in `*spawn` from the list at `argv` and the table at `options` (nil:
 * none), and raises for what is wrong in them. It points to what this pushes
 * on the stack: it is good until the caller returns. */
void lua_process_options(lua_State *L, int argv, int options,
                         struct spawn *spawn);

#endif
