#include "lua/handler.h"

#include <lauxlib.h>

#include "lua/task_internal.h"

static int reference(lua_State *L, int index)
{
    lua_pushvalue(L, index);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void handler_set(lua_State *L, struct handler *handler, int object,
                 int function)
{
    list_init(&handler->calls);
    handler->object = reference(L, object);
    handler->function = reference(L, function);
    handler->context = context_retain(context_current());
}

void handler_clear(struct handler *handler)
{
    lua_State *L = task_state();
    luaL_unref(L, LUA_REGISTRYINDEX, handler->object);
    luaL_unref(L, LUA_REGISTRYINDEX, handler->function);
    handler->object = handler->function = LUA_NOREF;
    context_release(handler->context);
    handler->context = NULL;
}

struct task *handler_start(struct handler *handler, int count)
{
    lua_State *L = task_state();
    lua_rawgeti(L, LUA_REGISTRYINDEX, handler->function);
    lua_insert(L, -count - 1);
    context_enter(handler->context);
    struct task *task = task_start(L, count, NULL, false);
    context_enter(NULL);
    list_insert(&handler->calls, &task->wait.room.link);
    return task;
}

void handler_drop(struct handler *handler)
{
    for (struct list *link; (link = list_pop(&handler->calls));)
        task_drop(list_entry(link, struct task, wait.room.link));
}

void handler_forget(struct handler *handler)
{
    list_remove(&handler->calls);
}
