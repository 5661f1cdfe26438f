/* The C half of lua/weir/coroutine.lua, and deadlines, which belong to the
 * coroutine that they were set in: a generator's is not its consumer's. */
#include "lua/lua_coroutine.h"

#include <lauxlib.h>

#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

/* Registry references: weak-keyed tables by thread. */
static int refused_threads, deadlines;

/* The thread that is the first argument of the function at `level`. */
static lua_State *first_argument(lua_State *outer, int level)
{
    lua_Debug frame;
    if (!lua_getstack(outer, level, &frame) || !lua_getlocal(outer, &frame, 1))
        return NULL;
    lua_State *inner = lua_tothread(outer, -1);
    lua_pop(outer, 1);
    return inner;
}

/* The coroutine that `outer` is resuming: the first argument of the C function
 * it is in, coroutine.resume. NULL if it is in another one. */
static lua_State *inner_coroutine(lua_State *outer)
{
    return first_argument(outer, 0);
}

/* The C function it is in is the yield, called by `pass` (coroutine.lua). */
lua_State *lua_coroutine_waiting_in(lua_State *outer)
{
    return first_argument(outer, 1);
}

bool lua_coroutine_may_wait(lua_State *L)
{
    lua_State *at = scheduler.current ? scheduler.current->L : NULL;
    if (at == L)
        return at && lua_isyieldable(L);
    while (at && at != L && lua_isyieldable(at))
        at = inner_coroutine(at);
    return at == L && lua_isyieldable(L);
}

/* The C function nearest to the top that called Lua code. LuaJIT's own that
 * let it wait (pcall, …) are no lua_CFunction, and pass here as Lua's. */
const char *lua_coroutine_blocked_by(lua_State *L)
{
    lua_Debug frame;
    for (int level = 1; lua_getstack(L, level, &frame); level++) {
        lua_Debug caller;
        lua_getinfo(L, "nf", &frame);
        bool blocks = lua_tocfunction(L, -1) != NULL;
        lua_pop(L, 1);
        if (!blocks)
            continue;
        if (!frame.name || !lua_getstack(L, level + 1, &caller) ||
            !lua_getinfo(L, "Sl", &caller) || caller.currentline < 0)
            return NULL;
        return lua_pushfstring(L, "'%s' at %s:%d", frame.name, caller.short_src,
                               caller.currentline);
    }
    return NULL;
}

/* --- deadlines ------------------------------------------------------------ */

static void push_by_thread(lua_State *L, int table, lua_State *thread)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, table);
    lua_pushthread(thread);
    if (thread != L)
        lua_xmove(thread, L, 1);
}

static double own_deadline(lua_State *L)
{
    if (L == scheduler.current->L)
        return scheduler.current->deadline;
    lua_checkstack(L, 3);
    push_by_thread(L, deadlines, L);
    lua_rawget(L, -2);
    double deadline = lua_tonumber(L, -1);
    lua_pop(L, 2);
    return deadline;
}

static void set_own_deadline(lua_State *L, double deadline)
{
    if (L == scheduler.current->L) {
        scheduler.current->deadline = deadline;
        return;
    }
    push_by_thread(L, deadlines, L);
    if (deadline > 0)
        lua_pushnumber(L, deadline);
    else
        lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static double earliest(double a, double b)
{
    return b > 0 && (a <= 0 || b < a) ? b : a;
}

double lua_coroutine_deadline(lua_State *L)
{
    lua_State *at = scheduler.current->L;
    double deadline = own_deadline(at);
    while (at != L && (at = inner_coroutine(at)))
        deadline = earliest(deadline, own_deadline(at));
    return deadline;
}

/* core.set_deadline(seconds) → what core.restore_deadline takes */
static int set_deadline(lua_State *L)
{
    double seconds = luaL_checknumber(L, 1);
    if (!scheduler.current)
        return call_error(L, "deadline: no task runs here");
    double former = own_deadline(L);
    lua_pushnumber(L, former);
    set_own_deadline(L, earliest(loop_clock() + seconds, former));
    return 1;
}

static int restore_deadline(lua_State *L)
{
    set_own_deadline(L, lua_tonumber(L, 1));
    return 0;
}

/* --- what scripts get ----------------------------------------------------- */

/* coroutine.running(): a task whose thread was told keeps it to itself. */
static int coroutine_running(lua_State *L)
{
    struct task *task = scheduler.current;
    if (lua_pushthread(L)) {
        lua_pushnil(L);
        return 1;
    }
    if (task && task->L == L && !task->exposed) {
        task->exposed = true;
        lua_rawgeti(L, LUA_REGISTRYINDEX, refused_threads);
        lua_pushvalue(L, -2);
        lua_pushboolean(L, true);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
    return 1;
}

/* coroutine.yield(…): nobody would resume a task that yields. */
static int coroutine_yield(lua_State *L)
{
    if (scheduler.current && scheduler.current->L == L)
        return call_error(L, "coroutine.yield outside of a coroutine: a task "
                             "yields by waiting, such as in weir.sleep(0)");
    return lua_yield(L, lua_gettop(L));
}

/* core.is_task(thread): does a task run on it? */
static int is_task(lua_State *L)
{
    lua_pushboolean(L, lua_isthread(L, 1) && thread_is_task(L, 1));
    return 1;
}

/* core.raise(coroutine, error): what a function made by coroutine.wrap does
 * when its coroutine raised. As in LuaJIT a string says where that was and
 * where it arrived; the report of an uncaught one shows both stacks. */
static int raise_again(lua_State *L)
{
    lua_State *from = lua_tothread(L, 1);
    lua_settop(L, 2);
    if (lua_type(L, 2) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, 2);
        lua_concat(L, 2);
    }
    luaL_traceback(L, from, NULL, 0);
    luaL_traceback(L, L, "\nresumed by", 1);
    lua_concat(L, 2);
    report_keep_traceback(L, 2, lua_tostring(L, 3));
    lua_settop(L, 2);
    return lua_error(L);
}

static int new_weak_table(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void lua_coroutine_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"set_deadline", set_deadline},
                                         {"restore_deadline", restore_deadline},
                                         {"running", coroutine_running},
                                         {"yield", coroutine_yield},
                                         {"is_task", is_task},
                                         {"raise", raise_again},
                                         {NULL, NULL}};
    lua_pushvalue(L, -2);
    luaL_setfuncs(L, functions, 0);
    refused_threads = new_weak_table(L);
    deadlines = new_weak_table(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, refused_threads);
    lua_setfield(L, -2, "refused_threads");
    lua_pushlightuserdata(L, operation_wait_mark());
    lua_setfield(L, -2, "wait_mark");
    lua_pop(L, 1);
}
