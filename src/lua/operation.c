/* Operations: how a call waits, and how what it waited for comes back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/stream.h"
#include "lua/arguments.h"
#include "lua/lua_coroutine.h"
#include "lua/lua_stream.h"
#include "lua/task_internal.h"

struct operation_timer {
    ev_timer timer;
    double seconds; /* for the message */
};

/* What a coroutine that the script made yields to say: wait with me. */
static char wait_mark;

void *operation_wait_mark(void)
{
    return &wait_mark;
}

/* --- callbacks' operations are pooled; each keeps its anchor -------------- */

static struct list bare = {&bare, &bare}, roomy = {&roomy, &roomy};
static int anchors;

static struct list *pool_of(const struct operation_class *class)
{
    return class->bare ? &bare : &roomy;
}

static struct operation *callback_operation(const struct operation_class *class)
{
    struct list *link = list_pop(pool_of(class));
    if (link)
        return list_entry(link, struct operation, all);
    struct operation *op =
        memory_new(class->bare ? sizeof *op : sizeof(struct roomy_operation));
    op->callback = 2 * ++anchors - 1;
    return op;
}

/* The place in a queue that it may have. */
static struct list *place_of(struct operation *op)
{
    return op->callback && op->class->bare ? NULL : &operation_room(op)->link;
}

/* anchors[callback] is the function, anchors[callback + 1] the object. */
static void set_anchors(lua_State *L, struct operation *op, int function,
                        int object)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, scheduler.anchors);
    lua_pushvalue(L, function);
    lua_rawseti(L, -2, op->callback);
    if (object) {
        lua_pushvalue(L, object);
        lua_rawseti(L, -2, op->callback + 1);
    }
    lua_pop(L, 1);
}

static void clear_anchors(struct operation *op)
{
    lua_State *L = scheduler.L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, scheduler.anchors);
    lua_pushnil(L);
    lua_rawseti(L, -2, op->callback);
    lua_pushnil(L);
    lua_rawseti(L, -2, op->callback + 1);
    lua_pop(L, 1);
}

/* --- the call ------------------------------------------------------------- */

bool call_may_wait(lua_State *L)
{
    return lua_coroutine_may_wait(L);
}

static void check_may_wait(lua_State *L, const char *name)
{
    if (call_may_wait(L))
        return;
    const char *place = lua_coroutine_blocked_by(L);
    call_error(L,
               "%s cannot wait here, across a C call (%s): give it a callback, "
               "or run this in weir.spawn",
               name,
               place ? place
                     : "such as require, dofile, table.sort, string.gsub, an "
                       "xpcall handler or __gc");
}

void call_parse_only(lua_State *L, struct call *call, int index,
                     const char *const known[], const char *name)
{
    int last = lua_gettop(L);
    while (last >= index && lua_isnil(L, last))
        last--;
    *call = (struct call){.timeout = -1, .name = name};
    if (last >= index && lua_isfunction(L, last))
        call->callback = last--;
    if (last > index)
        argument_error(L, last, "callback (a function) expected");
    if (last == index && !lua_isnil(L, index)) {
        if (!lua_istable(L, index))
            argument_error(L, index, "options (a table) or callback expected");
        call->options = index;
        options_check(L, index, known, name);
        call->timeout = options_seconds(L, index, "timeout", -1);
    }
}

void call_parse(lua_State *L, struct call *call, int index,
                const char *const known[], const char *name)
{
    call_parse_only(L, call, index, known, name);
    if (!call->callback)
        check_may_wait(L, name);
}

static bool deadline_passed(lua_State *L)
{
    double deadline = lua_coroutine_deadline(L);
    return deadline > 0 && loop_clock() >= deadline;
}

int call_refused(lua_State *L, struct call *call)
{
    struct task *task = scheduler.current;
    if (call->callback || task->streak < TASK_STREAK)
        return 0;
    if (task->cancelled) {
        task->cancelled = false;
        return call_fail(L, call, ECANCELED, NULL);
    }
    if (deadline_passed(L))
        return call_fail(L, call, ETIMEDOUT, NULL);
    return 0;
}

/* Yields `count` values; through a script's own coroutines with the mark. */
static int yield(lua_State *L, int count)
{
    if (L == scheduler.current->L)
        return lua_yield(L, count);
    lua_pushlightuserdata(L, &wait_mark);
    lua_insert(L, -count - 1);
    return lua_yield(L, count + 1);
}

int call_return(lua_State *L, struct call *call, int count)
{
    struct task *task = scheduler.current;
    if (call->callback) {
        lua_pushvalue(L, call->callback);
        lua_insert(L, -count - 1);
        task_start(L, count, call->stream, false);
        return 0;
    }
    if (++task->streak <= TASK_STREAK)
        return count;
    task->streak = 0;
    task->yielded = true;
    return yield(L, count);
}

int call_fail(lua_State *L, struct call *call, int error, const char *message)
{
    if (message) {
        push_failure(L, error, message);
    } else {
        char text[256];
        snprintf(text, sizeof text, "%s: %s", call->name, error_text(error));
        push_failure(L, error, text);
    }
    return call_return(L, call, 3);
}

static void timed_out(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void) ev;
    (void) events;
    operation_abort(timer->data, ETIMEDOUT);
}

static void start_timer(struct operation *op, double seconds)
{
    struct operation_timer *timer = memory_new(sizeof *timer);
    op->timer = timer;
    timer->seconds = seconds;
    ev_init(&timer->timer, timed_out);
    timer->timer.data = op;
    loop_start_timer(scheduler.loop, &timer->timer, seconds);
}

