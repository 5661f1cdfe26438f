/* Signals, told on the loop.
 *
 * A raw handler notes what came and wakes the loop; whoever watches that
 * signal is then told, or, when nobody does, what is usual for it happens.
 * Watches do not keep the host alive.
 *
 * The raw handler does one thing by itself: the second SIGINT or SIGTERM that
 * nobody watches ends the process, with 128 + its number. Lua may be in a loop
 * that never ends then, and hooks do not reach compiled code. So does the first
 * one, a moment after the time that it leaves (see signal_watch_limit). */
#ifndef WEIR_SIGNAL_WATCH_H
#define WEIR_SIGNAL_WATCH_H

#include <stdbool.h>

#include "base/list.h"
#include "event/loop.h"

/* Words for when print writes into a pipe that nobody reads. */
#define SIGNAL_BROKEN_OUTPUT "weir: standard output: Broken pipe"

struct signal_watch {
    struct list link;
    void (*arrived)(struct signal_watch *);
    int number;
};

/* Once per process. `usual(number)` is called on the loop for SIGINT, SIGTERM
 * and SIGQUIT while nobody watches them, and for SIGPIPE when print causes it:
 * for anybody else it does nothing from now on, and yet is what it was in the
 * programs that weir starts. */
void signal_watch_open(struct loop *loop, void (*usual)(int number));
/* The process must have ended a moment after SIGINT, and `grace` seconds after
 * SIGTERM: then signal_watch_in_time is called. */
void signal_watch_limit(double grace);
void signal_watch_in_time(void);
/* What arrives from now on does what it did before signal_watch_open. */
void signal_watch_close(void);

/* May it be watched at all? Not what the kernel keeps to itself, nor what a
 * fault of the process itself raises. */
bool signal_watch_allowed(int number);
/* Any number of watches for one signal, told in the order they came. */
void signal_watch_start(struct signal_watch *watch);
/* Idempotent. The last one gone, the signal does what is usual again. */
void signal_watch_stop(struct signal_watch *watch);
/* How many watch it. */
int signal_watch_count(int number);

/* From now on SIGINT, even if it is watched, calls `handler` in the raw handler
 * too; and ends the process when that returns false, or when the one before
 * has not been told yet. */
void signal_watch_interrupts(bool (*handler)(void));
/* Has one arrived that has not been told yet? */
bool signal_watch_pending(int number);
/* What has arrived of that signal will not be told. */
void signal_watch_forget(int number);

#endif
