/* When the host may sleep, collect, and end (R22, R23). */
#include "lua/scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "event/signal_watch.h"
#include "event/stream.h"
#include "io/printed.h"
#include "lua/lua_stdio.h"
#include "lua/task_internal.h"

/* --- the end -------------------------------------------------------------- */

static bool waits_for_ever(const struct task *task)
{
    return task->state == TASK_WAITING && !task->unref && !task->wait.op.unref;
}

static bool deadlocked(void)
{
    struct list *tasks = &scheduler.tasks;
    for (struct list *link = tasks->next; link != tasks; link = link->next)
        if (waits_for_ever(list_entry(link, struct task, all)))
            return true;
    return false;
}

static struct task *waiting_main(void)
{
    struct list *tasks = &scheduler.tasks;
    for (struct list *link = tasks->next; link != tasks; link = link->next) {
        struct task *task = list_entry(link, struct task, all);
        if (task->main && task->state == TASK_WAITING)
            return task;
    }
    return NULL;
}

/* Busted runs in the main task: what it waits in fails, and the specs behind
 * the one that hangs get their turn. */
static void tell_main(struct task *main, int error)
{
    lua_State *L = scheduler.L;
    report_push_traceback(L, main);
    const char *text = lua_tostring(L, -1);
    scheduler.deadlock = memory_copy(text, strlen(text));
    lua_pop(L, 1);
    operation_abort(&main->wait.op, error);
}

void scheduler_cut_specs(void)
{
    struct task *main = waiting_main();
    report_tasks("weir: SIGTERM: these tasks exist:");
    if (main && !scheduler.deadlock)
        tell_main(main, ECANCELED);
}

/* Nothing is ready and nothing holds the host. Before that is the end, what
 * is unreachable is collected (it may close a stream that somebody waits for
 * the end of) and the kernel is asked once more. */
static void nothing_left(void)
{
    struct loop *loop = scheduler.loop;
    bool settled =
        list_empty(&scheduler.operations) && list_empty(&loop->streams);
    if (!settled && scheduler.quiet < 3) {
        if (scheduler.quiet++ == 1)
            collector_all();
        loop_stay_awake(loop);
        return;
    }
    struct task *main = scheduler.testing ? waiting_main() : NULL;
    if (!scheduler.draining && (main || deadlocked())) {
        report_tasks("weir: deadlock: nothing can happen any more, and these "
                     "tasks wait:");
        scheduler.failures++;
        if (main && !scheduler.deadlock) {
            tell_main(main, EDEADLK);
            return;
        }
    }
    scheduler.over = true;
}

void scheduler_idle(bool ran)
{
    struct loop *loop = scheduler.loop;
    if (task_runnable()) {
        scheduler.quiet = 0;
        return;
    }
    lua_stdio_before_wait();
    collector_idle(ran);
    if (ran || loop->stirred || loop->holds > 0)
        scheduler.quiet = 0;
    loop->stirred = false;
    if (loop->holds == 0)
        nothing_left();
}

/* --- running -------------------------------------------------------------- */

void scheduler_main(lua_State *L, int count)
{
    struct task *task = task_start(L, count, NULL, false);
    task->main = true;
}

void scheduler_stop(int status)
{
    scheduler.stopping = true;
    if (status >= 0)
        scheduler.exit_status = status;
    loop_stay_awake(scheduler.loop);
}

void task_main_failed(const char *traceback)
{
    report_line("weir: %s", traceback);
    scheduler_stop(1);
}

int scheduler_run(void)
{
    loop_run(scheduler.loop, task_turn);
    report_unjoined();
    if (scheduler.exit_status >= 0)
        return scheduler.exit_status;
    if (scheduler.testing) {
        report_line("weir: the host was stopped before all specs had run");
        return EXIT_FAILURE;
    }
    return scheduler.failures > 0 ? 1 : 0;
}

/* --- leaving without Lua -------------------------------------------------- */

static bool leaving(struct loop *loop)
{
    loop_again(loop);
    loop_flush(loop);
    loop_free_graves(loop);
    bool busy = false;
    struct list *streams = &loop->streams;
    for (struct list *link = streams->next; link != streams; link = link->next)
        busy = busy ||
               list_entry(link, struct stream, link)->phase != STREAM_CLOSED;
    return busy && !scheduler.stopping;
}

void scheduler_drain(void)
{
    struct loop *loop = scheduler.loop;
    signal_watch_in_time();
    scheduler.stopping = false;
    collector_close();
    loop_drain(loop);
    stream_each(loop, stream_leave);
    loop_run(loop, leaving);
}

int scheduler_output_status(int status)
{
    const char *reason = printed_end();
    if (!reason)
        reason = lua_stdio_lost();
    if (!reason || status != EXIT_SUCCESS)
        return status;
    report_line("weir: standard output: %s", reason);
    return EXIT_FAILURE;
}
