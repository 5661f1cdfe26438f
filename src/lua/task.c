/* Tasks and the ready queue, and the one place where C calls Lua. */
#include "lua/task.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "event/stream.h"
#include "lua/scheduler.h"
#include "lua/task_internal.h"

struct scheduler scheduler;

struct loop *task_loop(void)
{
    return scheduler.loop;
}

lua_State *task_state(void)
{
    return scheduler.L;
}

/* --- life ----------------------------------------------------------------- */

#define POOL 64

static struct list pool = {&pool, &pool};
static int pooled;

struct task *task_new(void)
{
    struct list *link = list_pop(&pool);
    struct task *task;
    if (link) {
        pooled--;
        task = list_entry(link, struct task, all);
        memset(task, 0, sizeof *task);
    } else {
        task = memory_new(sizeof *task);
    }
    task->id = ++scheduler.last_id;
    list_init(&task->ready);
    list_init(&task->wait.room.link);
    list_insert(&scheduler.tasks, &task->all);
    return task;
}

/* Most tasks are connections' and callbacks', which nobody joins. */
struct task_audience *task_audience(struct task *task)
{
    if (!task->audience) {
        task->audience = memory_new(sizeof *task->audience);
        list_init(&task->audience->joins);
        list_init(&task->audience->hooks);
    }
    return task->audience;
}

void task_free(struct task *task)
{
    list_remove(&task->all);
    list_remove(&task->ready);
    origin_release(task->origin);
    free(task->traceback);
    free(task->audience);
    if (pooled < POOL) {
        pooled++;
        list_insert(&pool, &task->all);
    } else {
        free(task);
    }
}

void task_ready(struct task *task)
{
    task->state = TASK_READY;
    list_insert(&scheduler.ready, &task->ready);
}

void task_next_turn(struct task *task)
{
    task->state = TASK_READY;
    list_insert(&scheduler.next, &task->ready);
}

struct task *task_start(lua_State *L, int count, struct stream *stream,
                        bool next_turn)
{
    struct task *task = task_new();
    task->L = thread_take();
    task->stream = stream ? stream_retain(stream) : NULL;
    task->context = context_retain(context_current());
    luaL_checkstack(task->L, count + LUA_MINSTACK, "too many arguments");
    lua_xmove(L, task->L, count + 1);
    task->arguments = count;
    if (next_turn)
        task_next_turn(task);
    else
        task_ready(task);
    return task;
}

void task_on_end(struct task *task, void (*done)(void *owner, bool raised),
                 void *owner)
{
    task->done = done;
    task->owner = owner;
}

void task_cancel(struct task *task)
{
    if (task->state == TASK_WAITING) {
        task->cancelling = true;
        operation_abort(&task->wait.op, ECANCELED);
    } else if (task->state != TASK_ENDED && !task->cancelling) {
        task->cancelled = true;
    }
}

/* --- the end of a task ---------------------------------------------------- */

static void task_raised(struct task *task)
{
    char *traceback = report_traceback(task->L);
    if (task->handled)
        task_keep_error(task);
    struct task_audience *audience = task->audience;
    bool taken = task->joined || (audience && (!list_empty(&audience->joins) ||
                                               !list_empty(&audience->hooks)));
    if (!taken && context_catch(task, traceback))
        task->joined = true;
    else if (task->main)
        task_main_failed(traceback);
    else if (!task->handled)
        report_error(task, traceback);
    task->traceback = traceback;
}

static void task_ended(struct task *task, bool raised)
{
    lua_State *L = task->L;
    task->state = TASK_ENDED;
    task->outcome = raised ? TASK_FAILED : TASK_SUCCEEDED;
    if (raised)
        task_raised(task);
    else if (task->handled)
        task_keep_results(task);
    thread_give(L, !raised && !task->exposed);
    task->L = NULL;
    context_release(task->context);
    task->context = NULL;
    struct stream *stream = task->stream;
    task->stream = NULL;
    if (task->done)
        task->done(task->owner, raised);
    if (stream)
        stream_release(stream);
    if (task->handled)
        task_tell_joins(task);
    else
        task_free(task);
}

void task_drop(struct task *task)
{
    list_remove(&task->ready);
    task_ended(task, false);
}

/* --- running -------------------------------------------------------------- */

/* What it yielded for fairness are the results that it goes on with, in the
 * next turn: in this one it would run again before the loop has looked at the
 * timers and at what arrived for others. */
static void task_go_on(struct task *task)
{
    lua_State *L = task->L;
    task->yielded = false;
    if (lua_touserdata(L, 1) == operation_wait_mark())
        lua_remove(L, 1);
    task->arguments = lua_gettop(L);
    task_next_turn(task);
}

static void task_run(struct task *task)
{
    if (task->L == NULL && !task_begin(task))
        return;
    lua_State *L = task->L;
    list_remove(&task->wait.room.link);
    scheduler.current = task;
    task->state = TASK_RUNNING;
    task->cancelling = false;
    report_forget_traceback();
    collector_on();
    int status = lua_resume(L, task->arguments);
    scheduler.current = NULL;
    collector_off();
    if (status != LUA_YIELD)
        task_ended(task, status != 0);
    else if (task->yielded)
        task_go_on(task);
}

/* Runs what is ready, until nothing is or the turn's share is used (R38). */
static void run_ready(void)
{
    int left = TASK_TURN;
    do {
        struct list *link;
        while (left > 0 && (link = list_pop(&scheduler.ready))) {
            left--;
            task_run(list_entry(link, struct task, ready));
            if (scheduler.stopping)
                return;
        }
        loop_flush(scheduler.loop);
    } while (left > 0 && !list_empty(&scheduler.ready));
}

bool task_runnable(void)
{
    return !list_empty(&scheduler.ready) || !list_empty(&scheduler.next) ||
           !loop_empty(scheduler.loop);
}

bool task_turn(struct loop *loop)
{
    bool ran = task_runnable();
    loop_again(loop);
    run_ready();
    /* First come, first served: what the turn did not get to, what it put off,
     * then what arrives before the next one. */
    list_move(&scheduler.ready, &scheduler.next);
    loop_flush(loop);
    loop_free_graves(loop);
    scheduler_idle(ran);
    if (task_runnable())
        loop_stay_awake(loop);
    return !scheduler.stopping && !scheduler.over;
}

/* --- the whole ------------------------------------------------------------ */

/* Values are the anchors' own business: nothing but a table. */
static int new_table(lua_State *L)
{
    lua_newtable(L);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void scheduler_open(lua_State *L, struct loop *loop)
{
    scheduler.L = L;
    scheduler.loop = loop;
    list_init(&scheduler.ready);
    list_init(&scheduler.next);
    list_init(&scheduler.tasks);
    list_init(&scheduler.operations);
    scheduler.threads = new_table(L);
    scheduler.anchors = new_table(L);
    scheduler.unjoined = new_table(L);
    scheduler.exit_status = -1;
    collector_open();
}
