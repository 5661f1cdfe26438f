/* Has the server send a file, or a payload, and compares every byte. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch.h"
#include "workload.h"

enum { CHUNK = 65536, MIB = 1 << 20, WARM_UP = 2 };

static const char *map_file(const char *path, size_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0)
        fail("cannot open %s", path);
    *size = (size_t)status.st_size;
    void *data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd,
                      0);
    close(fd);
    if (data == MAP_FAILED)
        fail("cannot map %s", path);
    return data;
}

/* One byte at a time: nothing of the body may be swallowed. */
static void skip_header(struct link *link)
{
    char last[4] = "";

    while (memcmp(last, "\r\n\r\n", 4) != 0) {
        memmove(last, last + 1, 3);
        link_receive_all(link, last + 3, 1);
    }
}

static void request(const struct workload_options *options,
                    struct link *link)
{
    char text[256];
    int size = options->http
                   ? snprintf(text, sizeof text,
                              "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n",
                              options->http)
                   : snprintf(text, sizeof text, "%u\n",
                              (unsigned)options->mib);

    link_send_all(link, text, (size_t)size);
}

static void receive(struct link *link, uint64_t total, const char *file,
                    size_t file_size)
{
    static char chunk[CHUNK];

    for (uint64_t have = 0; have < total;) {
        size_t at = have % file_size;
        uint64_t wanted = file_size - at;
        if (wanted > total - have)
            wanted = total - have;
        if (wanted > CHUNK)
            wanted = CHUNK;
        size_t got = link_receive(link, chunk, wanted);
        if (memcmp(chunk, file + at, got) != 0)
            fail("what was sent is not the file");
        have += got;
    }
}

/* The server sends while this end sleeps. */
static void download(const struct workload_options *options,
                     struct link *link, struct measure *measure,
                     const char *file, size_t file_size)
{
    uint64_t total = options->mib * MIB;

    batch_expect(link, total);
    request(options, link);
    batch_await(link, measure, total);
    if (options->http)
        skip_header(link);
    receive(link, total, file, file_size);
}

void workload_download(const struct workload_options *options)
{
    size_t file_size;
    const char *file = map_file(options->file, &file_size);
    struct measure measure = {.server = options->pid};
    struct link link;

    link_open(&link, options->port);
    for (int i = 0; i < WARM_UP; i++)
        download(options, &link, &measure, file, file_size);
    measure_start(&measure, options->pid);
    for (int i = 0; i < options->repeat; i++)
        download(options, &link, &measure, file, file_size);
    measure_stop(&measure);
    measure_print(&measure, (uint64_t)options->repeat * options->mib);
    link_close(&link);
}
