/* Children on the loop, without Lua: each end is told once, each child is
 * reaped, and no descriptor stays behind or gets through. */
#include "event/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "event/signal_watch.h"

#undef NDEBUG
#include <assert.h>

static struct loop *loop;
static int ended;

static const struct spawn inherit = {
    .stdio = {{SPAWN_INHERIT, -1}, {SPAWN_INHERIT, -1}, {SPAWN_INHERIT, -1}}};

static void count_end(struct process *process)
{
    ended++;
    assert(!process->running && process->error == 0);
}

static void count_and_release(struct process *process)
{
    count_end(process);
    process_release(process);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static struct process *start(const struct spawn *template, const char *script,
                             int ends[3])
{
    const char *failed;
    struct process *process;
    const char *arguments[] = {"sh", "-c", script, NULL};
    struct spawn spawn = *template;
    spawn.arguments = arguments;
    int error = process_start(&process, loop, &spawn, ends, &failed);
    assert(error == 0);
    process->ended = count_end;
    return process;
}

static void run_until(int count)
{
    while (ended < count) {
        loop_again(loop);
        if (ended < count)
            loop_poll(loop);
        loop_free_graves(loop);
    }
    ended -= count;
}

static int status_of(const char *script)
{
    int ends[3];
    struct process *process = start(&inherit, script, ends);
    run_until(1);
    int status = process->status;
    process_release(process);
    return status;
}

static bool no_child_left(void)
{
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

static void tells_status_and_signal(void)
{
    int status = status_of("exit 7");
    assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    status = status_of("kill -TERM $$");
    assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void children_get_default_signals(void)
{
    int ends[3];
    sigset_t blocked, old;
    sigfillset(&blocked);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &blocked, &old);
    /* Signals 1 to 28: glibc leaves two of its own, 32 and 33, ignored. Of
     * grep itself: the shell blocks signals while it starts a command. */
    struct process *process = start(
        &inherit,
        "exec grep -E 'Sig(Blk|Ign).*[1-9a-f].{0,6}$' /proc/self/status", ends);
    sigprocmask(SIG_SETMASK, &old, NULL);
    run_until(1);
    assert(WIFEXITED(process->status) && WEXITSTATUS(process->status) == 1);
    process_release(process);
}

static void children_inherit_no_descriptors(void)
{
    struct spawn spawn = {
        .stdio = {{SPAWN_PIPE, -1}, {SPAWN_PIPE, -1}, {SPAWN_STDOUT, -1}}};
    int leaky = open("/dev/null", O_RDONLY);
    int ends[3];
    char text[64] = "";
    struct process *process =
        start(&spawn,
              "for n in 3 4 5 6 7 8 9 10 11 12 13; do "
              "test -e /proc/$$/fd/$n && echo $n; done; echo end >&2",
              ends);
    assert(ends[0] >= 0 && ends[1] >= 0 && ends[2] == -1);
    run_until(1);
    assert(read(ends[1], text, sizeof text - 1) > 0);
    assert(strcmp(text, "end\n") == 0);
    process_release(process);
    close(ends[0]);
    close(ends[1]);
    close(leaky);
}

static void failures_say_what_failed(void)
{
    struct spawn spawn = {.stdio = {{SPAWN_PIPE, -1}, {SPAWN_NULL, -1}}};
    const char *arguments[] = {"/nonexistent/command", NULL};
    struct process *process;
    const char *failed;
    int ends[3];
    spawn.arguments = arguments;
    assert(process_start(&process, loop, &spawn, ends, &failed) == ENOENT);
    assert(strcmp(failed, "/nonexistent/command") == 0 && ends[0] == -1);
    arguments[0] = "/";
    assert(process_start(&process, loop, &spawn, ends, &failed) == EACCES);
    spawn.directory = "/dev/null";
    assert(process_start(&process, loop, &spawn, ends, &failed) == ENOTDIR);
    assert(strcmp(failed, "/dev/null") == 0);
    assert(loop->holds == 0);
}

static void groups_are_killed_together(void)
{
    struct spawn spawn = {
        .group = true,
        .stdio = {{SPAWN_NULL, -1}, {SPAWN_PIPE, -1}, {SPAWN_INHERIT, -1}}};
    int ends[3];
    char byte;
    struct process *process = start(&spawn, "sleep 100 & sleep 100", ends);
    assert(getpgid(process->pid) == process->pid);
    usleep(100000); /* until there is a background sleep, most likely */
    assert(process_kill(process, SIGKILL) == 0);
    run_until(1);
    assert(process_kill(process, SIGKILL) == ESRCH);
    process_release(process);
    /* The end comes only when the background sleep is gone too. */
    fcntl(ends[1], F_SETFL, 0);
    assert(read(ends[1], &byte, 1) == 0);
    close(ends[1]);
}

static void many_end_at_once(int count)
{
    for (int i = 0; i < count; i++) {
        int ends[3];
        start(&inherit, "exit 0", ends)->ended = count_and_release;
    }
    assert(loop->holds == (unsigned) count);
    run_until(count);
    assert(ended == 0 && loop->holds == 0 && no_child_left());
}

static void released_ones_are_reaped(void)
{
    int ends[3];
    struct process *process = start(&inherit, "exit 0", ends);
    pid_t pid = process->pid;
    process_set_unref(process, true);
    assert(loop->holds == 0);
    process_release(process);
    while (kill(pid, 0) == 0)
        loop_poll(loop);
    loop_free_graves(loop);
    assert(no_child_left());
}

/* No descriptor is free for a pidfd: SIGCHLD tells. popen's child is left to
 * pclose meanwhile. */
static void signals_tell_without_pidfds(void)
{
    int ends[3];
    struct rlimit limit, old;
    FILE *other = popen("exit 3", "r");
    int next = dup(0);
    assert(other && next > 0);
    close(next);
    getrlimit(RLIMIT_NOFILE, &old);
    limit = old;
    limit.rlim_cur = (rlim_t) next;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct process *first = start(&inherit, "exit 4", ends);
    struct process *second = start(&inherit, "sleep 0.1; exit 5", ends);
    setrlimit(RLIMIT_NOFILE, &old);
    assert(first->watcher.fd == -1 && second->watcher.fd == -1);
    run_until(2);
    assert(WEXITSTATUS(first->status) == 4);
    assert(WEXITSTATUS(second->status) == 5);
    process_release(first);
    process_release(second);
    assert(WEXITSTATUS(pclose(other)) == 3);
}

static void no_usual_action(int number)
{
    (void) number;
}

int main(void)
{
    loop = loop_new();
    signal(SIGCHLD, SIG_IGN); /* as a careless parent leaves it */
    signal_watch_open(loop, no_usual_action);
    tells_status_and_signal();
    int before = open_descriptors();
    children_get_default_signals();
    children_inherit_no_descriptors();
    failures_say_what_failed();
    groups_are_killed_together();
    many_end_at_once(200);
    released_ones_are_reaped();
    signals_tell_without_pidfds();
    many_end_at_once(3);
    loop_free_graves(loop);
    assert(open_descriptors() == before);
    signal_watch_close();
    loop_free(loop);
    return 0;
}
