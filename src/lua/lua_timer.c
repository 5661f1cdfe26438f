/* weir.sleep, after, every, defer, now, time. */
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "lua/arguments.h"
#include "lua/handler.h"
#include "lua/lua_timer.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

#define TIMER_TYPE "weir.timer"

/* --- sleep ---------------------------------------------------------------- */

struct sleep {
    ev_timer timer;
    struct operation *op;
};

static void sleep_free(struct sleep *sleep)
{
    ev_timer_stop(task_loop()->ev, &sleep->timer);
    free(sleep);
}

static void sleep_over(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct sleep *sleep = timer->data;
    struct operation *op = sleep->op;
    (void) ev;
    (void) events;
    sleep_free(sleep);
    lua_pushboolean(operation_results(op), true);
    operation_finish(op, 1);
}

static void sleep_cancel(struct operation *op)
{
    sleep_free(op->object);
}

static const struct operation_class sleep_class = {.name = "sleep",
                                                   .cancel = sleep_cancel};

/* weir.sleep(seconds, [options], [callback]): true. It has no options. */
static int weir_sleep(lua_State *L)
{
    static const char *const known[] = {NULL};
    struct call call;
    double seconds = argument_seconds(L, 1);
    call_parse(L, &call, 2, known, "sleep");
    struct sleep *sleep = memory_new(sizeof *sleep);
    ev_init(&sleep->timer, sleep_over);
    sleep->timer.data = sleep;
    sleep->op = call_wait(L, &call, &sleep_class, -1);
    sleep->op->object = sleep;
    loop_start_timer(task_loop(), &sleep->timer, seconds);
    return call_suspend(L, &call, 0);
}

/* --- timers --------------------------------------------------------------- */

struct timer {
    struct list link; /* every timer that is set */
    ev_timer watcher;
    struct handler handler;
    double start;    /* loop_clock */
    double interval; /* of `every`; 0: once */
    double count;    /* intervals from `start` to the next firing */
    bool holding;
    bool unref;
};

static struct list timers = {&timers, &timers};

static void timer_hold(struct timer *timer)
{
    bool set = !list_empty(&timer->link);
    loop_hold(task_loop(), &timer->holding,
              set && !timer->unref && !scheduler.draining);
}

static void timer_clear(struct timer *timer)
{
    ev_timer_stop(task_loop()->ev, &timer->watcher);
    list_remove(&timer->link);
    timer_hold(timer);
    handler_clear(&timer->handler);
}

static void timer_arm(struct timer *timer, double seconds)
{
    loop_start_timer(task_loop(), &timer->watcher, seconds > 0 ? seconds : 0);
}

/* The next firing is the first point of the grid that lies ahead: it does not
 * drift, and what a stall has missed is not made up for. */
static void timer_arm_next(struct timer *timer)
{
    double now = loop_clock();
    double passed = floor((now - timer->start) / timer->interval);
    timer->count = fmax(timer->count, passed) + 1;
    timer_arm(timer, timer->start + timer->count * timer->interval - now);
}

static void timer_fired(struct ev_loop *ev, ev_timer *watcher, int events)
{
    struct timer *timer = watcher->data;
    (void) ev;
    (void) events;
    handler_start(&timer->handler, 0);
    if (timer->interval > 0)
        timer_arm_next(timer);
    else
        timer_clear(timer);
}

static struct timer *check_timer(lua_State *L)
{
    return luaL_checkudata(L, 1, TIMER_TYPE);
}

static int timer_new(lua_State *L, double seconds, double interval)
{
    argument_type(L, 2, LUA_TFUNCTION);
    struct timer *timer = lua_newuserdata(L, sizeof *timer);
    *timer = (struct timer){.start = loop_clock(), .interval = interval};
    list_init(&timer->link);
    timer->count = 1;
    timer->handler.object = timer->handler.function = LUA_NOREF;
    ev_init(&timer->watcher, timer_fired);
    timer->watcher.data = timer;
    luaL_getmetatable(L, TIMER_TYPE);
    lua_setmetatable(L, -2);
    handler_set(L, &timer->handler, lua_gettop(L), 2);
    list_insert(&timers, &timer->link);
    timer_hold(timer);
    timer_arm(timer, seconds);
    return 1;
}

/* weir.after(seconds, f) → timer */
static int weir_after(lua_State *L)
{
    return timer_new(L, argument_seconds(L, 1), 0);
}

/* weir.every(seconds, f) → timer. A firing does not wait for what the former
 * one started. */
static int weir_every(lua_State *L)
{
    double interval = argument_seconds(L, 1);
    if (interval == 0)
        argument_error(L, 1, "more than 0 seconds expected");
    return timer_new(L, interval, interval);
}

static int timer_cancel(lua_State *L)
{
    struct timer *timer = check_timer(L);
    timer_clear(timer);
    handler_drop(&timer->handler);
    return 0;
}

static int timer_set_unref(lua_State *L, bool unref)
{
    struct timer *timer = check_timer(L);
    timer->unref = unref;
    timer_hold(timer);
    lua_settop(L, 1);
    return 1;
}

static int timer_ref(lua_State *L)
{
    return timer_set_unref(L, false);
}

static int timer_unref(lua_State *L)
{
    return timer_set_unref(L, true);
}

static int timer_collect(lua_State *L)
{
    struct timer *timer = check_timer(L);
    timer_clear(timer);
    handler_forget(&timer->handler);
    return 0;
}

static int timer_tostring(lua_State *L)
{
    struct timer *timer = check_timer(L);
    if (list_empty(&timer->link))
        lua_pushfstring(L, "weir.timer: %p (over)", (void *) timer);
    else
        lua_pushfstring(L, "weir.timer: %p", (void *) timer);
    return 1;
}

void lua_timer_release_host(void)
{
    for (struct list *link = timers.next; link != &timers; link = link->next)
        timer_hold(list_entry(link, struct timer, link));
}

/* --- clocks, and the next turn -------------------------------------------- */

static int weir_defer(lua_State *L)
{
    argument_type(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    task_start(L, 0, NULL, true);
    return 0;
}

static int weir_now(lua_State *L)
{
    lua_pushnumber(L, loop_clock());
    return 1;
}

static int weir_time(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (double) now.tv_sec + (double) now.tv_nsec * 1e-9);
    return 1;
}

void lua_timer_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"cancel", timer_cancel},
                                       {"ref", timer_ref},
                                       {"unref", timer_unref},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", timer_collect}, {"__tostring", timer_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"sleep", weir_sleep}, {"after", weir_after}, {"every", weir_every},
        {"defer", weir_defer}, {"now", weir_now},     {"time", weir_time},
        {NULL, NULL}};
    lua_type_new(L, TIMER_TYPE, methods, meta);
    luaL_setfuncs(L, functions, 0);
}
