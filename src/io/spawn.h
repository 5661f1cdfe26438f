/* Starts a command: its descriptors, directory and signals. Knows no loop.
 *
 * The child gets default signal handling (SIGPIPE too), an empty signal mask
 * and descriptors 0, 1 and 2; nothing else that weir has open. */
#ifndef WEIR_SPAWN_H
#define WEIR_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

enum spawn_kind {
    SPAWN_PIPE,    /* the other end is ours */
    SPAWN_INHERIT, /* weir's own */
    SPAWN_NULL,    /* /dev/null */
    SPAWN_FD,      /* `fd`, duplicated; made blocking if it is above 2 */
    SPAWN_STDOUT   /* of the child's stderr: the same as its stdout */
};

struct spawn_stdio {
    enum spawn_kind kind;
    int fd;
};

struct spawn {
    /* Ends with NULL; the first one is looked up in weir's PATH unless it has
     * a slash. */
    const char *const *arguments;
    /* "NAME=value", ends with NULL; or NULL: weir's own. */
    const char *const *environment;
    const char *directory; /* to start in, or NULL */
    bool group;            /* it leads a process group of its own */
    struct spawn_stdio stdio[3];
};

/* Starts it. 0, and ends[n] is our end of pipe n (non-blocking) or -1; or an
 * errno with `*failed` the command or the directory that it is about, and
 * nothing was started and nothing is left open. */
int spawn_start(const struct spawn *spawn, pid_t *pid, int ends[3],
                const char **failed);

#endif
