#include "io/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/memory.h"

struct faults {
    struct transport transport; /* first */
    struct transport *inner;
    struct faults_options options;
    uint64_t random; /* its state */
    uint64_t moved;  /* bytes, both ways */
    ssize_t ahead;   /* what a read ahead gave: `byte`, an end or a failure */
    int ahead_error;
    bool has_ahead;
    char byte;
    bool gone; /* the connection was reset */
};

static struct faults *faults_of(struct transport *transport)
{
    return (struct faults *) (void *) transport;
}

/* A number below `below`: xorshift, Marsaglia, J. Stat. Software 8 (14). */
static size_t random_below(struct faults *faults, size_t below)
{
    faults->random ^= faults->random << 13;
    faults->random ^= faults->random >> 7;
    faults->random ^= faults->random << 17;
    return (size_t) ((faults->random >> 11) % below);
}

static bool has_to_wait(struct faults *faults)
{
    unsigned wait = faults->options.wait;
    return wait > 0 && random_below(faults, wait) == 0;
}

static size_t cut(struct faults *faults, size_t size)
{
    size_t most = faults->options.most;
    if (most == 0 || size == 0)
        return size;
    return 1 + random_below(faults, size < most ? size : most);
}

/* --- resets --------------------------------------------------------------- */

/* A TCP peer sees a reset now; a unix one, the end. */
static void reset(struct faults *faults)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int fd = faults->transport.fd;
    faults->gone = true;
    if (connect(fd, &nobody, sizeof nobody) != 0)
        shutdown(fd, SHUT_RDWR);
}

static ssize_t moved(struct faults *faults, ssize_t count)
{
    uint64_t most = faults->options.reset_after;
    if (count == IO_FAILED)
        faults->transport.error = faults->inner->error;
    if (count > 0)
        faults->moved += (uint64_t) count;
    if (most > 0 && faults->moved >= most)
        reset(faults);
    return count;
}

/* --- the transport -------------------------------------------------------- */

/* Looks whether the end has come with the bytes just read. */
static void look_ahead(struct faults *faults)
{
    struct transport *inner = faults->inner;
    ssize_t count = inner->class->read(inner, &faults->byte, 1);
    faults->has_ahead = count != IO_WANT_READ && count != IO_WANT_WRITE;
    faults->ahead = count;
    faults->ahead_error = inner->error;
}

static ssize_t take_ahead(struct faults *faults, char *data)
{
    faults->has_ahead = false;
    if (faults->ahead > 0)
        *data = faults->byte;
    ssize_t count = moved(faults, faults->ahead);
    faults->transport.error = faults->ahead_error;
    return count;
}

static ssize_t faults_read(struct transport *transport, void *data, size_t size)
{
    struct faults *faults = faults_of(transport);
    struct transport *inner = faults->inner;
    ssize_t count;
    transport->drained = false;
    if (faults->gone)
        return transport_fail(transport, ECONNRESET);
    if (has_to_wait(faults))
        return IO_WANT_READ;
    if (faults->has_ahead) {
        count = take_ahead(faults, data);
    } else {
        count =
            moved(faults, inner->class->read(inner, data, cut(faults, size)));
        if (count > 0 && inner->drained && faults->options.join)
            look_ahead(faults);
    }
    transport->held = inner->held || faults->has_ahead;
    transport->drained = inner->drained && !transport->held && !faults->gone;
    transport->unsent = inner->unsent;
    return count;
}

/* The vector's first `size` bytes. */
static int cut_vector(struct iovec *to, int room, const struct iovec *from,
                      int count, size_t size)
{
    int used = 0;
    while (used < room && used < count && size > 0) {
        to[used] = from[used];
        if (to[used].iov_len > size)
            to[used].iov_len = size;
        size -= to[used].iov_len;
        used++;
    }
    return used;
}

static ssize_t faults_write(struct transport *transport,
                            const struct iovec *vector, int count)
{
    enum { VECTORS = 64 };
    struct faults *faults = faults_of(transport);
    struct transport *inner = faults->inner;
    struct iovec part[VECTORS];
    size_t total = 0;
    if (faults->gone)
        return transport_fail(transport, ECONNRESET);
    if (has_to_wait(faults))
        return IO_WANT_WRITE;
    for (int i = 0; i < count; i++)
        total += vector[i].iov_len;
    int used = cut_vector(part, VECTORS, vector, count, cut(faults, total));
    ssize_t sent = inner->class->write(inner, part, used);
    transport->unsent = inner->unsent;
    return moved(faults, sent);
}

static ssize_t faults_send_file(struct transport *transport, int fd,
                                off_t *offset, size_t size, uint64_t left)
{
    struct faults *faults = faults_of(transport);
    struct transport *inner = faults->inner;
    if (faults->gone)
        return transport_fail(transport, ECONNRESET);
    if (has_to_wait(faults))
        return IO_WANT_WRITE;
    if (!inner->class->send_file)
        return transport_fail(transport, ENOSYS);
    ssize_t sent =
        inner->class->send_file(inner, fd, offset, cut(faults, size), left);
    transport->corked = inner->corked;
    return moved(faults, sent);
}

static ssize_t faults_shutdown(struct transport *transport)
{
    struct faults *faults = faults_of(transport);
    if (faults->gone)
        return transport_fail(transport, ECONNRESET);
    if (has_to_wait(faults))
        return IO_WANT_WRITE;
    return moved(faults, faults->inner->class->shutdown(faults->inner));
}

static const char *faults_reason(const struct transport *transport)
{
    const struct transport *inner =
        ((const struct faults *) (const void *) transport)->inner;
    return inner->class->reason ? inner->class->reason(inner) : NULL;
}

static void faults_free(struct transport *transport)
{
    struct transport *inner = faults_of(transport)->inner;
    if (inner->class->free)
        inner->class->free(inner);
    free(transport);
}

static const struct transport_class class = {
    .name = "faults",
    .read = faults_read,
    .write = faults_write,
    .send_file = faults_send_file,
    .shutdown = faults_shutdown,
    .reason = faults_reason,
    .free = faults_free,
};

struct transport *faults_new(struct transport *inner,
                             const struct faults_options *options)
{
    struct faults *faults = memory_new(sizeof *faults);
    faults->transport.class = &class;
    faults->transport.fd = inner->fd;
    faults->inner = inner;
    faults->options = *options;
    /* Never 0, and neighbouring seeds far apart. */
    faults->random = (options->seed + 1) * 0x9e3779b97f4a7c15u | 1;
    return &faults->transport;
}
