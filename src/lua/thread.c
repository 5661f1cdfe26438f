/* Pooled Lua threads. A finished one starts anew after lua_settop(L, 0). One
 * that raised, or whose identity was given away, is dropped. */
#include "lua/task_internal.h"

#define POOL 64

static lua_State *pool[POOL];
static int pooled;

lua_State *thread_take(void)
{
    if (pooled > 0)
        return pool[--pooled];
    lua_State *L = scheduler.L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, scheduler.threads);
    lua_State *thread = lua_newthread(L);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return thread;
}

void thread_give(lua_State *thread, bool reusable)
{
    if (reusable)
        lua_settop(thread, 0);
    if (reusable && pooled < POOL) {
        pool[pooled++] = thread;
        return;
    }
    lua_State *L = scheduler.L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, scheduler.threads);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

bool thread_is_task(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, scheduler.threads);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    bool is_task = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return is_task;
}
