/* Writing: queue, gather, send before the loop waits. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/error.h"
#include "event/copy.h"
#include "event/stream_internal.h"

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

/* iovecs for one call; what stands here is as good as IOV_MAX on the wire. */
#define STREAM_VECTORS (IOV_MAX < 256 ? IOV_MAX : 256)

int stream_may_write(struct stream *stream, uint64_t size)
{
    if (stream->rare->before_write)
        stream->rare->before_write(stream);
    uint64_t most = stream->kind->options.max_write_buffer_size;
    stream->lost = 0; /* else whoever writes is told below */
    if (stream_closed(stream))
        return stream->over_error ? stream->over_error : ERROR_CLOSED;
    if (stream->phase == STREAM_IDLE)
        return ENOTCONN;
    if (stream->output_error)
        return stream->output_error;
    if (stream->shut)
        return EPIPE;
    if (most > 0 && outqueue_length(&stream->output) + size > most)
        return ENOBUFS;
    return 0;
}

void stream_written(struct stream *stream)
{
    if (stream->phase == STREAM_OPEN && !stream_write_waits(stream)) {
        stream_flush_later(stream);
        if (stream->eager || outqueue_length(&stream->output) >= STREAM_LARGE)
            stream_flush(stream);
    }
    if (!stream->holding)
        stream_settle(stream);
}

/* --- those who wait ------------------------------------------------------- */

int stream_wait_sent(struct stream *stream, struct stream_waiter *waiter,
                     uint64_t until)
{
    if (stream->output.sent >= until && (!stream->shut || stream->shut_done))
        return 0;
    struct list *waiters = &stream_have_rare(stream)->waiters;
    struct list *position = waiters;
    waiter->until = until;
    while (position->previous != waiters &&
           list_entry(position->previous, struct stream_waiter, link)->until >
               until)
        position = position->previous;
    list_insert(position, &waiter->link);
    return STREAM_WAIT;
}

void stream_cancel_waiter(struct stream_waiter *waiter)
{
    list_remove(&waiter->link);
}

/* Tells, in order, everyone whose bytes have left; with an error, everyone
 * else as well. What is called may add, remove or close. */
void stream_tell_waiters(struct stream *stream, int error)
{
    const struct list *waiters = &stream->rare->waiters;
    while (!list_empty(waiters)) {
        struct stream_waiter *waiter =
            list_entry(waiters->next, struct stream_waiter, link);
        bool sent = stream->output.sent >= waiter->until;
        if (!sent && !error)
            break;
        list_remove(&waiter->link);
        waiter->done(waiter, sent ? 0 : error);
    }
    copy_tell(stream, error);
}

/* Does somebody wait for what is queued, who is told when it fails? */
static bool is_awaited(const struct stream *stream)
{
    return outqueue_length(&stream->output) == 0 ||
           !list_empty(&stream->rare->waiters) ||
           !list_empty(&stream->rare->copies);
}

void stream_output_failed(struct stream *stream, int error)
{
    stream_retain(stream);
    if (!is_awaited(stream))
        stream->lost = error;
    stream->output_error = error;
    stream->transport->drained = false;
    stream_keep_reason(stream, NULL);
    trace_stream_error(stream, '>', "error", error);
    stream_stop_writer(stream);
    outqueue_clear(&stream->output);
    stream_tell_waiters(stream, error);
    if (stream_closed(stream))
        stream_close_step(stream);
    else
        stream_settle(stream);
    stream_release(stream);
}

/* --- sending -------------------------------------------------------------- */

/* What may leave now: all, or what was written before start_tls. */
uint64_t stream_sendable(const struct stream *stream)
{
    if (stream->rare->next)
        return stream->rare->plain_until - stream->output.sent;
    return outqueue_length(&stream->output);
}

/* The file ended before its range did. */
static ssize_t file_shrank(struct stream *stream)
{
    stream_keep_reason(stream, "the file became shorter while it was sent");
    return transport_fail(stream->transport, EIO);
}

/* A file, where the transport has no sendfile: through the scratch buffer. */
static ssize_t copy_file(struct stream *stream, struct outqueue_file *file,
                         size_t size)
{
    struct transport *transport = stream->transport;
    char copy[16384];
    bool borrowed = !stream_loop(stream)->scratch_busy;
    char *block = borrowed ? stream_loop(stream)->scratch : copy;
    size_t most = borrowed ? LOOP_SCRATCH : sizeof copy;
    ssize_t count =
        pread(file->fd, block, size < most ? size : most, file->offset);
    if (count < 0)
        return transport_fail(transport, errno);
    if (count == 0)
        return file_shrank(stream);
    struct iovec vector = {block, (size_t) count};
    return stream_transmit(stream, &vector, 1);
}

static ssize_t send_file(struct stream *stream, struct outqueue_file *file,
                         size_t size)
{
    struct transport *transport = stream->transport;
    if (size > file->remaining)
        size = (size_t) file->remaining;
    if (!transport->class->send_file)
        return copy_file(stream, file, size);
    off_t offset = file->offset;
    ssize_t count = transport->class->send_file(
        transport, file->fd, &file->offset, size, file->remaining);
    if (stream_loop(stream)->trace && count > 0)
        trace_sent_file(stream, file->fd, offset, (size_t) count);
    if (count == IO_FAILED &&
        (transport->error == EINVAL || transport->error == ENOSYS))
        return copy_file(stream, file, size);
    return count == 0 ? file_shrank(stream) : count;
}

