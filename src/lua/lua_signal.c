/* weir.signal, and what signals do that no script handles (R24). */
#include "lua/lua_signal.h"

#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/signals.h"
#include "event/signal_watch.h"
#include "lua/arguments.h"
#include "lua/drain.h"
#include "lua/handler.h"
#include "lua/modules.h"
#include "lua/scheduler.h"
#include "lua/task_internal.h"

#define SIGNAL_TYPE "weir.signal"

struct signal_handler {
    struct signal_watch watch;
    struct handler handler;
};

static void arrived(struct signal_watch *watch)
{
    struct signal_handler *self =
        list_entry(watch, struct signal_handler, watch);
    lua_pushstring(task_state(), signals_name(watch->number));
    handler_start(&self->handler, 1);
}

/* "CHLD, HUP, …", on the stack. */
static const char *push_known(lua_State *L)
{
    luaL_Buffer text;
    bool first = true;
    luaL_buffinit(L, &text);
    for (int number = 1; number < NSIG; number++) {
        const char *name = signals_name(number);
        if (!name)
            continue;
        luaL_addstring(&text, first ? "" : ", ");
        luaL_addstring(&text, name);
        first = false;
    }
    luaL_pushresult(&text);
    return lua_tostring(L, -1);
}

int lua_signal_check(lua_State *L, int index, const char *what)
{
    size_t length;
    const char *name = luaL_checklstring(L, index, &length);
    int number = signals_number(name);
    if (number == 0 || strlen(name) != length)
        call_error(L, "%s: unknown signal '%s' (known: %s)", what, name,
                   push_known(L));
    return number;
}

static int check_signal(lua_State *L, int index)
{
    int number = lua_signal_check(L, index, "signal");
    if (!signal_watch_allowed(number))
        call_error(L, "signal: %s cannot be handled", signals_name(number));
    return number;
}

static struct signal_handler *check_handle(lua_State *L)
{
    return luaL_checkudata(L, 1, SIGNAL_TYPE);
}

/* weir.signal(name, f) → handle: f(name) for each arrival, until cancelled.
 * Several may handle the same signal; they are called in their order. */
static int weir_signal(lua_State *L)
{
    int number = check_signal(L, 1);
    argument_type(L, 2, LUA_TFUNCTION);
    struct signal_handler *self = lua_newuserdata(L, sizeof *self);
    *self = (struct signal_handler){
        .watch = {.arrived = arrived, .number = number},
        .handler = {.object = LUA_NOREF, .function = LUA_NOREF}};
    list_init(&self->watch.link);
    luaL_getmetatable(L, SIGNAL_TYPE);
    lua_setmetatable(L, -2);
    handler_set(L, &self->handler, lua_gettop(L), 2);
    signal_watch_start(&self->watch);
    return 1;
}

/* Also what the collector calls. */
static int signal_cancel(lua_State *L)
{
    struct signal_handler *self = check_handle(L);
    signal_watch_stop(&self->watch);
    handler_clear(&self->handler);
    handler_drop(&self->handler);
    return 0;
}

static int signal_tostring(lua_State *L)
{
    struct signal_handler *self = check_handle(L);
    lua_pushfstring(L, "weir.signal: %s%s", signals_name(self->watch.number),
                    list_empty(&self->watch.link) ? " (over)" : "");
    return 1;
}

/* --- what is usual -------------------------------------------------------- */

static double grace = 10;

void lua_signal_set_grace(double seconds)
{
    grace = seconds;
    signal_watch_limit(seconds);
}

static void usual(int number)
{
    switch (number) {
    case SIGINT:
        scheduler_stop(128 + number);
        break;
    case SIGTERM:
        if (scheduler.testing && !scheduler.draining)
            scheduler_cut_specs();
        drain_begin(grace);
        break;
    case SIGPIPE:
        report_line(SIGNAL_BROKEN_OUTPUT);
        scheduler_stop(EXIT_FAILURE);
        break;
    case SIGQUIT:
        report_tasks("weir: SIGQUIT: these tasks exist:");
        break;
    }
}

void lua_signal_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"cancel", signal_cancel}, {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", signal_cancel}, {"__tostring", signal_tostring}, {NULL, NULL}};
    lua_type_new(L, SIGNAL_TYPE, methods, meta);
    lua_pushcfunction(L, weir_signal);
    lua_setfield(L, -2, "signal");
    signal_watch_open(task_loop(), usual);
}
