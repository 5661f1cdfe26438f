/* weir.watch: tells when a descriptor is ready that another library owns.
 *
 * Level-triggered, and silent until the function has returned: it may wait,
 * and what made the descriptor ready may still be there meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "lua/arguments.h"
#include "lua/handler.h"
#include "lua/modules.h"
#include "lua/task.h"

#define WATCH_TYPE "weir.watch"

struct watch {
    ev_io watcher;
    struct list link; /* to_start */
    struct handler handler;
    int fd;
    int events;
    bool active;  /* not cancelled */
    bool running; /* the function has not returned */
    bool holding;
    bool unref;
};

/* Watches whose descriptor the loop is to look at from its next poll on. That
 * somebody closed one meanwhile must be seen before: libev takes it for an
 * error of the program, and aborts. */
static struct list to_start = {&to_start, &to_start};

static void start_watches(struct loop_call *call);

static struct loop_call starter = {{&starter.link, &starter.link},
                                   start_watches};

static void watch_settle(struct watch *watch)
{
    struct loop *loop = task_loop();
    list_remove(&watch->link);
    if (!watch->active || watch->running) {
        ev_io_stop(loop->ev, &watch->watcher);
    } else if (!ev_is_active(&watch->watcher)) {
        list_insert(&to_start, &watch->link);
        loop_before_poll(loop, &starter);
    }
    loop_hold(loop, &watch->holding, watch->active && !watch->unref);
    if (!watch->active && !watch->running)
        handler_clear(&watch->handler);
}

/* One that raised has not dealt with what there is: it would raise for ever. */
static void returned(void *owner, bool raised)
{
    struct watch *watch = owner;
    watch->running = false;
    if (raised)
        watch->active = false;
    watch_settle(watch);
}

static int push_closed(lua_State *L, int fd, int error)
{
    char text[80];
    snprintf(text, sizeof text, "watch %d: %s", fd, error_text(error));
    return push_failure(L, error, text);
}

static int push_events(lua_State *L, int events)
{
    const char *names[] = {"", "r", "w", "rw"};
    int index = (events & EV_READ ? 1 : 0) + (events & EV_WRITE ? 2 : 0);
    lua_pushstring(L, names[index]);
    return 1;
}

/* Calls the function with the top `count` values of task_state(). */
static void call(struct watch *watch, int count)
{
    struct task *task = handler_start(&watch->handler, count);
    task_on_end(task, returned, watch);
    watch->running = true;
    watch_settle(watch);
}

static void over(struct watch *watch)
{
    watch->active = false;
    call(watch, push_closed(task_state(), watch->fd, EBADF));
}

/* EV_ERROR: libev has found that the descriptor is gone. */
static void on_event(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct watch *watch = watcher->data;
    (void) ev;
    if (events & EV_ERROR)
        over(watch);
    else
        call(watch, push_events(task_state(), events));
}

/* Runs after the turn, when no Lua code runs before the poll any more. */
static void start_watches(struct loop_call *call)
{
    (void) call;
    for (struct list *link; (link = list_pop(&to_start));) {
        struct watch *watch = list_entry(link, struct watch, link);
        if (fcntl(watch->fd, F_GETFD) >= 0) {
            ev_io_start(task_loop()->ev, &watch->watcher);
            continue;
        }
        over(watch);
        loop_stay_awake(task_loop());
    }
}

static struct watch *check_watch(lua_State *L)
{
    return luaL_checkudata(L, 1, WATCH_TYPE);
}

static int check_events(lua_State *L, int index)
{
    const char *name = luaL_checkstring(L, index);
    if (strcmp(name, "r") == 0)
        return EV_READ;
    if (strcmp(name, "w") == 0)
        return EV_WRITE;
    if (strcmp(name, "rw") != 0)
        argument_error(L, index, "\"r\", \"w\" or \"rw\" expected");
    return EV_READ | EV_WRITE;
}

/* weir.watch(fd, "r" or "w" or "rw", f) → handle: f(events) runs whenever the
 * descriptor is ready, but not again before it returned; f(nil, message, code),
 * the last time, if somebody has closed it. */
static int weir_watch(lua_State *L)
{
    int fd = argument_fd(L, 1);
    int events = check_events(L, 2);
    argument_type(L, 3, LUA_TFUNCTION);
    if (fcntl(fd, F_GETFD) < 0)
        return push_closed(L, fd, errno);
    struct watch *watch = lua_newuserdata(L, sizeof *watch);
    *watch =
        (struct watch){.fd = fd,
                       .events = events,
                       .handler = {.object = LUA_NOREF, .function = LUA_NOREF}};
    list_init(&watch->link);
    ev_io_init(&watch->watcher, on_event, fd, events);
    watch->watcher.data = watch;
    luaL_getmetatable(L, WATCH_TYPE);
    lua_setmetatable(L, -2);
    handler_set(L, &watch->handler, lua_gettop(L), 3);
    watch->active = true;
    watch_settle(watch);
    return 1;
}

/* handle:set(events) → handle */
static int watch_set(lua_State *L)
{
    struct watch *watch = check_watch(L);
    watch->events = check_events(L, 2);
    ev_io_stop(task_loop()->ev, &watch->watcher);
    ev_io_set(&watch->watcher, watch->fd, watch->events);
    watch_settle(watch);
    lua_settop(L, 1);
    return 1;
}

/* Also what the collector calls. */
static int watch_cancel(lua_State *L)
{
    struct watch *watch = check_watch(L);
    watch->active = false;
    handler_drop(&watch->handler);
    watch_settle(watch);
    return 0;
}

static int watch_set_unref(lua_State *L, bool unref)
{
    struct watch *watch = check_watch(L);
    watch->unref = unref;
    watch_settle(watch);
    lua_settop(L, 1);
    return 1;
}

static int watch_ref(lua_State *L)
{
    return watch_set_unref(L, false);
}

static int watch_unref(lua_State *L)
{
    return watch_set_unref(L, true);
}

static int watch_tostring(lua_State *L)
{
    struct watch *watch = check_watch(L);
    lua_pushfstring(L, "weir.watch: fd %d%s", watch->fd,
                    watch->active ? "" : " (over)");
    return 1;
}

void lua_watch_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"set", watch_set},
                                       {"cancel", watch_cancel},
                                       {"ref", watch_ref},
                                       {"unref", watch_unref},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", watch_cancel}, {"__tostring", watch_tostring}, {NULL, NULL}};
    lua_type_new(L, WATCH_TYPE, methods, meta);
    lua_pushcfunction(L, weir_watch);
    lua_setfield(L, -2, "watch");
}
