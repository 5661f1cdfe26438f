/* What was raised, in words. It may be anything, and what it says of itself may
 * raise in its turn. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "lua/task_internal.h"

#define MOST_FIELDS 8
#define MOST_TEXT 512

/* The value on top of L, after `text`, which has `used` bytes. */
static size_t add_value(lua_State *L, char *text, size_t used)
{
    char *to = text + used;
    size_t left = MOST_TEXT - used;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
        snprintf(to, left, "\"%.60s\"", lua_tostring(L, -1));
        break;
    case LUA_TNUMBER:
        snprintf(to, left, "%.14g", lua_tonumber(L, -1));
        break;
    case LUA_TBOOLEAN:
        snprintf(to, left, "%s", lua_toboolean(L, -1) ? "true" : "false");
        break;
    default:
        snprintf(to, left, "a %s", luaL_typename(L, -1));
    }
    return used + strlen(to);
}

/* ": code = 42, message = \"no\"": the first fields of the table at 1, enough
 * to see what error{…} was given. */
static void add_fields(lua_State *L, char *text)
{
    size_t used = 0;
    int fields = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        used += (size_t) sprintf(text + used, fields ? ", " : ": ");
        if (++fields > MOST_FIELDS || used > MOST_TEXT - 128) {
            memcpy(text + used, "...", sizeof "...");
            return;
        }
        if (lua_type(L, -2) == LUA_TSTRING)
            used +=
                (size_t) sprintf(text + used, "%.40s = ", lua_tostring(L, -2));
        used = add_value(L, text, used);
    }
}

static int to_text(lua_State *L)
{
    char fields[MOST_TEXT] = "";
    if (luaL_callmeta(L, 1, "__tostring") && lua_isstring(L, -1))
        return 1;
    if (lua_istable(L, 1))
        add_fields(L, fields);
    lua_pushfstring(L, "(error object is a %s%s)", luaL_typename(L, 1), fields);
    return 1;
}

const char *report_text(lua_State *to, lua_State *L)
{
    if (lua_isstring(L, -1)) {
        lua_pushvalue(L, -1); /* a number stays one where it is */
        lua_xmove(L, to, 1);
        return lua_tostring(to, -1);
    }
    if (lua_isnil(L, -1)) {
        lua_pushliteral(to, "(error object is nil)");
        return lua_tostring(to, -1);
    }
    lua_State *thread = thread_take();
    lua_pushcfunction(thread, to_text);
    lua_pushvalue(L, -1);
    lua_xmove(L, thread, 1);
    int status = lua_pcall(thread, 1, 1, 0);
    if (status != 0)
        lua_pushfstring(thread, "(error object is a %s)", luaL_typename(L, -1));
    lua_xmove(thread, to, 1);
    thread_give(thread, status == 0);
    return lua_tostring(to, -1);
}

size_t report_script_part(const char *traceback)
{
    static const char *const below[] = {"\n\tlua/weir/main.lua:",
                                        "\n\tlua/weir/test.lua:"};
    size_t length = strlen(traceback);
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        const char *found = strstr(traceback, below[i]);
        if (found && (size_t) (found - traceback) < length)
            length = (size_t) (found - traceback);
    }
    return length;
}
