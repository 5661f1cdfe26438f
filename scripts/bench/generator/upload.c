/* Sends without end to a server that takes blocks of 64 KiB, or looks for a
 * delimiter far away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "workload.h"

enum {
    MIB = 1 << 20,
    BATCH = 64 * MIB, /* the server answers each so many bytes, which are in
                         no cache any more, as if a network card had put them
                         into memory, */
    TAIL = 64         /* with the last ones */
};

static void send_blocks(struct link *link, struct measure *measure,
                        char *blocks)
{
    char tail[TAIL];

    message_stamp(blocks, BATCH);
    batch_send(link, measure, blocks, BATCH);
    link_receive_all(link, tail, TAIL);
    if (memcmp(tail, blocks + BATCH - TAIL, TAIL) != 0)
        fail("the server's blocks are not the ones sent");
}

void workload_upload(const struct workload_options *options)
{
    uint64_t batches = options->mib * MIB / BATCH;
    struct measure measure = {.server = options->pid};
    char *blocks = malloc(BATCH);
    struct link link;

    if (!blocks)
        fail("out of memory");
    message_letters(blocks, BATCH);
    link_open(&link, options->port);
    send_blocks(&link, &measure, blocks);
    measure_start(&measure, options->pid);
    for (uint64_t i = 0; i < batches; i++)
        send_blocks(&link, &measure, blocks);
    measure_stop(&measure);
    measure_print(&measure, batches * BATCH / MIB);
    link_close(&link);
    free(blocks);
}

/* Letters, with a CR alone here and there, up to CR LF at the end. */
static void read_once(struct link *link, struct measure *measure, char *text,
                      size_t size)
{
    char expected[32 + TAIL], answer[32 + TAIL];
    int prefix = sprintf(expected, "%zu ", size);

    message_letters(text, 64);
    message_letters(text + size - TAIL, TAIL - 2);
    memcpy(expected + prefix, text + size - TAIL, TAIL);
    batch_send(link, measure, text, size);
    link_receive_all(link, answer, (size_t)prefix + TAIL);
    if (memcmp(answer, expected, (size_t)prefix + TAIL) != 0)
        fail("the server found something else");
}

void workload_until(const struct workload_options *options)
{
    size_t size = options->mib * MIB + 2;
    struct measure measure = {.server = options->pid};
    char *text = malloc(size);
    struct link link;

    if (!text)
        fail("out of memory");
    message_letters(text, size);
    for (size_t at = 100; at < size - TAIL; at += 5000)
        text[at] = '\r';
    memcpy(text + size - 2, "\r\n", 2);
    link_open(&link, options->port);
    for (int i = 0; i < 2; i++)
        read_once(&link, &measure, text, size);
    measure_start(&measure, options->pid);
    for (int i = 0; i < options->repeat; i++)
        read_once(&link, &measure, text, size);
    measure_stop(&measure);
    measure_print(&measure, (uint64_t)options->repeat);
    link_close(&link);
    free(text);
}
