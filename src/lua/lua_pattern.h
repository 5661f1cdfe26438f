/* Compiled delimiters and regexes, cached by their text. */
#ifndef WEIR_LUA_PATTERN_H
#define WEIR_LUA_PATTERN_H

#include <lua.h>

struct pattern;

/* The delimiter, or list of delimiters, at `index`; raises. The cache keeps
 * the reference, at least until the next call. */
struct pattern *lua_pattern_delimiters(lua_State *L, int index);
struct pattern *lua_pattern_regex(lua_State *L, int index);

/* A single delimiter that was asked for lately, by its Lua string's address;
 * or NULL. */
struct pattern *lua_pattern_recent(const char *text);

#endif
