/* When Lua's collector works.
 *
 * It calls finalizers, and LuaJIT hands what these raise to whoever happened to
 * allocate: in Lua code that is an error like any other, in the host's own code
 * nothing would catch it. So the collector rests while no Lua code runs. What
 * it is behind with is made up for after each resumption, by its own measure
 * and in a protected call; while Lua code runs it only guards against one
 * resumption that doubles the memory. */
#include <stdlib.h>
#include <string.h>

#include "lua/allocator.h"
#include "lua/task_internal.h"

/* KiB that are allocated before the collector takes its next step. */
#define STEP 32
/* KiB that are allocated at least before a cycle begins: most hosts have less
 * in use, and blocks of 64 KiB would have it gone through for every few. */
#define CYCLE 1024
/* The same where long strings are most of it. They are few, so that a cycle is
 * all about the rest; short ones are better made in memory that is warm. */
#define LONG_CYCLE 4096
#define LONG_STRING 16384 /* bytes */
/* Seconds between its steps while the host is idle, and KiB of each. */
#define IDLE_INTERVAL 0.1
#define IDLE_STEP 400
/* Full cycles after the last thing that ran: finalizers need a second one. */
#define IDLE_CYCLES 2

static struct {
    int last;     /* KiB in use at its last step */
    int due;      /* KiB in use at which it takes the next one */
    int step;     /* KiB to make up for */
    int latest;   /* KiB in use to which long strings put that off */
    bool stopped; /* by the script: collectgarbage("stop") */
    bool always;  /* WEIR_COLLECT=always, for specs: all, each time */
    int cycles;   /* still to finish while idle */
    ev_timer idle;
} collector;

/* As with Lua's own: a cycle begins when so much is in use again, in percent
 * of what the former one left. */
static int pause_of(lua_State *L)
{
    int percent = lua_gc(L, LUA_GCSETPAUSE, 200);
    lua_gc(L, LUA_GCSETPAUSE, percent);
    return percent;
}

/* KiB in use at which the next cycle begins. */
static int next_cycle(lua_State *L, int used)
{
    int due = used / 100 * pause_of(L);
    return due > used + CYCLE ? due : used + CYCLE;
}

static int take_step(lua_State *L)
{
    bool finished = lua_gc(L, LUA_GCSTEP, collector.step);
    int used = lua_gc(L, LUA_GCCOUNT, 0);
    collector.last = used;
    collector.due = finished ? next_cycle(L, used) : used + STEP;
    collector.latest = finished ? used + LONG_CYCLE : 0;
    collector.cycles -= finished;
    return 0;
}

void collector_note_string(size_t size)
{
    if (size < LONG_STRING)
        return;
    int due = collector.due + (int) (size >> 10);
    if (due <= collector.latest)
        collector.due = due;
}

static int take_all(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

/* A finalizer that raises cuts the work off, and is not called again. */
static void collect(lua_CFunction how)
{
    lua_State *L = scheduler.L;
    while (lua_cpcall(L, how, NULL) != 0) {
        report_line("weir: error in a finalizer (__gc): %s", report_text(L, L));
        lua_pop(L, 2);
        scheduler.failures++;
    }
    lua_gc(L, LUA_GCSTOP, 0);
}

void collector_all(void)
{
    collect(take_all);
}

void collector_on(void)
{
    if (!collector.stopped)
        lua_gc(scheduler.L, LUA_GCRESTART, -1);
}

void collector_off(void)
{
    lua_State *L = scheduler.L;
    collector.stopped = !lua_gc(L, LUA_GCISRUNNING, 0);
    lua_gc(L, LUA_GCSTOP, 0);
    if (collector.always)
        collect(take_all);
    int used = lua_gc(L, LUA_GCCOUNT, 0);
    if (used < collector.due || collector.stopped)
        return;
    collector.step = used > collector.last ? used - collector.last : STEP;
    collector.due = used + STEP;
    collect(take_step);
}

bool collector_hold(void)
{
    bool works = lua_gc(scheduler.L, LUA_GCISRUNNING, 0);
    lua_gc(scheduler.L, LUA_GCSTOP, 0);
    return works;
}

void collector_go_on(bool worked)
{
    if (worked)
        lua_gc(scheduler.L, LUA_GCRESTART, 0);
}

/* --- while the host is idle ----------------------------------------------- */

static void idle_tick(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void) events;
    collector.step = IDLE_STEP;
    if (!collector.stopped)
        collect(take_step);
    loop_free_graves(scheduler.loop);
    if (!collector.stopped && collector.cycles > 0)
        return;
    ev_timer_stop(ev, timer);
    allocator_trim();
}

void collector_idle(bool ran)
{
    if (ran)
        collector.cycles = IDLE_CYCLES;
    if (collector.cycles <= 0 || collector.stopped ||
        ev_is_active(&collector.idle))
        return;
    ev_timer_set(&collector.idle, IDLE_INTERVAL, IDLE_INTERVAL);
    ev_timer_start(scheduler.loop->ev, &collector.idle);
}

void collector_open(void)
{
    const char *when = getenv("WEIR_COLLECT");
    collector.always = when && strcmp(when, "always") == 0;
    lua_gc(scheduler.L, LUA_GCSTOP, 0);
    ev_init(&collector.idle, idle_tick);
    ev_set_priority(&collector.idle, EV_MINPRI);
}

void collector_close(void)
{
    ev_timer_stop(scheduler.loop->ev, &collector.idle);
}
