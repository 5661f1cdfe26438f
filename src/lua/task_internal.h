/* What the files that make up tasks share: task.c, thread.c, operation.c,
 * context.c, scheduler.c, collector.c, report.c, lua_task.c and their like. A
 * binding needs it only if it looks at tasks, or reports something itself. */
#ifndef WEIR_TASK_INTERNAL_H
#define WEIR_TASK_INTERNAL_H

#include "lua/task.h"

/* Operations that a task may complete in a row before it yields (R3). */
#define TASK_STREAK 128
/* Resumptions in one turn (R38). */
#define TASK_TURN 1024

enum task_state {
    TASK_NEW,     /* not started: its function waits in the handle */
    TASK_READY,   /* in a queue, its arguments are on its stack */
    TASK_RUNNING, /* on the C stack */
    TASK_WAITING, /* in `op` */
    TASK_ENDED
};

enum task_outcome {
    TASK_SUCCEEDED,
    TASK_FAILED,   /* it raised */
    TASK_CANCELLED /* before its first turn */
};

/* A place in a script, "script.lua:12"; counted. */
struct origin {
    unsigned references;
    int line;
    char text[];
};

/* Called once, when the task has ended. */
struct task_hook {
    struct list link;
    void (*ended)(struct task_hook *, struct task *);
};

/* Those who wait for its end. */
struct task_audience {
    struct list joins; /* struct operation, by `link` */
    struct list hooks; /* struct task_hook */
};

struct task {
    struct roomy_operation wait; /* what it waits in */
    struct list ready;
    struct list all;
    struct task_audience *audience; /* NULL: nobody has waited */
    lua_State *L;                   /* its thread, from start to end */
    struct context *context;
    struct stream *stream; /* closed if it raises */
    void (*done)(void *owner, bool raised);
    void *owner;
    struct origin *origin; /* where it was spawned, or NULL */
    char *traceback;       /* of the error that ended it */
    double deadline;       /* loop_clock; 0: none */
    unsigned id;
    int arguments; /* on its stack, for the next resume */
    int kept;      /* values in the handle: before it begins, after its end */
    unsigned streak;
    int anchor; /* of the handle, while it runs */
    enum task_state state : 8;
    enum task_outcome outcome : 8;
    bool yielded : 1;    /* suspended for fairness alone */
    bool cancelled : 1;  /* the next wait fails */
    bool cancelling : 1; /* a wait has failed, which it has not seen yet */
    bool unref : 1;
    bool exposed : 1; /* coroutine.running() gave the thread away */
    bool main : 1;
    bool handled : 1; /* a handle exists; freed when both are gone */
    bool joined : 1;  /* somebody took its error */
};

struct scheduler {
    struct loop *loop;
    lua_State *L; /* the main state */
    struct task *current;
    struct list ready, next;
    struct list tasks;      /* by `all` */
    struct list operations; /* by `all` */
    unsigned last_id;
    unsigned failures; /* uncaught errors that were reported */
    int exit_status;   /* of main chunk's error, exit or stop; -1: none */
    bool stopping;
    bool draining;  /* R24: nothing new, only what is under way */
    bool over;      /* nothing is left to wait for */
    bool testing;   /* core.deadlocked has been called */
    char *deadlock; /* of the main task, its traceback; also if SIGTERM cut */
    int quiet;      /* turns in which nothing could happen */
    /* Registry references: thread → true; operation anchors; a list of tasks
     * that failed under patient guards. */
    int threads, anchors, unjoined;
};

extern struct scheduler scheduler;

/* Room for what an operation waits on, in words. */
#define NAME_SIZE 1024

/* Pushes the function that a callback's operation will call. */
void operation_push_callback(lua_State *L, const struct operation *op);
/* Fails it with `error`, although nothing has come of it yet. */
void operation_abort(struct operation *op, int error);
/* Its task was unref'd or ref'd. */
void operation_task_unref(struct operation *op);
/* What a script's coroutine yields to its resumer when the task waits. */
void *operation_wait_mark(void);

/* threads: pooled Lua threads that tasks run on */
lua_State *thread_take(void);
/* Back to the pool; or dropped, if it cannot be used again. */
void thread_give(lua_State *thread, bool reusable);
bool thread_is_task(lua_State *L, int index);

/* origin.c: the place of the Lua function that calls; NULL if there is none */
struct origin *origin_of_caller(lua_State *L);
void origin_release(struct origin *origin);

struct task *task_new(void);
void task_free(struct task *task);
struct task_audience *task_audience(struct task *task);
void task_ready(struct task *task);
void task_next_turn(struct task *task);
bool task_runnable(void);
/* One turn of the loop; false: the last one. */
bool task_turn(struct loop *loop);
/* Ends one that nobody has a handle of before it has begun. */
void task_drop(struct task *task);
/* Fails what it waits in, or marks it to fail (R25). */
void task_cancel(struct task *task);
/* The task whose handle is at `index`; NULL if that is something else. */
struct task *task_test(lua_State *L, int index);
/* The handle of a spawned task that has not told its joins. */
void task_push_handle(lua_State *L, struct task *task);
/* Pushes what an ended task gave, its handle being at `handle` on L: what
 * join returns. */
int task_push_outcome(lua_State *L, struct task *task, int handle);
/* Everyone who joined is told; error report if nobody did. */
void task_tell_joins(struct task *task);

/* The task's function and arguments leave its handle for a thread; false if it
 * was cancelled before. */
bool task_begin(struct task *task);
/* Its results, or its error, go from task->L to the handle. */
void task_keep_results(struct task *task);
void task_keep_error(struct task *task);

/* scheduler.c */
void task_main_failed(const char *traceback);
/* collector.c: it works while Lua code runs, and not otherwise */
void collector_open(void);
void collector_close(void);
void collector_on(void);
void collector_off(void);
/* Not in between: for who allocates and is in the midst of what finalizers
 * change. The second is given what the first returned. */
bool collector_hold(void);
void collector_go_on(bool worked);
/* A whole cycle, now. */
void collector_all(void);
/* One of so many bytes is about to be made. */
void collector_note_string(size_t size);
/* Nothing runs: an idle host collects what is left in the background. */
void collector_idle(bool ran);
/* At a turn's end: may the host sleep, collect, end? */
void scheduler_idle(bool ran);

struct context *context_retain(struct context *context);
/* Hands an uncaught error (on top of task->L) to the guard: true if there is
 * one. */
bool context_catch(struct task *task, const char *traceback);

/* The error on top of L as text, whatever it is; pushes it on `to`. */
const char *report_text(lua_State *to, lua_State *L);
/* Pushes the traceback of a task, of the coroutines first in which it waits. */
void report_push_traceback(lua_State *L, const struct task *task);
/* How many bytes of a traceback are about the script: not what stands below it,
 * the command line's own code, and busted under a spec. */
size_t report_script_part(const char *traceback);
/* With the traceback of L, where the error happened. */
char *report_traceback(lua_State *L);
void report_error(struct task *task, const char *traceback);
/* One that failed, or all, unless somebody joined them. */
void report_unjoined_task(struct task *task);
void report_unjoined(void);
/* `error` at `index` is raised again: the traceback is of where it was. */
void report_keep_traceback(lua_State *L, int index, const char *traceback);
/* An error is raised again before anything else runs, or never. */
void report_forget_traceback(void);
const char *task_state_name(const struct task *task);
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Every task, what it waits for, and its traceback, on standard error. */
void report_tasks(const char *headline);

#endif
