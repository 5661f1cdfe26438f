/* Many connections: what they cost to come and go, and to keep. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "measure.h"
#include "workload.h"

enum { SIZE = 64 };

static void exchange(struct link *link)
{
    static const struct message_form form = {MESSAGE_LINE, SIZE};
    char sent[SIZE], answer[SIZE];

    message_make(&form, sent, sent);
    link_send_all(link, sent, SIZE);
    link_receive_all(link, answer, SIZE);
    if (memcmp(sent, answer, SIZE) != 0)
        fail("what came back is not what was sent");
}

static struct link *open_all(const struct workload_options *options,
                             int count)
{
    struct link *links = calloc((size_t)count, sizeof *links);

    if (!links)
        fail("out of memory");
    for (int i = 0; i < count; i++) {
        link_open(&links[i], options->port);
        exchange(&links[i]);
    }
    return links;
}

static void close_all(struct link *links, int count)
{
    for (int i = 0; i < count; i++)
        link_finish(&links[i]);
    free(links);
}

/* Opens so many, one line each, then closes them all; again and again. */
void workload_connections(const struct workload_options *options)
{
    int count = options->connections;
    struct measure measure;

    measure_start(&measure, options->pid);
    for (int i = 0; i < options->repeat; i++) {
        close_all(open_all(options, count), count);
        measure_settle(&measure);
    }
    measure_stop(&measure);
    measure_print(&measure, (uint64_t)options->repeat * (uint64_t)count);
}

/* What the server holds once that no longer changes: collectors and the like
 * have half a second without a change, two at most. */
static long resident_at_rest(pid_t server)
{
    long before, now = measure_resident(server);
    int still = 0;

    for (int i = 0; i < 20 && still < 5; i++) {
        before = now;
        usleep(100000);
        now = measure_resident(server);
        still = now == before ? still + 1 : 0;
    }
    return now;
}

/* What so many more of them hold, idle, after one line each. What all share
 * is there already: a tenth as many have come and gone, and as many again
 * stay, so that memory that has been used is used again before it counts. */
void workload_idle(const struct workload_options *options)
{
    int count = options->connections;
    struct measure measure = {.server = options->pid};

    close_all(open_all(options, count / 10), count / 10);
    measure_settle(&measure);
    open_all(options, count / 10);
    long before = resident_at_rest(options->pid);
    open_all(options, count);
    long after = resident_at_rest(options->pid);
    printf("units=%d resident=%ld\n", count, after - before);
}
