/* How long a command takes from its start to its end, or to its first byte
 * served on descriptor 3, a socket that listens already. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "link.h"
#include "measure.h"
#include "workload.h"

extern char **environ;

static pid_t spawn(char **command, int listener)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    if (listener >= 0)
        posix_spawn_file_actions_adddup2(&actions, listener, 3);
    if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ) != 0)
        fail("cannot start %s", command[0]);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static int64_t processor_time(const struct rusage *usage)
{
    return ((usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000LL +
            usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) *
           1000;
}

void workload_start(const struct workload_options *options)
{
    struct measure total = {0};

    for (int i = 0; i < options->repeat; i++) {
        struct rusage usage;
        int status;
        int64_t begin = measure_now();

        pid_t pid = spawn(options->command, -1);
        if (wait4(pid, &status, 0, &usage) != pid || status != 0)
            fail("%s failed", options->command[0]);
        total.wall_ns += measure_now() - begin;
        total.server_ns += processor_time(&usage);
    }
    measure_print(&total, (uint64_t)options->repeat);
}

static int64_t first_byte(char **command)
{
    int port, listener = link_listen(&port);
    char line[] = "first\n", answer[sizeof line];
    struct link link;
    int64_t begin = measure_now();
    pid_t pid = spawn(command, listener);

    link_open(&link, port);
    link_send_all(&link, line, sizeof line - 1);
    link_receive_all(&link, answer, sizeof line - 1);
    int64_t time = measure_now() - begin;
    if (memcmp(line, answer, sizeof line - 1) != 0)
        fail("what came back is not what was sent");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    link_close(&link);
    close(listener);
    return time;
}

void workload_serve(const struct workload_options *options)
{
    struct measure total = {0};

    for (int i = 0; i < options->repeat; i++)
        total.wall_ns += first_byte(options->command);
    measure_print(&total, (uint64_t)options->repeat);
}
