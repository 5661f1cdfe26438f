/* Tasks, and the operations that they and callbacks wait for.
 *
 * Every Lua function the host calls runs in a task: a Lua thread of its own.
 * A completion puts results on the waiter's stack and the task on the ready
 * queue; the queue is drained once a turn, the only place where C calls
 * Lua. A callback is a function that a pooled thread starts with when its
 * operation completes. (DESIGN §3.1.)
 *
 * A binding that may wait looks like this:
 *
 *     struct call call;
 *     call_parse(L, &call, 2, option_names, "sleep"); // [options], [callback]
 *     // … check every argument; raise; no side effect so far …
 *     int early = call_refused(L, &call);   // a deadline passed, a cancel
 *     if (early)
 *         return early;
 *     int error = thing_try(thing);         // finishes, waits or fails
 *     if (error == 0) {
 *         lua_pushboolean(L, true);
 *         return call_return(L, &call, 1);  // results on top
 *     }
 *     if (error != THING_WAIT)
 *         return call_fail(L, &call, error, "message");
 *     struct operation *op = call_wait(L, &call, &sleep_class, -1);
 *     op->object = thing;
 *     thing->operation = op;
 *     return call_suspend(L, &call, 1);     // what the C function returns
 *
 * and its completion, from the loop, never from inside the call above:
 *
 *     lua_State *to = operation_results(op);
 *     lua_pushboolean(to, true);
 *     operation_finish(op, 1);              // op is gone after this
 * or
 *     operation_fail(op, error, "message");  // nil, message, code
 *
 * with NULL for the message: "NAME DESCRIPTION: error_text(error)". */
#ifndef WEIR_TASK_H
#define WEIR_TASK_H

#include <ev.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "event/loop.h"
#include "event/stream.h"

struct task;
struct context;
struct operation;
struct operation_timer;

/* Other members than these are false or NULL, mostly. */
struct operation_class {
    /* "read_until", for messages and reports. */
    const char *name;
    /* Unhooks `op` from what would complete it; must not call back. What is
     * below stays usable, except where R25 says otherwise. */
    void (*cancel)(struct operation *op);
    /* In its place where the object ends with it (R25), for that reason. The
     * operation may be gone by then, having been told first (R17). */
    void (*abandon)(void *object, int error, const char *message);
    /* What it waits on, such as "127.0.0.1:80"; NULL if nothing. */
    void (*describe)(struct operation *op, char *text, size_t size);
    /* Only other tasks can complete it (join, channel): it does not keep the
     * host alive. */
    bool internal;
    /* The object is a struct lua_stream: it is a stream's operation (R19). */
    bool of_stream;
    /* A callback's has no struct operation_room: there may be very many. */
    bool bare;
};

struct operation {
    struct list all; /* every pending operation */
    const struct operation_class *class;
    void *object; /* the binding's */
    union {
        struct task *task;       /* the one that waits; if `callback` is 0 */
        struct context *context; /* a callback's */
    };
    double since;                  /* the turn's, by loop_clock */
    struct operation_timer *timer; /* NULL: it may wait for ever */
    lua_State *thread; /* the (sub)coroutine that called, for reports; from
                          operation_results on, where the results go */
    int callback;      /* its anchor; 0 for a task */
    bool holding;
    bool unref;    /* its object is unref'd */
    bool internal; /* the class', unless operation_set_internal said so */
};

/* What a binding may keep with it. */
struct operation_room {
    union {
        struct list link; /* in a queue of waiters */
        struct stream_waiter waiter;
        struct {
            struct list same_link;
            union {
                long number;
                void *pointer;
            } slot[2];
        };
    };
    uint64_t count;
};

struct roomy_operation {
    struct operation op;
    struct operation_room room;
};

/* Not of a class that is bare. */
static inline struct operation_room *operation_room(struct operation *op)
{
    return &list_entry(op, struct roomy_operation, op)->room;
}

/* The operation whose room's `link`, or `waiter`, that is. */
static inline struct operation *operation_of(void *link)
{
    return &list_entry(link, struct roomy_operation, room)->op;
}

/* NULL for a callback. */
static inline struct task *operation_task(const struct operation *op)
{
    return op->callback ? NULL : op->task;
}

/* How an operation was called. */
struct call {
    int options;    /* stack index, or 0 */
    int callback;   /* stack index, or 0: the task waits */
    double timeout; /* seconds; < 0: none */
    const char *name;
    struct stream *stream;       /* set by a stream's bindings (R19) */
    struct operation *operation; /* after call_wait */
};

/* Reads `[options], [callback]` from `index` on: the last argument may be a
 * callback, the one before it (or it) a table. Unknown option keys raise,
 * naming the known ones (`known` ends with NULL; "timeout" must be in it to be
 * accepted, and lands in call->timeout). Without a callback it raises where
 * the task cannot wait (§1). Extra arguments raise. */
void call_parse(lua_State *L, struct call *call, int index,
                const char *const known[], const char *name);

/* The same, but without raising where one cannot wait: call_may_wait says. */
void call_parse_only(lua_State *L, struct call *call, int index,
                     const char *const known[], const char *name);
bool call_may_wait(lua_State *L);

/* Is the running task cancelled, past its deadline, or due to yield (R3)
 * while either is so? Then what to return; 0 if not. */
int call_refused(lua_State *L, struct call *call);

/* The results are the top `count` values: returns them, or yields first
 * (R3), or queues the callback with them (R2). */
int call_return(lua_State *L, struct call *call, int count);
/* The same for nil, message, code. */
int call_fail(lua_State *L, struct call *call, int error, const char *message);

/* Makes the operation that waits. Its timeout is the smallest of the call's
 * (or, where that is not given, `fallback`; < 0: none) and what is left of the
 * task's deadline. */
struct operation *call_wait(lua_State *L, struct call *call,
                            const struct operation_class *class,
                            double fallback);
/* The last thing a binding does: returns what the C function returns. The
 * value at `object_index` (0: none) is kept alive until the operation ends. */
int call_suspend(lua_State *L, struct call *call, int object_index);

/* The stream whose operation it is, or NULL. */
struct stream *operation_stream(const struct operation *op);

lua_State *operation_results(struct operation *op);
void operation_finish(struct operation *op, int count);
void operation_fail(struct operation *op, int error, const char *message);
/* Its object was unref'd or ref'd. */
void operation_unref(struct operation *op, bool unref);
/* Only tasks can complete it, or something outside can too. */
void operation_set_internal(struct operation *op, bool internal);

/* Puts the function and `count` arguments on top of L's stack (popped) into a
 * new task, which runs in this turn, or in the next one. `stream` (may be
 * NULL) is closed if it raises (R19). */
struct task *task_start(lua_State *L, int count, struct stream *stream,
                        bool next_turn);

/* `done(owner, raised)` is called when the task has ended. */
void task_on_end(struct task *task, void (*done)(void *owner, bool raised),
                 void *owner);

/* The context that what is registered now inherits; NULL or counted. */
struct context *context_current(void);
void context_release(struct context *context);
/* What task_start does next happens in `context` (NULL: the current one's). */
void context_enter(struct context *context);

/* The loop that everything is on, and the main Lua state. */
struct loop *task_loop(void);
lua_State *task_state(void);

/* Pushes nil, message, code: the one place that does. Returns 3. */
int push_failure(lua_State *L, int error, const char *message);

#endif
