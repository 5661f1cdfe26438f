/* Both ends of a proxy: sends into it, and compares what comes out. */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "link.h"
#include "measure.h"
#include "workload.h"

enum { CHUNK = 65536, PAYLOAD = 1 << 20 };

static size_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? (size_t)a : (size_t)b;
}

static void send_some(struct link *in, const char *payload, uint64_t *sent,
                      uint64_t total)
{
    size_t at = *sent % PAYLOAD;

    *sent += link_send(in, payload + at,
                       smaller(CHUNK, smaller(PAYLOAD - at, total - *sent)));
}

static void receive_some(struct link *out, const char *payload,
                         uint64_t *received)
{
    static char chunk[CHUNK];
    size_t at = *received % PAYLOAD;
    size_t got = link_receive(out, chunk, smaller(CHUNK, PAYLOAD - at));

    if (memcmp(chunk, payload + at, got) != 0)
        fail("what comes out of the proxy is not what went in");
    *received += got;
}

/* `total` is a multiple of PAYLOAD. */
static void pass(struct link *in, struct link *out, const char *payload,
                 uint64_t total)
{
    uint64_t sent = 0, received = 0;

    while (received < total) {
        struct pollfd polls[] = {
            {.fd = out->fd, .events = POLLIN},
            {.fd = sent < total ? in->fd : -1, .events = POLLOUT}};
        if (poll(polls, 2, 10000) <= 0)
            fail("nothing moves for 10 seconds");
        if (polls[1].revents)
            send_some(in, payload, &sent, total);
        if (polls[0].revents)
            receive_some(out, payload, &received);
    }
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
    char *payload = malloc(PAYLOAD);
    struct measure measure;
    struct link in, out;

    if (!payload)
        fail("out of memory");
    message_letters(payload, PAYLOAD);
    link_open(&in, options->port);
    link_adopt(&out, accept(listener, NULL, NULL));
    link_unblock(&in);
    link_unblock(&out);
    pass(&in, &out, payload, 16 * PAYLOAD);
    measure_start(&measure, options->pid);
    pass(&in, &out, payload, options->mib * PAYLOAD);
    measure_stop(&measure);
    measure_print(&measure, options->mib);
    link_close(&in);
    link_close(&out);
    free(payload);
}
