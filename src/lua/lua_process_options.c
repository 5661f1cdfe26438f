#include "lua/lua_process_options.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "lua/arguments.h"

extern char **environ;

static const char *const known[] = {"clear_env", "cwd",   "env",    "group",
                                    "stderr",    "stdin", "stdout", NULL};

static const char *const stdio_names[] = {"stdin", "stdout", "stderr"};

/* A vector under construction: the strings it points to are in the table at
 * `kept`, so that numbers that became strings stay alive. */
struct vector {
    const char **items;
    int count;
    int kept;
};

static void vector_push(lua_State *L, struct vector *vector, int capacity)
{
    vector->items =
        lua_newuserdata(L, ((size_t) capacity + 1) * sizeof vector->items[0]);
    vector->items[0] = NULL;
    vector->count = 0;
    lua_createtable(L, capacity, 0);
    vector->kept = lua_gettop(L);
}

/* Pops the string that is on top of the stack. */
static void vector_add(lua_State *L, struct vector *vector)
{
    vector->items[vector->count++] = lua_tostring(L, -1);
    vector->items[vector->count] = NULL;
    lua_rawseti(L, vector->kept, vector->count);
}

/* The value on top of the stack as C knows strings. */
static const char *check_text(lua_State *L, const char *what)
{
    size_t size;
    if (!lua_isstring(L, -1))
        call_error(L, "process: %s: a string expected, got %s", what,
                   luaL_typename(L, -1));
    const char *text = lua_tolstring(L, -1, &size);
    if (strlen(text) != size)
        call_error(L, "process: %s: a zero byte cannot be passed on", what);
    return text;
}

/* --- the command ---------------------------------------------------------- */

static const char **push_arguments(lua_State *L, int index)
{
    struct vector vector;
    if (!lua_istable(L, index) || lua_objlen(L, index) == 0)
        argument_error(L, index,
                       "a list of strings, the command first, expected");
    int count = (int) lua_objlen(L, index);
    vector_push(L, &vector, count);
    for (int i = 1; i <= count; i++) {
        char what[32];
        snprintf(what, sizeof what, "argument %d", i);
        lua_rawgeti(L, index, i);
        check_text(L, what);
        vector_add(L, &vector);
    }
    return vector.items;
}

/* --- the environment ------------------------------------------------------ */

/* Checks the map at `index`; the count of its pairs. */
static int check_environment(lua_State *L, int index)
{
    int count = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            call_error(L, "process: env: names of variables expected, got %s",
                       luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        if (!*name || strlen(name) != lua_objlen(L, -2) || strchr(name, '='))
            call_error(L, "process: env: '%s' cannot be a variable's name",
                       name);
        if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        if (lua_isboolean(L, -1))
            call_error(L,
                       "process: env.%s: a string, or false to remove it, "
                       "expected, got true",
                       name);
        lua_pushfstring(L, "env.%s", name);
        lua_insert(L, -2);
        check_text(L, lua_tostring(L, -2));
        lua_pop(L, 2);
        count++;
    }
    return count;
}

/* Does the map at `index` (0: none) say something about "NAME=value"? */
static bool overridden(lua_State *L, int index, const char *variable)
{
    if (!index)
        return false;
    lua_pushlstring(L, variable, strcspn(variable, "="));
    lua_rawget(L, index);
    bool found = !lua_isnil(L, -1);
    lua_pop(L, 1);
    return found;
}

static void add_inherited(lua_State *L, int index, struct vector *vector)
{
    for (char **variable = environ; variable && *variable; variable++) {
        if (overridden(L, index, *variable))
            continue;
        lua_pushstring(L, *variable);
        vector_add(L, vector);
    }
}

static void add_given(lua_State *L, int index, struct vector *vector)
{
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_isstring(L, -1)) {
            lua_pushfstring(L, "%s=%s", lua_tostring(L, -2),
                            lua_tostring(L, -1));
            vector_add(L, vector);
        }
        lua_pop(L, 1);
    }
}

/* NULL: the inherited one, as it is. */
static const char **push_environment(lua_State *L, int options)
{
    struct vector vector;
    bool clear = options_boolean(L, options, "clear_env", false);
    int index = 0, count = 0;
    lua_getfield(L, options, "env");
    if (!lua_isnil(L, -1)) {
        if (!lua_istable(L, -1))
            call_error(L, "bad option 'env' (a table expected, got %s)",
                       luaL_typename(L, -1));
        index = lua_gettop(L);
        count = check_environment(L, index);
    }
    if (!index && !clear)
        return NULL;
    for (char **variable = environ; !clear && variable && *variable; variable++)
        count++;
    vector_push(L, &vector, count);
    if (!clear)
        add_inherited(L, index, &vector);
    if (index)
        add_given(L, index, &vector);
    return vector.items;
}

/* --- the descriptors ------------------------------------------------------ */

static enum spawn_kind kind_of(lua_State *L, int n)
{
    static const char *const names[] = {"pipe", "inherit", "null", "stdout"};
    static const enum spawn_kind kinds[] = {SPAWN_PIPE, SPAWN_INHERIT,
                                            SPAWN_NULL, SPAWN_STDOUT};
    const char *name = lua_tostring(L, -1);
    int count = n == 2 ? 4 : 3;
    for (int i = 0; lua_type(L, -1) == LUA_TSTRING && i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return kinds[i];
    call_error(L,
               "bad option '%s' (\"pipe\", \"inherit\", \"null\"%s or a "
               "descriptor expected, got %s)",
               stdio_names[n], n == 2 ? ", \"stdout\"" : "",
               lua_isstring(L, -1) ? name : luaL_typename(L, -1));
    return SPAWN_PIPE;
}

static void read_stdio(lua_State *L, int options, struct spawn *spawn, int n)
{
    struct spawn_stdio *stdio = &spawn->stdio[n];
    lua_getfield(L, options, stdio_names[n]);
    if (lua_type(L, -1) == LUA_TNUMBER) {
        stdio->kind = SPAWN_FD;
        stdio->fd =
            (int) options_whole(L, options, stdio_names[n], 0, INT_MAX, 0);
    } else if (!lua_isnil(L, -1)) {
        stdio->kind = kind_of(L, n);
    }
    lua_pop(L, 1);
}

/* --- all of it ------------------------------------------------------------ */

void lua_process_options(lua_State *L, int argv, int options,
                         struct spawn *spawn)
{
    *spawn = (struct spawn){
        .arguments = push_arguments(L, argv),
        .stdio = {{SPAWN_PIPE, -1}, {SPAWN_PIPE, -1}, {SPAWN_PIPE, -1}}};
    if (!argument_options(L, options))
        return;
    options_check(L, options, known, "process");
    for (int n = 0; n < 3; n++)
        read_stdio(L, options, spawn, n);
    spawn->group = options_boolean(L, options, "group", false);
    spawn->directory = options_string(L, options, "cwd", NULL);
    if (spawn->directory)
        check_text(L, "cwd");
    spawn->environment = push_environment(L, options);
}
