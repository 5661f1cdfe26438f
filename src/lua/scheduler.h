/* What the host asks of the tasks: begin, run, end. */
#ifndef WEIR_SCHEDULER_H
#define WEIR_SCHEDULER_H

#include <lua.h>
#include <stdbool.h>

struct loop;

void scheduler_open(lua_State *L, struct loop *loop);

/* Starts the function and `count` arguments on top of L as the main task: an
 * error in it ends the host. */
void scheduler_main(lua_State *L, int count);

/* Runs until nothing can happen any more, weir.stop, or an error in the main
 * task; returns the exit status. */
int scheduler_run(void);

/* Lets streams flush for at most their linger, without Lua; then returns. */
void scheduler_drain(void);

/* The exit status, given the one that there would be: not success if what was
 * printed cannot be written, which it says. Call when nothing
 * prints any more. */
int scheduler_output_status(int status);

/* SIGTERM has come while specs run: says what the one that runs waits for, and
 * cancels that, so that it can tear down. */
void scheduler_cut_specs(void);

/* Ends at the next chance, with `status` (-1: the usual one). */
void scheduler_stop(int status);

#endif
