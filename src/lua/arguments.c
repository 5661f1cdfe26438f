#include "lua/arguments.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

/* --- raising -------------------------------------------------------------- */

/* Is the function at `level` written in Lua, by a script (what 'L') or by
 * weir ('W')? 'C' if it is in C, 0 if there is none. */
static char kind_at(lua_State *L, int level)
{
    lua_Debug frame;
    if (!lua_getstack(L, level, &frame) || !lua_getinfo(L, "S", &frame))
        return 0;
    if (strcmp(frame.what, "C") == 0)
        return 'C';
    return strncmp(frame.source, "@lua/weir/", 10) == 0 ? 'W' : 'L';
}

int call_error(lua_State *L, const char *format, ...)
{
    va_list values;
    int level = 1;
    while (kind_at(L, level) == 'W' || kind_at(L, level) == 'C')
        level++;
    luaL_where(L, level);
    va_start(values, format);
    lua_pushvfstring(L, format, values);
    va_end(values);
    lua_concat(L, 2);
    return lua_error(L);
}

/* The key in the table on top of the stack under which it has the function at
 * `function`; NULL if it has none, or is no table. */
static const char *find_key(lua_State *L, int function)
{
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_istable(L, table) && lua_next(L, table)) {
        if (lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING)
            return lua_tostring(L, -2);
        lua_pop(L, 1);
    }
    return NULL;
}

/* The name under which the first argument, or `weir`, has the function of
 * `frame`: after a tail call the debug information does not say. */
static const char *find_name(lua_State *L, lua_Debug *frame, bool *method)
{
    lua_getinfo(L, "f", frame);
    int function = lua_gettop(L);
    *method = luaL_getmetafield(L, 1, "__index") && lua_isuserdata(L, 1);
    if (!*method)
        lua_getglobal(L, "weir");
    const char *name = find_key(L, function);
    if (!name && *method) {
        lua_getfield(L, LUA_REGISTRYINDEX, "weir.core");
        lua_getfield(L, -1, "methods_in_c");
        name = find_key(L, function);
    }
    *method = *method && name;
    return name ? name : "?";
}

int argument_error(lua_State *L, int index, const char *message)
{
    lua_Debug frame;
    int level = 0;
    while (kind_at(L, level + 1) == 'W')
        level++;
    lua_getstack(L, level, &frame);
    lua_getinfo(L, "n", &frame);
    bool method = frame.name && strcmp(frame.namewhat, "method") == 0;
    const char *name = frame.name ? frame.name : find_name(L, &frame, &method);
    if (level > 0)
        return call_error(L, "bad argument to '%s' (%s)", name, message);
    return call_error(L, "bad argument #%d to '%s' (%s)",
                      method ? index - 1 : index, name, message);
}

void argument_live(lua_State *L, int index, const void *object)
{
    if (!object)
        argument_error(L, index, "it has been collected");
}

/* --- options -------------------------------------------------------------- */

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
        call_error(L, "%s: unknown option '%s' (known: %s)", name, key,
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
    call_error(L, "bad option '%s' (%s expected, got %s)", key, expected,
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

static bool whole(double value, uint64_t least, uint64_t most, uint64_t *out)
{
    if (!(value >= (double) least && value <= (double) most))
        return false;
    *out = (uint64_t) value;
    return (double) *out == value;
}

/* What a number should have been, on the stack. */
static const char *push_range(lua_State *L, uint64_t least, uint64_t most)
{
    if (most <= 65536)
        return lua_pushfstring(L, "a whole number from %d to %d", (int) least,
                               (int) most);
    return lua_pushfstring(L, least > 0 ? "a positive whole number"
                                        : "a whole number, 0 or more,");
}

uint64_t options_whole(lua_State *L, int index, const char *key, uint64_t least,
                       uint64_t most, uint64_t fallback)
{
    uint64_t value = 0;
    if (!get(L, index, key))
        return fallback;
    if (lua_type(L, -1) != LUA_TNUMBER ||
        !whole(lua_tonumber(L, -1), least, most, &value)) {
        const char *expected = push_range(L, least, most);
        lua_pushvalue(L, -2);
        wrong(L, key, expected);
    }
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

/* --- arguments ------------------------------------------------------------ */

double argument_seconds(lua_State *L, int index)
{
    static const char expected[] = "seconds, 0 or more, expected";
    if (lua_type(L, index) != LUA_TNUMBER) {
        lua_pushfstring(L, "%s, got %s", expected, luaL_typename(L, index));
        argument_error(L, index, lua_tostring(L, -1));
    }
    double value = lua_tonumber(L, index);
    if (!(value >= 0))
        argument_error(L, index, expected);
    return value;
}

uint64_t argument_whole(lua_State *L, int index, uint64_t least, uint64_t most)
{
    uint64_t value = 0;
    bool number = lua_type(L, index) == LUA_TNUMBER;
    if (number && whole(lua_tonumber(L, index), least, most, &value))
        return value;
    /* Before anything is pushed, which could take a missing one's place. */
    const char *got = luaL_typename(L, index);
    lua_pushfstring(L, number ? "%s expected" : "%s expected, got %s",
                    push_range(L, least, most), got);
    argument_error(L, index, lua_tostring(L, -1));
    return 0;
}

bool argument_boolean(lua_State *L, int index)
{
    if (!lua_isboolean(L, index))
        argument_error(L, index, "true or false expected");
    return lua_toboolean(L, index);
}

void argument_type(lua_State *L, int index, int type)
{
    if (lua_type(L, index) == type)
        return;
    lua_pushfstring(L, "%s expected, got %s", lua_typename(L, type),
                    luaL_typename(L, index));
    argument_error(L, index, lua_tostring(L, -1));
}

bool argument_options(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return false;
    if (!lua_istable(L, index))
        argument_error(L, index, "options (a table) expected");
    return true;
}

int argument_fd(lua_State *L, int index)
{
    return (int) argument_whole(L, index, 0, INT_MAX);
}

void argument_list(lua_State *L, int index, int count, const char *name)
{
    luaL_checkstack(L, 4, name);
    if (count > 0)
        lua_pushinteger(L, count);
    else
        lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TNUMBER)
            call_error(L, "%s: nil at %d of the list", name, count + 1);
        if (lua_type(L, -1) != LUA_TSTRING ||
            strcmp(lua_tostring(L, -1), "n") != 0)
            call_error(L, "%s: a list expected, got a table with the key %s",
                       name,
                       lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
                                                      : luaL_typename(L, -1));
    }
}
