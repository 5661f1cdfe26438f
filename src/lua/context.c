/* Contexts: what callbacks and tasks inherit from whoever registered them.
 *
 * A context names the guard that catches errors (weir.guard) and the table
 * that weir.locals gives. Most programs have none, and pay for a NULL. */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/memory.h"
#include "event/stream.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

struct context {
    int references;
    struct context *outer; /* where an error of the guard itself goes */
    struct context *guard; /* the context whose `on_error` catches */
    struct task *owner;    /* the task whose locals these are */
    int on_error;          /* registry references, or LUA_NOREF */
    int locals;
};

/* What task_start uses instead of the running task's. */
static struct context *entered;

struct context *context_current(void)
{
    if (entered)
        return entered;
    return scheduler.current ? scheduler.current->context : NULL;
}

struct context *context_retain(struct context *context)
{
    if (context)
        context->references++;
    return context;
}

void context_release(struct context *context)
{
    while (context && --context->references == 0) {
        struct context *outer = context->outer;
        luaL_unref(scheduler.L, LUA_REGISTRYINDEX, context->on_error);
        luaL_unref(scheduler.L, LUA_REGISTRYINDEX, context->locals);
        free(context);
        context = outer;
    }
}

void context_enter(struct context *context)
{
    entered = context;
}

/* A new one within `outer`, which it keeps. */
static struct context *context_new(struct context *outer)
{
    struct context *context = memory_new(sizeof *context);
    context->references = 1;
    context->outer = context_retain(outer);
    context->guard = outer ? outer->guard : NULL;
    context->on_error = context->locals = LUA_NOREF;
    return context;
}

/* --- guards --------------------------------------------------------------- */

bool context_catch(struct task *task, const char *traceback)
{
    struct context *guard = task->context ? task->context->guard : NULL;
    lua_State *from = task->L;
    if (!guard)
        return false;
    lua_State *L = thread_take();
    lua_rawgeti(L, LUA_REGISTRYINDEX, guard->on_error);
    lua_xmove(from, L, 1);
    lua_pushstring(L, traceback);
    struct task *handler = task_start(L, 2, NULL, false);
    context_release(handler->context);
    handler->context = context_retain(guard->outer);
    thread_give(L, true);
    return true;
}

/* guard_enter(on_error) → former: errors from here on are on_error's. */
static int guard_enter(lua_State *L)
{
    struct task *task = scheduler.current;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_pushlightuserdata(L, task->context);
    struct context *context = context_new(task->context);
    context->guard = context;
    lua_pushvalue(L, 1);
    context->on_error = luaL_ref(L, LUA_REGISTRYINDEX);
    task->context = context;
    return 1;
}

/* guard_leave(): back to what it was before the matching guard_enter. Locals
 * that were begun within it are left with it. */
static int guard_leave(lua_State *L)
{
    struct task *task = scheduler.current;
    struct context *former = lua_touserdata(L, 1);
    struct context *context = task->context;
    task->context = former;
    context_release(context);
    return 0;
}

/* --- locals --------------------------------------------------------------- */

/* A table that falls back on the one inherited. */
static int new_locals(lua_State *L, int inherited)
{
    lua_newtable(L);
    if (inherited != LUA_NOREF) {
        lua_createtable(L, 0, 1);
        lua_rawgeti(L, LUA_REGISTRYINDEX, inherited);
        lua_setfield(L, -2, "__index");
        lua_setmetatable(L, -2);
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int inherited_locals(const struct context *context)
{
    for (; context; context = context->outer)
        if (context->locals != LUA_NOREF)
            return context->locals;
    return LUA_NOREF;
}

/* weir.locals(): the running task's own table. */
static int weir_locals(lua_State *L)
{
    struct task *task = scheduler.current;
    if (!task)
        return luaL_error(L, "locals: no task runs here");
    struct context *context = task->context;
    if (!context || context->owner != task || context->locals == LUA_NOREF) {
        struct context *own = context_new(context);
        own->owner = task;
        own->locals = new_locals(L, inherited_locals(context));
        context_release(context);
        task->context = context = own;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, context->locals);
    return 1;
}

void lua_context_open(lua_State *L)
{
    lua_pushcfunction(L, guard_enter);
    lua_setfield(L, -3, "guard_enter");
    lua_pushcfunction(L, guard_leave);
    lua_setfield(L, -3, "guard_leave");
    lua_pushcfunction(L, weir_locals);
    lua_setfield(L, -2, "locals");
}
