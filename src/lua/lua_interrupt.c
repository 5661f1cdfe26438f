/* weir.interrupt: SIGINT as an error in Lua code that never waits. The REPL is
 * its only user.
 *
 * The signal's handler sets a hook (LuaJIT allows that there), and the hook
 * raises at the next instruction. Compiled code looks at no hooks, and C does
 * not either; so the REPL has its Lua code interpreted, and a second SIGINT
 * ends the process where the first has changed nothing. */
#include "lua/lua_interrupt.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdbool.h>

#include "event/signal_watch.h"

/* So often code may catch what it is raised, and go on. */
enum { PATIENCE = 2 };

static lua_State *state;
static int belongs = LUA_NOREF, value = LUA_NOREF;
static volatile sig_atomic_t armed, raised;

/* Does what runs now belong to the code that is meant? */
static bool is_meant(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, belongs);
    lua_call(L, 0, 1);
    bool meant = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return meant;
}

static void raise_here(lua_State *L, lua_Debug *where)
{
    (void) where;
    if (!is_meant(L))
        return;
    lua_sethook(L, NULL, 0, 0);
    signal_watch_forget(SIGINT);
    raised++;
    lua_rawgeti(L, LUA_REGISTRYINDEX, value);
    lua_error(L);
}

static bool on_interrupt(void)
{
    if (armed && raised == PATIENCE)
        return false;
    if (armed)
        lua_sethook(state, raise_here, LUA_MASKCOUNT, 1);
    return true;
}

/* interrupt.begin(belongs, value): from now on SIGINT raises `value` in code in
 * which belongs() is true; else, it does what it did, as well */
static int interrupt_begin(lua_State *L)
{
    lua_settop(L, 2);
    luaL_unref(L, LUA_REGISTRYINDEX, value);
    luaL_unref(L, LUA_REGISTRYINDEX, belongs);
    value = luaL_ref(L, LUA_REGISTRYINDEX);
    belongs = luaL_ref(L, LUA_REGISTRYINDEX);
    raised = 0;
    armed = 1;
    signal_watch_interrupts(on_interrupt);
    if (signal_watch_pending(SIGINT))
        on_interrupt();
    return 0;
}

/* interrupt.now(): as if SIGINT came, which was told before it could raise */
static int interrupt_now(lua_State *L)
{
    (void) L;
    on_interrupt();
    return 0;
}

/* interrupt.done(): no longer. What has arrived meanwhile was meant for it. */
static int interrupt_done(lua_State *L)
{
    armed = 0;
    lua_sethook(L, NULL, 0, 0);
    signal_watch_forget(SIGINT);
    return 0;
}

/* interrupt.alone(): does nobody but the REPL handle SIGINT? */
static int interrupt_alone(lua_State *L)
{
    lua_pushboolean(L, signal_watch_count(SIGINT) == 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"alone", interrupt_alone},
    {"begin", interrupt_begin},
    {"now", interrupt_now},
    {"done", interrupt_done},
    {NULL, NULL},
};

/* Loaded by the main task, which lives as long as the REPL. */
int luaopen_weir_interrupt(lua_State *L)
{
    state = L;
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    return 1;
}
