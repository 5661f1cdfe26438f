/* Sends without end to a server that takes blocks of 64 KiB, or looks for a
 * delimiter far away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "measure.h"
#include "workload.h"

enum {
    BLOCK = 65536,
    BLOCKS = 256, /* the server answers each so many */
    TAIL = 64,    /* with the last bytes of the last one */
    MIB = 1 << 20
};

/* LuaJIT hashes long strings by four words of them: all of them differ. */
static void stamp_block(char *block)
{
    const size_t places[] = {0, BLOCK / 4 - 4, BLOCK / 2 - 4, BLOCK - 8};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        message_letters(block + places[i], 8);
}

static void send_blocks(struct link *link, char *blocks)
{
    char tail[TAIL];
    char *block = blocks;

    for (int i = 0; i < BLOCKS; i++) {
        block = blocks + (size_t)(i % 16) * BLOCK;
        stamp_block(block);
        link_send_all(link, block, BLOCK);
    }
    link_receive_all(link, tail, TAIL);
    if (memcmp(tail, block + BLOCK - TAIL, TAIL) != 0)
        fail("the server's blocks are not the ones sent");
}

void workload_upload(const struct workload_options *options)
{
    char *blocks = malloc(MIB);
    struct measure measure;
    struct link link;

    if (!blocks)
        fail("out of memory");
    message_letters(blocks, MIB);
    link_open(&link, options->port);
    send_blocks(&link, blocks);
    measure_start(&measure, options->pid);
    for (uint64_t i = 0; i < options->mib / 16; i++)
        send_blocks(&link, blocks);
    measure_stop(&measure);
    measure_print(&measure, options->mib / 16 * 16);
    link_close(&link);
    free(blocks);
}

/* Letters, with a CR alone here and there, up to CR LF at the end. */
static void read_once(struct link *link, char *text, size_t size)
{
    char expected[32 + TAIL], answer[32 + TAIL];
    int prefix = sprintf(expected, "%zu ", size);

    message_letters(text, 64);
    message_letters(text + size - TAIL, TAIL - 2);
    memcpy(expected + prefix, text + size - TAIL, TAIL);
    link_send_all(link, text, size);
    link_receive_all(link, answer, (size_t)prefix + TAIL);
    if (memcmp(answer, expected, (size_t)prefix + TAIL) != 0)
        fail("the server found something else");
}

void workload_until(const struct workload_options *options)
{
    size_t size = options->mib * MIB + 2;
    char *text = malloc(size);
    struct measure measure;
    struct link link;

    if (!text)
        fail("out of memory");
    message_letters(text, size);
    for (size_t at = 100; at < size - TAIL; at += 5000)
        text[at] = '\r';
    memcpy(text + size - 2, "\r\n", 2);
    link_open(&link, options->port);
    read_once(&link, text, size);
    measure_start(&measure, options->pid);
    for (int i = 0; i < options->repeat; i++)
        read_once(&link, text, size);
    measure_stop(&measure);
    measure_print(&measure, (uint64_t)options->repeat);
    link_close(&link);
    free(text);
}
