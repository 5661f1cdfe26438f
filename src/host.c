/* The host. For now without a loop: it runs what the command line says. */
#include "host.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/lua_modules.h"

static int report(lua_State *L, int error)
{
    if (error)
        fprintf(stderr, "weir: %s\n", lua_tostring(L, -1));
    return error;
}

static void set_arguments(lua_State *L, const struct options *options)
{
    lua_createtable(L, options->argc, options->first);
    for (int i = 0; i < options->argc; i++) {
        lua_pushstring(L, options->argv[i]);
        lua_rawseti(L, -2, i - options->first);
    }
    lua_setglobal(L, "arg");
}

static int run_action(lua_State *L, const struct option_action *action)
{
    if (!action->module)
        return report(L, luaL_loadbuffer(L, action->text, strlen(action->text),
                                         "=(-e)") ||
                             lua_pcall(L, 0, 0, 0));
    lua_getglobal(L, "require");
    lua_pushstring(L, action->text);
    if (report(L, lua_pcall(L, 1, 1, 0)))
        return 1;
    lua_setglobal(L, action->text);
    return 0;
}

static int run_script(lua_State *L, const struct options *options)
{
    if (options->test) {
        lua_getglobal(L, "require");
        lua_pushliteral(L, "weir.test");
        if (report(L, lua_pcall(L, 1, 1, 0)))
            return 1;
        lua_getfield(L, -1, "run");
        return report(L, lua_pcall(L, 0, 0, 0));
    }
    if (!options->script)
        return 0;
    const char *path =
        strcmp(options->script, "-") == 0 ? NULL : options->script;
    if (report(L, luaL_loadfile(L, path)))
        return 1;
    int count = 0;
    for (int i = options->first + 1; i < options->argc; i++, count++)
        lua_pushstring(L, options->argv[i]);
    return report(L, lua_pcall(L, count, 0, 0));
}

int host_run(const struct options *options)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_modules_open(L);
    set_arguments(L, options);
    int error = 0;
    for (int i = 0; !error && i < options->action_count; i++)
        error = run_action(L, &options->actions[i]);
    if (!error)
        error = run_script(L, options);
    lua_close(L);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
