/* A Lua function that the loop calls, perhaps again and again: a timer's, a
 * signal's, a watch's. Each call is a new task, in the context of whoever
 * registered it. */
#ifndef WEIR_HANDLER_H
#define WEIR_HANDLER_H

#include <lua.h>

#include "base/list.h"

struct context;
struct task;

struct handler {
    struct context *context;
    int object;        /* registry references: the handle, kept while set; */
    int function;      /* the function */
    struct list calls; /* struct task, by wait.room.link: those not yet begun */
};

/* Registers the function at `function` for the handle at `object`. */
void handler_set(lua_State *L, struct handler *handler, int object,
                 int function);
/* Idempotent. The handle may be collected from now on. */
void handler_clear(struct handler *handler);

/* Starts the function with the top `count` values of task_state(). */
struct task *handler_start(struct handler *handler, int count);

/* Takes back the calls that have not begun. */
void handler_drop(struct handler *handler);
/* Leaves them to themselves: the handler is about to be freed. */
void handler_forget(struct handler *handler);

#endif
