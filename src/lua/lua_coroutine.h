/* Coroutines that scripts make, seen from the operations inside them. */
#ifndef WEIR_LUA_COROUTINE_H
#define WEIR_LUA_COROUTINE_H

#include <lua.h>
#include <stdbool.h>

/* May a wait in L, a coroutine in the running task or its own thread, be
 * passed outward to the task? Not if a C call lies between. */
bool lua_coroutine_may_wait(lua_State *L);

/* What lies between, such as "'sort' at x.lua:3", on the stack; NULL if
 * that is not known. */
const char *lua_coroutine_blocked_by(lua_State *L);

/* The coroutine that `outer`, suspended, passes a wait on for; or NULL. */
lua_State *lua_coroutine_waiting_in(lua_State *outer);

/* The earliest deadline (weir.deadline) that holds for an operation in L, in
 * loop_clock's seconds; 0: none. */
double lua_coroutine_deadline(lua_State *L);

#endif