static void stop_timer(struct operation *op)
{
    if (!op->timer)
        return;
    ev_timer_stop(scheduler.loop->ev, &op->timer->timer);
    free(op->timer);
    op->timer = NULL;
}

static void update_hold(struct operation *op)
{
    const struct task *task = operation_task(op);
    bool hold =
        !op->unref && !(task && task->unref) && (!op->internal || op->timer);
    loop_hold(scheduler.loop, &op->holding, hold);
}

struct operation *call_wait(lua_State *L, struct call *call,
                            const struct operation_class *class,
                            double fallback)
{
    struct task *task = call->callback ? NULL : scheduler.current;
    struct operation *op = task ? &task->wait.op : callback_operation(class);
    double timeout = call->timeout >= 0 ? call->timeout : fallback;
    list_insert(&scheduler.operations, &op->all);
    op->class = class;
    struct list *place = place_of(op);
    if (place)
        list_init(place);
    op->object = NULL;
    if (task)
        op->task = task;
    else
        op->context = context_retain(context_current());
    op->thread = L;
    op->holding = op->unref = false;
    op->internal = class->internal;
    op->timer = NULL;
    if (task) {
        task->state = TASK_WAITING;
        task->streak = 0;
        double deadline = lua_coroutine_deadline(L);
        if (deadline > 0) {
            double left = deadline - loop_clock();
            if (timeout < 0 || left < timeout)
                timeout = left > 0 ? left : 0;
        }
    }
    if (timeout >= 0 && timeout < LOOP_NEVER)
        start_timer(op, timeout);
    op->since = loop_began(scheduler.loop);
    update_hold(op);
    call->operation = op;
    return op;
}

/* "NAME DESCRIPTION: error_text(error)"; to be freed. */
static char *message_of(struct operation *op, int error)
{
    char target[NAME_SIZE] = "";
    if (op->class->describe)
        op->class->describe(op, target, sizeof target);
    const char *space = target[0] ? " " : "";
    if (error == ETIMEDOUT && op->timer)
        return memory_format("%s%s%s: timed out after %.3g s", op->class->name,
                             space, target, op->timer->seconds);
    return memory_format("%s%s%s: %s", op->class->name, space, target,
                         error_text(error));
}

static void operation_end(struct operation *op)
{
    stop_timer(op);
    loop_hold(scheduler.loop, &op->holding, false);
    list_remove(&op->all);
    struct list *place = place_of(op);
    if (place)
        list_remove(place);
}

/* A cancelled or overdue task does not even begin to wait. */
static int refused(lua_State *L, struct operation *op)
{
    struct task *task = op->task;
    int error = 0;
    if (task->cancelled)
        error = ECANCELED;
    else if (deadline_passed(op->thread))
        error = ETIMEDOUT;
    if (!error)
        return 0;
    task->cancelled = task->cancelled && error != ECANCELED;
    char *message = message_of(op, error);
    if (op->class->abandon)
        op->class->abandon(op->object, error, message);
    else
        op->class->cancel(op);
    operation_end(op);
    task->state = TASK_RUNNING;
    push_failure(L, error, message);
    free(message);
    return 3;
}

int call_suspend(lua_State *L, struct call *call, int object_index)
{
    struct operation *op = call->operation;
    if (call->callback) {
        set_anchors(L, op, call->callback, object_index);
        return 0;
    }
    int results = refused(L, op);
    if (results)
        return results;
    if (!object_index)
        return yield(L, 0);
    lua_pushvalue(L, object_index);
    return yield(L, 1);
}

/* --- the completion ------------------------------------------------------- */

struct stream *operation_stream(const struct operation *op)
{
    const struct lua_stream *box = op->object;
    return op->class->of_stream ? box->stream : NULL;
}

void operation_push_callback(lua_State *L, const struct operation *op)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, scheduler.anchors);
    lua_rawgeti(L, -1, op->callback);
    lua_remove(L, -2);
}

lua_State *operation_results(struct operation *op)
{
    struct task *task = operation_task(op);
    if (task) {
        op->thread = task->L;
        lua_settop(op->thread, 0);
        return op->thread;
    }
    op->thread = thread_take();
    operation_push_callback(op->thread, op);
    return op->thread;
}

void operation_finish(struct operation *op, int count)
{
    struct task *task = operation_task(op);
    lua_State *to = op->thread;
    operation_end(op);
    if (!task) {
        task = task_new();
        task->L = to;
        task->context = op->context;
        struct stream *stream = operation_stream(op);
        task->stream = stream ? stream_retain(stream) : NULL;
        list_insert(pool_of(op->class), &op->all);
        clear_anchors(op);
    }
    task->arguments = count;
    task_ready(task);
}

void operation_fail(struct operation *op, int error, const char *message)
{
    char *own = message ? NULL : message_of(op, error);
    lua_State *to = operation_results(op);
    push_failure(to, error, own ? own : message);
    free(own);
    operation_finish(op, 3);
}

void operation_abort(struct operation *op, int error)
{
    char *message = message_of(op, error);
    const struct operation_class *class = op->class;
    void *object = op->object;
    if (!class->abandon)
        class->cancel(op);
    operation_fail(op, error, message);
    if (class->abandon)
        class->abandon(object, error, message);
    free(message);
}

void operation_unref(struct operation *op, bool unref)
{
    op->unref = unref;
    update_hold(op);
}

void operation_set_internal(struct operation *op, bool internal)
{
    op->internal = internal;
    update_hold(op);
}

void operation_task_unref(struct operation *op)
{
    update_hold(op);
}

int push_failure(lua_State *L, int error, const char *message)
{
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, error_code(error));
    return 3;
}
