/* Checking what a Lua caller gave: every mistake raises at the caller's line
 * and says what was expected. */
#ifndef WEIR_ARGUMENTS_H
#define WEIR_ARGUMENTS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Doubles hold whole numbers exactly up to 2^53: the most that is asked for. */
#define WHOLE_MOST ((uint64_t) 1 << 53)

/* Raise at the script's line: the first one below the C function that is
 * neither in C nor in weir's own Lua. So what Lua code of weir calls blames its
 * caller, and a tail call in a pcall still has a line. */
int call_error(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* What luaL_argerror does, that way; without the number where weir's own Lua
 * may have passed the argument at another one. */
int argument_error(lua_State *L, int index, const char *message);
/* Raises if what the userdata at `index` stands for is NULL: finalizers still
 * reach what has been finalized before them. */
void argument_live(lua_State *L, int index, const void *object);
/* Raises unless the argument is a table or there is none; is it there? */
bool argument_options(lua_State *L, int index);

/* Raises for a key of the table at `index` that is not among `known` (ends
 * with NULL), naming it and them. */
void options_check(lua_State *L, int index, const char *const known[],
                   const char *name);

/* One option of the table at `index` (0: no table); `fallback` if absent. */
bool options_boolean(lua_State *L, int index, const char *key, bool fallback);
/* Seconds ≥ 0; math.huge is allowed. */
double options_seconds(lua_State *L, int index, const char *key,
                       double fallback);
/* A whole number from `least` to `most`. */
uint64_t options_whole(lua_State *L, int index, const char *key, uint64_t least,
                       uint64_t most, uint64_t fallback);
/* Leaves the string on the stack, for the caller to pop; NULL and nothing
 * pushed if absent. */
const char *options_string(lua_State *L, int index, const char *key,
                           size_t *size);

/* Arguments: seconds ≥ 0; a whole number from `least` to `most`. */
double argument_seconds(lua_State *L, int index);
uint64_t argument_whole(lua_State *L, int index, uint64_t least, uint64_t most);
bool argument_boolean(lua_State *L, int index);
/* What luaL_checktype does, that way. */
void argument_type(lua_State *L, int index, int type);
/* Raises unless the table at `index`, an absolute one, has nothing but its
 * `count` first items (and `n`, as table.pack sets it): what stands behind a
 * nil would be lost in silence. */
void argument_list(lua_State *L, int index, int count, const char *name);
/* A descriptor number. */
int argument_fd(lua_State *L, int index);

#endif
