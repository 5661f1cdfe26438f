#include "measure.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void fail(const char *format, ...)
{
    va_list arguments;

    fputs("generator: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static int64_t clock_read(clockid_t clock)
{
    struct timespec time;

    if (clock_gettime(clock, &time) < 0)
        fail("the server is gone");
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t measure_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

/* All threads of the process, to the nanosecond; /proc/PID/stat counts in
 * ticks of 10 ms. */
static int64_t process_time(pid_t pid)
{
    clockid_t clock;

    if (pid == 0)
        return 0;
    if (clock_getcpuclockid(pid, &clock) != 0)
        fail("no process %d", (int)pid);
    return clock_read(clock);
}

/* How often it slept: its first thread, which is the only one of most. */
static int64_t process_waits(pid_t pid)
{
    char path[64], line[256];
    int64_t waits = 0;

    if (pid == 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        fail("no process %d", (int)pid);
    while (fgets(line, sizeof line, file) &&
           sscanf(line, "voluntary_ctxt_switches: %" SCNd64, &waits) != 1)
        continue;
    fclose(file);
    return waits;
}

void measure_start(struct measure *measure, pid_t server)
{
    measure->server = server;
    measure->batches = measure->torn = 0;
    measure->waits = -process_waits(server);
    measure->wall_ns = -measure_now();
    measure->own_ns = -clock_read(CLOCK_PROCESS_CPUTIME_ID);
    measure->server_ns = -process_time(server);
}

void measure_settle(const struct measure *measure)
{
    int64_t before, now = process_time(measure->server);

    for (int i = 0; i < 200; i++) {
        before = now;
        usleep(10000);
        now = process_time(measure->server);
        if (now - before < 100000)
            return;
    }
}

void measure_stop(struct measure *measure)
{
    measure->server_ns += process_time(measure->server);
    measure->own_ns += clock_read(CLOCK_PROCESS_CPUTIME_ID);
    measure->wall_ns += measure_now();
    measure->waits += process_waits(measure->server);
}

void measure_print(const struct measure *measure, uint64_t units)
{
    printf("units=%" PRIu64 " server_ns=%" PRId64 " own_ns=%" PRId64
           " wall_ns=%" PRId64 " waits=%" PRId64 " batches=%" PRId64
           " torn=%" PRId64 "\n",
           units, measure->server_ns, measure->own_ns, measure->wall_ns,
           measure->waits, measure->batches, measure->torn);
}

long measure_resident(pid_t pid)
{
    char path[64];
    long pages;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        fail("no process %d", (int)pid);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}
