/* What a round cost: CPU time of the server and of this process, and the
 * time that passed; from the kernel's own accounting, in nanoseconds. And how
 * often the server went to sleep in so many batches, so many of which did not
 * fit into the socket's buffers (see batch.h). */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>
#include <sys/types.h>

struct measure {
    pid_t server;
    int64_t server_ns, own_ns, wall_ns;
    int64_t waits, batches, torn;
};

int64_t measure_now(void);

void measure_start(struct measure *measure, pid_t server);
/* Waits until the server does nothing any more, for at most 2 seconds. */
void measure_settle(const struct measure *measure);
void measure_stop(struct measure *measure);
/* One line for the driver, `units` of work having been done. */
void measure_print(const struct measure *measure, uint64_t units);

/* Resident bytes of a process. */
long measure_resident(pid_t pid);

/* Prints the message on standard error and ends with 1. */
_Noreturn void fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