/* `size` 0: what the transport still holds. */
static ssize_t send_some(struct stream *stream, size_t size)
{
    struct outqueue_file file;
    struct iovec vector[STREAM_VECTORS];
    if (size > 0 && outqueue_at_file(&stream->output, &file))
        return send_file(stream, &file, size);
    int count = 0;
    if (size > 0)
        count = outqueue_vector(&stream->output, vector, STREAM_VECTORS, size);
    return stream_transmit(stream, vector, count);
}

/* Sends until nothing may leave, the kernel is full or the turn's budget is
 * used. 0, or the error that ended it. */
static int send_all(struct stream *stream)
{
    while (stream_sendable(stream) > 0 || stream->transport->unsent) {
        size_t budget = stream_budget_left(stream, &stream->bytes_written);
        if (budget == 0) {
            stream_go_on_later(stream);
            return 0;
        }
        if (budget > stream_sendable(stream))
            budget = (size_t) stream_sendable(stream);
        ssize_t count = send_some(stream, budget);
        if (count == IO_FAILED)
            return stream->transport->error;
        if (count < 0) {
            stream_arm_writer(stream, count);
            return 0;
        }
        outqueue_advance(&stream->output, (uint64_t) count);
        stream->bytes_written += (unsigned) count;
    }
    return 0;
}

/* start_tls: what was written before it has left in the clear. */
static void switch_transport(struct stream *stream)
{
    struct transport *old = stream->transport;
    if (old->class->free)
        old->class->free(old);
    ev_io_stop(stream_loop(stream)->ev, &stream->reader);
    stream->transport = stream->rare->next;
    stream_have_rare(stream)->next = NULL;
    stream->phase = STREAM_HANDSHAKE;
    trace_handshake(stream);
    stream_handshake_step(stream);
}

ssize_t stream_end_side(struct stream *stream)
{
    struct transport *transport = stream->transport;
    ssize_t answer = transport->class->shutdown(transport);
    if (answer == IO_END && stream_loop(stream)->trace)
        trace_output_ended(stream);
    return answer;
}

/* Our side ends, now that everything has left. */
static void end_output(struct stream *stream)
{
    struct transport *transport = stream->transport;
    ssize_t answer = stream_end_side(stream);
    if (answer == IO_WANT_READ || answer == IO_WANT_WRITE) {
        stream_arm_writer(stream, answer);
        return;
    }
    /* A pipe or a file can end only by being closed. */
    bool close = answer == IO_FAILED && transport->error == ENOTSOCK;
    if (answer == IO_FAILED && !close) {
        stream_output_failed(stream, transport->error);
        return;
    }
    stream->shut_done = true;
    if (close) {
        stream_tell_waiters(stream, 0);
        stream_close(stream, STREAM_LINGER);
    }
}

void stream_flush(struct stream *stream)
{
    if (stream->phase != STREAM_OPEN && stream->phase != STREAM_FLUSHING)
        return;
    stream_retain(stream);
    int error = send_all(stream);
    if (error) {
        stream_output_failed(stream, error);
        stream_release(stream);
        return;
    }
    bool empty = outqueue_length(&stream->output) == 0;
    if (empty && stream->shut && !stream->shut_done && !stream->rare->next &&
        stream->phase == STREAM_OPEN)
        end_output(stream);
    if (stream->shut_done || !stream->shut || !empty)
        stream_tell_waiters(stream, 0);
    if (stream->phase == STREAM_FLUSHING)
        stream_close_step(stream);
    else if (stream->rare->next && stream_sendable(stream) == 0)
        switch_transport(stream);
    else if (empty)
        stream_settle(stream);
    stream_release(stream);
}

void stream_flush_blocking(struct stream *stream)
{
    struct pollfd writable = {.fd = stream->transport->fd, .events = POLLOUT};
    while ((stream->phase == STREAM_OPEN || stream->phase == STREAM_FLUSHING) &&
           !stream->output_error && outqueue_length(&stream->output) > 0) {
        if (poll(&writable, 1, -1) < 0 && errno != EINTR)
            return;
        stream->bytes_written = 0;
        stream_flush(stream);
    }
}

/* A second one waits for what the first has begun. */
int stream_may_shutdown(struct stream *stream)
{
    bool begun =
        stream->shut && !stream_closed(stream) && !stream->output_error;
    return begun || stream->shut_done ? 0 : stream_may_write(stream, 0);
}

int stream_shutdown(struct stream *stream, struct stream_waiter *waiter)
{
    int error = stream_may_shutdown(stream);
    if (error || stream->shut_done)
        return error;
    stream->shut = true;
    if (stream->phase == STREAM_OPEN && !stream_write_waits(stream))
        stream_flush_later(stream);
    stream_settle(stream);
    return stream_wait_sent(stream, waiter, stream->output.queued);
}
