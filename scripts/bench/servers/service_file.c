/* Any line asks for the file; sendfile(2) sends it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "services.h"

static int file = -1;
static off_t file_size;

void file_open(const char *path)
{
    struct stat status;

    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0)
        abort();
    file_size = status.st_size;
}

/* peer->count: bytes still to send. */
static void file_writable(struct peer *peer)
{
    while (peer->count > 0) {
        off_t at = file_size - (off_t)peer->count;
        ssize_t sent = sendfile(peer->io.fd, file, &at, peer->count);
        if (sent < 0 && errno == EAGAIN) {
            peer_wait(peer, EV_WRITE);
            return;
        }
        if (sent <= 0) {
            peer_close(peer);
            return;
        }
        peer->count -= (uint64_t)sent;
    }
    peer_wait(peer, EV_READ);
}

static void file_readable(struct peer *peer)
{
    char line[256];
    ssize_t got = peer_receive(peer, line, sizeof line);

    if (got == 0)
        return;
    if (got < 0) {
        peer_close(peer);
        return;
    }
    peer->count = (uint64_t)file_size;
    file_writable(peer);
}

const struct service file_service = {"file", file_readable, file_writable};
