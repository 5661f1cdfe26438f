/* A line with a number asks for so many MiB of the payload, repeated. Over
 * TLS: one SSL_write per record. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services.h"

enum { RECORD = 16384, MIB = 1 << 20 };

static const char *payload;
static size_t payload_size;

void source_open(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0)
        abort();
    payload_size = (size_t)status.st_size;
    payload = mmap(NULL, payload_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE,
                   fd, 0);
    if (payload == MAP_FAILED || payload_size % RECORD != 0)
        abort();
    close(fd);
}

/* peer->count: bytes still to send. */
static void source_writable(struct peer *peer)
{
    size_t step = peer->tls ? RECORD : 4 * RECORD;

    while (peer->count > 0) {
        size_t at = (payload_size - peer->count % payload_size) % payload_size;
        size_t size = step - at % step;
        ssize_t sent = peer_transmit(peer, payload + at, size);
        if (sent < 0) {
            peer_close(peer);
            return;
        }
        peer->count -= (size_t)sent;
        if ((size_t)sent < size) {
            peer_wait(peer, EV_WRITE);
            return;
        }
    }
    peer_wait(peer, EV_READ);
}

static void source_readable(struct peer *peer)
{
    char line[32];
    ssize_t got = peer_receive(peer, line, sizeof line - 1);

    if (got == 0)
        return;
    if (got < 0) {
        peer_close(peer);
        return;
    }
    line[got] = 0;
    peer->count = strtoul(line, NULL, 10) * MIB;
    source_writable(peer);
}

const struct service source_service = {"source", source_readable,
                                       source_writable};
