#include "lua/lua_modules.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdlib.h>

struct lua_module {
    const char *name; /* "weir.repl" */
    const char *path; /* "weir/repl.lua" */
    const char *bytecode;
    size_t size;
};

#include "lua_modules_list.h"

/* A package.preload entry; its module is the upvalue. */
static int load_module(lua_State *L)
{
    const struct lua_module *module = lua_touserdata(L, lua_upvalueindex(1));
    const char *folder = getenv("WEIR_LUA_PATH");
    lua_settop(L, 1);
    int error;
    if (folder && *folder)
        error =
            luaL_loadfile(L, lua_pushfstring(L, "%s/%s", folder, module->path));
    else
        error =
            luaL_loadbuffer(L, module->bytecode, module->size, module->name);
    if (error)
        return lua_error(L);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
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
    lua_pop(L, 2);
}
