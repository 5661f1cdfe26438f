/* Contexts: what callbacks and tasks inherit from whoever registered them.
 *
 * A context names the guard that catches errors (weir.guard) and the table
 * that weir.locals gives. Most programs have none, and pay for a NULL. */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/memory.h"
#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

struct context {
    int references;
    struct context *outer; /* where an error of the guard itself goes */
    struct context *guard; /* the context whose `on_error` catches */
    unsigned owner;        /* the id of the task whose locals these are */
    unsigned depth;        /* contexts with locals, this one included */
    bool patient;          /* a guard that leaves tasks to those who join */
    int on_error;          /* registry references, or LUA_NOREF */
    int locals;
};

/* A callback that registers the next one, and so on for ever, each with locals
 * of its own: from here on they are copied, and the chain is cut. */
#define DEEPEST 16

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
    context->depth = outer ? outer->depth : 0;
    context->on_error = context->locals = LUA_NOREF;
    return context;
}

/* --- guards --------------------------------------------------------------- */

/* It may still be joined; the guard's owner will ask for it otherwise. */
static void keep_unjoined(struct task *task)
{
    lua_State *L = scheduler.L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, scheduler.unjoined);
    task_push_handle(L, task);
    lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
    lua_pop(L, 1);
}

bool context_catch(struct task *task, const char *traceback)
{
    struct context *guard = task->context ? task->context->guard : NULL;
    lua_State *from = task->L;
    if (!guard)
        return false;
    if (guard->patient && task->handled) {
        keep_unjoined(task);
        return false;
    }
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

/* guard_enter(on_error, patient) → former: errors from here on are on_error's;
 * not those of tasks that may still be joined, if it is patient. */
static int guard_enter(lua_State *L)
{
    struct task *task = scheduler.current;
    argument_type(L, 1, LUA_TFUNCTION);
    if (!task)
        return call_error(L, "guard: no task runs here");
    lua_pushlightuserdata(L, task->context);
    struct context *context = context_new(task->context);
    context->guard = context;
    context->patient = lua_toboolean(L, 2);
    lua_pushvalue(L, 1);
    context->on_error = luaL_ref(L, LUA_REGISTRYINDEX);
    task->context = context;
    return 1;
}

/* --- locals --------------------------------------------------------------- */

static struct context *with_locals(struct context *context)
{
    while (context && context->locals == LUA_NOREF)
        context = context->outer;
    return context;
}

/* The table on top of L becomes the locals of the running task. */
static struct context *own_locals(lua_State *L, struct context *outer)
{
    struct context *own = context_new(outer);
    own->owner = scheduler.current->id;
    own->depth++;
    own->locals = luaL_ref(L, LUA_REGISTRYINDEX);
    return own;
}

static void push_falling_back(lua_State *L, const struct context *inherited)
{
    lua_newtable(L);
    if (!inherited)
        return;
    lua_createtable(L, 0, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, inherited->locals);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* Pushes a copy of all that is inherited, the outermost first. */
static void push_copy(lua_State *L, struct context *context)
{
    luaL_checkstack(L, LUA_MINSTACK, "locals");
    if (!context) {
        lua_newtable(L);
        return;
    }
    push_copy(L, with_locals(context->outer));
    lua_rawgeti(L, LUA_REGISTRYINDEX, context->locals);
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_pop(L, 1);
}

/* weir.locals(): the running task's own table. */
static int weir_locals(lua_State *L)
{
    struct task *task = scheduler.current;
    if (!task)
        return call_error(L, "locals: no task runs here");
    struct context *former = task->context;
    struct context *inherited = with_locals(former);
    if (inherited && inherited->owner == task->id) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, inherited->locals);
        return 1;
    }
    bool cut = inherited && inherited->depth >= DEEPEST;
    if (cut)
        push_copy(L, inherited);
    else
        push_falling_back(L, inherited);
    lua_pushvalue(L, -1);
    task->context = own_locals(L, cut ? former->guard : former);
    context_release(former);
    return 1;
}

/* guard_leave(former): back to what it was before the matching guard_enter,
 * but with the locals that the task has got meanwhile. */
static int guard_leave(lua_State *L)
{
    struct task *task = scheduler.current;
    struct context *former = lua_touserdata(L, 1);
    struct context *context = task->context;
    struct context *locals = with_locals(context);
    task->context = former;
    if (locals && locals->owner == task->id && locals != with_locals(former)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, locals->locals);
        task->context = own_locals(L, former);
        context_release(former);
    }
    context_release(context);
    return 0;
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
