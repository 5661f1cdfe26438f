/* The plain transport (plain.h).
 *
 * Two sets of functions: for descriptors that are non-blocking, and for
 * those whose blocking flag belongs to others too (the shell, a parent's
 * other children) and is left alone: there poll(2) is asked first. */
#include "io/plain.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sendfile.h>
#endif

#include "base/error.h"
#include "io/net.h"

/* What a terminal that polls writable takes without blocking. A pipe takes
 * PIPE_BUF then. */
#define TTY_PIECE 256
/* sendfile(2) hands the file on in pieces of a pipe's capacity. */
#define SENDFILE_PIECE 65536

enum kind { TCP, UNIX, SOCKET, PIPE, TTY, PLAIN_FILE, KINDS };

static ssize_t read_answer(struct transport *transport, ssize_t size,
                           size_t wanted)
{
    if (size > 0) {
        transport->drained = transport->drains && (size_t) size < wanted;
        return size;
    }
    transport->drained = true;
    if (size == 0) {
        /* A write met the reset first and took it from the kernel (R16). */
        if (transport->reset)
            return transport_fail(transport, transport->reset);
        return IO_END;
    }
    if (error_would_block(errno))
        return IO_WANT_READ;
    return transport_fail(transport, errno);
}

static ssize_t plain_read(struct transport *transport, void *data, size_t size)
{
    ssize_t got;
    do
        got = read(transport->fd, data, size);
    while (got < 0 && errno == EINTR);
    return read_answer(transport, got, size);
}

/* What poll(2) says now of `events`; errors and hang-ups it says unasked. */
static int poll_now(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    while (poll(&wanted, 1, 0) < 0 && errno == EINTR)
        continue;
    return wanted.revents;
}

/* Would an operation block? An error or a hang-up would not: it shows. */
static bool is_ready(int fd, short events)
{
    return poll_now(fd, events) != 0;
}

/* The end that is for writing has nothing to read; when the other one has been
 * closed, which poll calls an error, that is its end. */
static ssize_t pipe_read(struct transport *transport, void *data, size_t size)
{
    ssize_t got = plain_read(transport, data, size);
    if (got == IO_FAILED && transport->error == EBADF &&
        poll_now(transport->fd, 0) & POLLERR)
        return IO_END;
    return got;
}

/* On a socket recv(2) is quicker than read(2) by about 100 ns, and send(2)
 * than writev(2). */
static ssize_t receive(struct transport *transport, void *data, size_t size,
                       int flags)
{
    ssize_t got;
    do
        got = recv(transport->fd, data, size, flags);
    while (got < 0 && errno == EINTR);
    return read_answer(transport, got, size);
}

static ssize_t socket_read(struct transport *transport, void *data, size_t size)
{
    return receive(transport, data, size, 0);
}

/* A terminal's other side hung up: that is its end, not a failure. */
static ssize_t tty_read(struct transport *transport, void *data, size_t size)
{
    ssize_t got = plain_read(transport, data, size);
    if (got == IO_FAILED && transport->error == EIO)
        return IO_END;
    return got;
}

static ssize_t write_answer(struct transport *transport, ssize_t size)
{
    if (size > 0)
        return size;
    if (size == 0 || error_would_block(errno))
        return IO_WANT_WRITE;
    transport_note_loss(transport, errno);
    return transport_fail(transport, errno);
}

static ssize_t plain_write(struct transport *transport,
                           const struct iovec *vector, int count)
{
    ssize_t sent;
    do
        sent = writev(transport->fd, vector, count);
    while (sent < 0 && errno == EINTR);
    return write_answer(transport, sent);
}

static ssize_t transmit(struct transport *transport, const struct iovec *vector,
                        int count, int flags)
{
    struct msghdr message = {.msg_iov = (struct iovec *) vector,
                             .msg_iovlen = (size_t) count};
    ssize_t sent;
    do
        sent = count == 1 ? send(transport->fd, vector->iov_base,
                                 vector->iov_len, flags)
                          : sendmsg(transport->fd, &message, flags);
    while (sent < 0 && errno == EINTR);
    return write_answer(transport, sent);
}

static ssize_t socket_write(struct transport *transport,
                            const struct iovec *vector, int count)
{
    return transmit(transport, vector, count, 0);
}

#ifdef __linux__
static ssize_t plain_send_file(struct transport *transport, int fd,
                               off_t *offset, size_t size, uint64_t left)
{
    ssize_t sent;
    (void) left;
    do
        sent = sendfile(transport->fd, fd, offset, size);
    while (sent < 0 && errno == EINTR);
    return sent == 0 ? IO_END : write_answer(transport, sent);
}

/* The kernel pushes what every call, and every SENDFILE_PIECE within one, ends
 * with, as a segment of its own: corked, a long file leaves in whole ones at
 * two thirds of the cost. What is left over goes when the file is through. */
static ssize_t tcp_send_file(struct transport *transport, int fd, off_t *offset,
                             size_t size, uint64_t left)
{
    if (!transport->corked && left > SENDFILE_PIECE)
        transport->corked = net_cork(transport->fd);
    ssize_t sent = plain_send_file(transport, fd, offset, size, left);
    bool blocked = sent == IO_WANT_WRITE;
    bool goes_on = sent > 0 && (uint64_t) sent < left;
    if (transport->corked && !blocked && !goes_on) {
        transport->corked = false;
        net_uncork(transport->fd);
    }
    return sent;
}
#else
#define plain_send_file NULL
#define tcp_send_file NULL
#endif

