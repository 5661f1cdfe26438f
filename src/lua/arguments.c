#include "lua/arguments.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

static bool is_known(const char *key, const char *const known[])
{
    for (int i = 0; known[i]; i++)
        if (strcmp(key, known[i]) == 0)
            return true;
    return false;
}

/* "a, b, c", on the stack. */
static const char *push_names(lua_State *L, const char *const known[])
{
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (int i = 0; known[i]; i++) {
        luaL_addstring(&text, i > 0 ? ", " : "");
        luaL_addstring(&text, known[i]);
    }
    if (!known[0])
        luaL_addstring(&text, "none");
    luaL_pushresult(&text);
    return lua_tostring(L, -1);
}

void options_check(lua_State *L, int index, const char *const known[],
                   const char *name)
{
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING &&
            is_known(lua_tostring(L, -1), known))
            continue;
        lua_pushvalue(L, -1);
        const char *key =
            lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1);
        luaL_error(L, "%s: unknown option '%s' (known: %s)", name, key,
                   push_names(L, known));
    }
}

static bool get(lua_State *L, int index, const char *key)
{
    if (!index)
        return false;
    lua_getfield(L, index, key);
    if (!lua_isnil(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

static void wrong(lua_State *L, const char *key, const char *expected)
{
    luaL_error(L, "bad option '%s' (%s expected, got %s)", key, expected,
               lua_type(L, -1) == LUA_TNUMBER ? lua_tostring(L, -1)
                                              : luaL_typename(L, -1));
}

bool options_boolean(lua_State *L, int index, const char *key, bool fallback)
{
    if (!get(L, index, key))
        return fallback;
    if (!lua_isboolean(L, -1))
        wrong(L, key, "true or false");
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

double options_seconds(lua_State *L, int index, const char *key,
                       double fallback)
{
    if (!get(L, index, key))
        return fallback;
    double value = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(value >= 0))
        wrong(L, key, "seconds, 0 or more,");
    lua_pop(L, 1);
    return value;
}

/* Doubles hold whole numbers exactly up to 2^53. */
static bool whole(double value, uint64_t least, uint64_t most, uint64_t *out)
{
    if (!(value >= (double) least && value <= (double) most))
        return false;
    *out = (uint64_t) value;
    return (double) *out == value;
}

uint64_t options_whole(lua_State *L, int index, const char *key, uint64_t least,
                       uint64_t most, uint64_t fallback)
{
    uint64_t value = 0;
    if (!get(L, index, key))
        return fallback;
    if (lua_type(L, -1) != LUA_TNUMBER ||
        !whole(lua_tonumber(L, -1), least, most, &value))
        wrong(L, key,
              least > 0 ? "a positive whole number"
                        : "a whole number, 0 or more,");
    lua_pop(L, 1);
    return value;
}

const char *options_string(lua_State *L, int index, const char *key,
                           size_t *size)
{
    if (!get(L, index, key))
        return NULL;
    if (lua_type(L, -1) != LUA_TSTRING)
        wrong(L, key, "a string");
    return lua_tolstring(L, -1, size);
}

double argument_seconds(lua_State *L, int index)
{
    double value = luaL_checknumber(L, index);
    if (!(value >= 0))
        luaL_argerror(L, index, "seconds, 0 or more, expected");
    return value;
}

uint64_t argument_whole(lua_State *L, int index, uint64_t least, uint64_t most)
{
    uint64_t value = 0;
    if (!whole(luaL_checknumber(L, index), least, most, &value))
        luaL_argerror(L, index,
                      least > 0 ? "a positive whole number expected"
                                : "a whole number, 0 or more, expected");
    return value;
}

int argument_fd(lua_State *L, int index)
{
    return (int) argument_whole(L, index, 0, INT_MAX);
}
