/* Both ends of a proxy: sends into it, and compares what comes out. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "batch.h"
#include "workload.h"

enum {
    MIB = 1 << 20,
    BATCH = 2 * MIB, /* what the buffers on the way hold, the last one's too */
    CHUNK = 65536,
    WARM_UP = 8      /* batches */
};

static void receive(struct link *out, const char *expected)
{
    static char chunk[CHUNK];

    for (size_t have = 0; have < BATCH;) {
        size_t size = BATCH - have < CHUNK ? BATCH - have : CHUNK;
        size_t got = link_receive(out, chunk, size);

        if (got == 0)
            fail("nothing moves for 10 seconds");
        if (memcmp(chunk, expected + have, got) != 0)
            fail("what comes out of the proxy is not what went in");
        have += got;
    }
}

/* The proxy works while this end sleeps. */
static void pass(struct link *in, struct link *out, struct measure *measure,
                 char *batch)
{
    message_stamp(batch, BATCH);
    batch_expect(out, BATCH);
    batch_send(in, measure, batch, BATCH);
    batch_await(out, measure, BATCH);
    receive(out, batch);
}

static int accept_upstream(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        fail("cannot listen on port %d", port);
    return fd;
}

void workload_proxy(const struct workload_options *options)
{
    int listener = accept_upstream(options->upstream);
    uint64_t batches = options->mib * MIB / BATCH;
    struct measure measure = {.server = options->pid};
    char *batch = malloc(BATCH);
    struct link in, out;

    if (!batch)
        fail("out of memory");
    message_letters(batch, BATCH);
    link_open(&in, options->port);
    link_adopt(&out, accept(listener, NULL, NULL));
    for (int i = 0; i < WARM_UP; i++)
        pass(&in, &out, &measure, batch);
    measure_start(&measure, options->pid);
    for (uint64_t i = 0; i < batches; i++)
        pass(&in, &out, &measure, batch);
    measure_stop(&measure);
    measure_print(&measure, batches * BATCH / MIB);
    link_close(&in);
    link_close(&out);
    free(batch);
}