static ssize_t plain_shutdown(struct transport *transport)
{
    if (shutdown(transport->fd, SHUT_WR) == 0)
        return IO_END;
    return transport_fail(transport, errno);
}

static ssize_t shared_receive(struct transport *transport, void *data,
                              size_t size)
{
    return receive(transport, data, size, MSG_DONTWAIT);
}

static ssize_t shared_send(struct transport *transport,
                           const struct iovec *vector, int count)
{
    return transmit(transport, vector, count, MSG_DONTWAIT);
}

/* Blocks after all if another process took the bytes in between: the price
 * of not changing a flag that is not ours alone. */
static bool shared_empty(struct transport *transport)
{
    bool empty = !is_ready(transport->fd, POLLIN);
    transport->drained = transport->drained || empty;
    return empty;
}

static ssize_t shared_pipe_read(struct transport *transport, void *data,
                                size_t size)
{
    if (shared_empty(transport))
        return IO_WANT_READ;
    return pipe_read(transport, data, size);
}

static ssize_t shared_tty_read(struct transport *transport, void *data,
                               size_t size)
{
    if (shared_empty(transport))
        return IO_WANT_READ;
    return tty_read(transport, data, size);
}

/* One iovec, in pieces; less than `size` if no more can be taken. */
static ssize_t write_pieces(struct transport *transport, const char *data,
                            size_t size, size_t limit)
{
    size_t done = 0;
    while (done < size) {
        size_t piece = size - done < limit ? size - done : limit;
        struct iovec vector = {.iov_base = (char *) data + done,
                               .iov_len = piece};
        if (!is_ready(transport->fd, POLLOUT))
            return done > 0 ? (ssize_t) done : IO_WANT_WRITE;
        ssize_t sent = plain_write(transport, &vector, 1);
        if (sent < 0)
            return done > 0 ? (ssize_t) done : sent;
        done += (size_t) sent;
    }
    return (ssize_t) done;
}

static ssize_t write_vector(struct transport *transport,
                            const struct iovec *vector, int count, size_t limit)
{
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t sent = write_pieces(transport, vector[i].iov_base,
                                    vector[i].iov_len, limit);
        if (sent < 0)
            return total > 0 ? total : sent;
        total += sent;
        if ((size_t) sent < vector[i].iov_len)
            break;
    }
    return total;
}

static ssize_t shared_write(struct transport *transport,
                            const struct iovec *vector, int count)
{
    return write_vector(transport, vector, count, PIPE_BUF);
}

static ssize_t shared_tty_write(struct transport *transport,
                                const struct iovec *vector, int count)
{
    return write_vector(transport, vector, count, TTY_PIECE);
}

#define CLASS(label, read_with, write_with, send_with) \
    { \
        .name = label, .read = read_with, .write = write_with, \
        .send_file = send_with, .shutdown = plain_shutdown \
    }

static const struct transport_class classes[KINDS] = {
    [TCP] = CLASS("tcp", socket_read, socket_write, tcp_send_file),
    [UNIX] = CLASS("unix", socket_read, socket_write, plain_send_file),
    [SOCKET] = CLASS("socket", socket_read, socket_write, plain_send_file),
    [PIPE] = CLASS("pipe", pipe_read, plain_write, plain_send_file),
    [TTY] = CLASS("tty", tty_read, plain_write, plain_send_file),
    [PLAIN_FILE] = CLASS("file", plain_read, plain_write, plain_send_file),
};

/* No sendfile(2): it would block. */
static const struct transport_class shared_classes[KINDS] = {
    [TCP] = CLASS("tcp", shared_receive, shared_send, NULL),
    [UNIX] = CLASS("unix", shared_receive, shared_send, NULL),
    [SOCKET] = CLASS("socket", shared_receive, shared_send, NULL),
    [PIPE] = CLASS("pipe", shared_pipe_read, shared_write, NULL),
    [TTY] = CLASS("tty", shared_tty_read, shared_tty_write, NULL),
    [PLAIN_FILE] = CLASS("file", plain_read, plain_write, NULL),
};

static enum kind kind_of_socket(int family)
{
    if (family == AF_INET || family == AF_INET6)
        return TCP;
    return family == AF_UNIX ? UNIX : SOCKET;
}

static enum kind kind_of(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    struct stat info;
    if (fd < 0)
        return TCP; /* what an unconnected stream becomes, mostly */
    if (getsockname(fd, (struct sockaddr *) &address, &length) == 0)
        return kind_of_socket(address.ss_family);
    if (fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode))
        return PIPE;
    return isatty(fd) ? TTY : PLAIN_FILE;
}

static void init(struct transport *transport, int fd, enum kind kind,
                 const struct transport_class *set)
{
    memset(transport, 0, sizeof *transport);
    transport->class = &set[kind];
    transport->fd = fd;
    transport->drains = kind <= PIPE;
}

void plain_init(struct transport *transport, int fd)
{
    init(transport, fd, kind_of(fd), classes);
}

void plain_init_socket(struct transport *transport, int fd, int family)
{
    init(transport, fd, kind_of_socket(family), classes);
}

void plain_init_shared(struct transport *transport, int fd)
{
    init(transport, fd, kind_of(fd), shared_classes);
}
