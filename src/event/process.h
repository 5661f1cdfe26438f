/* A child process on the loop: seen when it ends, and always reaped.
 *
 * Each child is waited for by its own pid, never by waitpid(-1): io.popen and
 * libraries have children too. A running process keeps the host alive unless
 * it is unref'd. */
#ifndef WEIR_PROCESS_H
#define WEIR_PROCESS_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/list.h"
#include "event/loop.h"
#include "io/spawn.h"

struct process {
    struct list grave; /* first: see loop_bury */
    struct list link;  /* every running process */
    struct loop *loop;
    /* It has ended, and `status` or `error` say how. Called once, from the
     * loop, never after process_release. */
    void (*ended)(struct process *);
    void *owner;
    ev_io watcher; /* its fd is a pidfd, or -1: SIGCHLD tells */
    pid_t pid;
    int status; /* as waitpid gave it */
    int error;  /* ECHILD: somebody else has reaped it */
    bool running;
    bool group; /* kill goes to its process group */
    bool unref;
    bool holding;
    bool released;
};

/* Starts a command; results as spawn_start's. */
int process_start(struct process **process, struct loop *loop,
                  const struct spawn *spawn, int ends[3], const char **failed);

/* kill(2), also of a group; ESRCH once it has been reaped, when the number
 * may already be another's. */
int process_kill(const struct process *process, int signal);

void process_set_unref(struct process *process, bool unref);

/* The owner is done with it: it runs on, and is still reaped. */
void process_release(struct process *process);

#endif
