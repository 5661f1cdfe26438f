#include "lua/lua_modules.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lua/lua_faults.h"
#include "lua/lua_interrupt.h"
#include "lua/lua_readline.h"

struct lua_module {
    const char *name; /* "weir.repl" */
    const char *path; /* "weir/repl.lua" */
    const char *bytecode;
    size_t size;
};

#include "lua_modules_list.h"

static void load(lua_State *L, const struct lua_module *module)
{
    const char *folder = getenv("WEIR_LUA_PATH");
    int error;
    if (folder && *folder) {
        lua_pushfstring(L, "%s/%s", folder, module->path);
        error = luaL_loadfile(L, lua_tostring(L, -1));
        lua_remove(L, -2);
    } else {
        error =
            luaL_loadbuffer(L, module->bytecode, module->size, module->name);
    }
    if (error)
        lua_error(L);
}

void lua_modules_load(lua_State *L, const char *name)
{
    for (const struct lua_module *module = modules; module->name; module++)
        if (strcmp(module->name, name) == 0) {
            load(L, module);
            return;
        }
    luaL_error(L, "weir has no module '%s'", name);
}

/* A package.preload entry; its module is the upvalue. */
static int load_module(lua_State *L)
{
    const struct lua_module *module = lua_touserdata(L, lua_upvalueindex(1));
    lua_settop(L, 1);
    load(L, module);
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

void lua_modules_open(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    for (const struct lua_module *module = modules; module->name; module++) {
        lua_pushlightuserdata(L, (void *) module);
        lua_pushcclosure(L, load_module, 1);
        lua_setfield(L, -2, module->name);
    }
    lua_pushcfunction(L, luaopen_weir_interrupt);
    lua_setfield(L, -2, "weir.interrupt");
    lua_pushcfunction(L, luaopen_weir_readline);
    lua_setfield(L, -2, "weir.readline");
    lua_pushcfunction(L, luaopen_weir_faults);
    lua_setfield(L, -2, "weir.faults");
    lua_pop(L, 2);
}
