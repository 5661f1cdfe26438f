/* The end of a child is seen by a pidfd where the kernel has them (Linux 5.3),
 * which works for any number of loops and touches no signal handler; else, or
 * when no descriptor is free, by SIGCHLD. libev's own ev_child is no choice:
 * it lives on the default loop and reaps everybody's children. */
#include "event/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "event/signal_watch.h"
#include "io/net.h"

static void on_child_signal(struct signal_watch *watch);
static void look(struct loop_call *call);

/* Signals belong to the whole operating system process, and so do these. */
static struct list children = {&children, &children};
static struct signal_watch child_signal = {
    .link = {&child_signal.link, &child_signal.link},
    .arrived = on_child_signal,
    .number = SIGCHLD};
static struct loop_call first_look = {
    .link = {&first_look.link, &first_look.link}, .run = look};

static int open_pidfd(pid_t pid)
{
#ifdef SYS_pidfd_open
    int fd = (int) syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0)
        net_set_cloexec(fd);
    return fd;
#else
    (void) pid;
    return -1;
#endif
}

static void update_hold(struct process *process)
{
    loop_hold(process->loop, &process->holding,
              process->running && !process->unref);
}

/* Has it ended? Then it is reaped. */
static bool reap(struct process *process)
{
    pid_t pid;
    do
        pid = waitpid(process->pid, &process->status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return false;
    process->error = pid < 0 ? errno : 0;
    return true;
}

static void finish(struct process *process)
{
    process->running = false;
    list_remove(&process->link);
    if (process->watcher.fd >= 0) {
        ev_io_stop(process->loop->ev, &process->watcher);
        close(process->watcher.fd);
        process->watcher.fd = -1;
    }
    update_hold(process);
    if (process->released)
        loop_bury(process->loop, process);
    else
        process->ended(process);
}

static void on_pidfd(struct ev_loop *ev, ev_io *watcher, int events)
{
    (void) ev;
    (void) events;
    struct process *process = watcher->data;
    if (reap(process))
        finish(process);
}

static void on_child_signal(struct signal_watch *watch)
{
    bool needed = false;
    struct list todo;
    list_init(&todo);
    list_move(&todo, &children);
    for (struct list *link; (link = list_pop(&todo));) {
        struct process *process = list_entry(link, struct process, link);
        if (process->watcher.fd < 0 && reap(process)) {
            finish(process);
            continue;
        }
        list_insert(&children, link);
        needed = needed || process->watcher.fd < 0;
    }
    if (!needed)
        signal_watch_stop(watch);
}

static void look(struct loop_call *call)
{
    (void) call;
    on_child_signal(&child_signal);
}

/* It may have ended before the signal was watched: look once anyway. */
static void watch_child_signal(struct loop *loop)
{
    if (list_empty(&child_signal.link))
        signal_watch_start(&child_signal);
    loop_next_turn(loop, &first_look);
}

/* With SIGCHLD ignored, as some parents leave it, the kernel reaps children
 * itself and their status is lost. */
static void want_children(void)
{
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
}

int process_start(struct process **result, struct loop *loop,
                  const struct spawn *spawn, int ends[3], const char **failed)
{
    pid_t pid;
    want_children();
    int error = spawn_start(spawn, &pid, ends, failed);
    if (error)
        return error;
    struct process *process = memory_new(sizeof *process);
    list_init(&process->grave);
    list_insert(&children, &process->link);
    process->loop = loop;
    process->pid = pid;
    process->group = spawn->group;
    process->running = true;
    ev_io_init(&process->watcher, on_pidfd, open_pidfd(pid), EV_READ);
    process->watcher.data = process;
    if (process->watcher.fd >= 0)
        ev_io_start(loop->ev, &process->watcher);
    else
        watch_child_signal(loop);
    update_hold(process);
    *result = process;
    return 0;
}

int process_kill(const struct process *process, int signal)
{
    if (!process->running)
        return ESRCH;
    pid_t target = process->group ? -process->pid : process->pid;
    return kill(target, signal) < 0 ? errno : 0;
}

void process_set_unref(struct process *process, bool unref)
{
    process->unref = unref;
    update_hold(process);
}

void process_release(struct process *process)
{
    process->released = true;
    process->ended = NULL;
    process->owner = NULL;
    if (!process->running)
        loop_bury(process->loop, process);
}
