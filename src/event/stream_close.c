/* Endings: flush, end our side, discard input until the peer ends, close.
 *
 * Closing a TCP socket whose input is unread, or to which more arrives, makes
 * the kernel send a reset, and a reset may overtake what was sent last. So
 * close waits, without Lua, for the peer to end too (R18). */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "event/copy.h"
#include "event/stream_internal.h"
#include "io/net.h"

/* Leaves the phases in which somebody reads and writes. */
static void stream_end(struct stream *stream, int error, const char *reason)
{
    enum stream_phase before = stream->phase;
    stream->over_error = error;
    stream->phase = STREAM_FLUSHING;
    stream->ending = true;
    stream_stay(stream);
    ev_io_stop(stream_loop(stream)->ev, &stream->reader);
    if (reason || before == STREAM_HANDSHAKE)
        stream_keep_reason(stream, reason);
    if (!stream->input_error)
        stream->input_error = error ? error : ERROR_CLOSED;
    stream_read_finish(stream, error ? error : ERROR_CLOSED);
    copy_refuse(stream, error ? error : ERROR_CLOSED);
    if (before == STREAM_CONNECTING || before == STREAM_HANDSHAKE ||
        stream->rare->next)
        stream_events(stream)->ready(stream, error ? error : ERROR_CLOSED);
    if (before <= STREAM_HANDSHAKE) {
        outqueue_clear(&stream->output);
        stream_tell_waiters(stream, error ? error : ERROR_CLOSED);
    }
    if (before < STREAM_HANDSHAKE)
        stream->phase = STREAM_CLOSED;
    stream->ending = false;
}

/* It could not be closed at once. */
static void linger_on(struct stream *stream, double seconds)
{
    if (stream->phase == STREAM_DRAINING && seconds > STREAM_DRAIN)
        seconds = STREAM_DRAIN;
    stream_start_linger(stream, seconds);
    stream_settle(stream);
}

static void stream_close_for(struct stream *stream, int error,
                             const char *reason, double linger)
{
    if (stream_closed(stream))
        return;
    stream_retain(stream);
    stream_end(stream, error, reason);
    if (stream->phase == STREAM_CLOSED) {
        stream_finish(stream);
    } else {
        if (!stream_write_waits(stream))
            stream_flush(stream);
        if (stream->phase != STREAM_CLOSED)
            linger_on(stream, linger);
    }
    stream_release(stream);
}

void stream_close(struct stream *stream, double linger)
{
    stream_close_for(stream, 0, NULL, linger);
}

void stream_fail(struct stream *stream, int error, const char *reason)
{
    stream_close_for(stream, error, reason, STREAM_LINGER);
}

void stream_abort(struct stream *stream)
{
    stream_abort_for(stream, 0, NULL);
}

void stream_abort_for(struct stream *stream, int error, const char *reason)
{
    if (stream->phase == STREAM_CLOSED)
        return;
    stream_retain(stream);
    if (!stream_closed(stream))
        stream_end(stream, error, reason);
    stream->reset = true;
    stream_finish(stream);
    stream_release(stream);
}

int stream_detach(struct stream *stream)
{
    struct loop *loop = stream_loop(stream);
    int fd = stream->transport->fd;
    stream_retain(stream);
    ev_io_stop(loop->ev, &stream->reader);
    stream_stop_writer(stream);
    stream->transport->fd = -1;
    if (stream->transport->corked)
        net_uncork(fd);
    stream_end(stream, 0, NULL);
    trace_stream(stream, '*', "detached fd %d", fd);
    stream_finish(stream);
    stream_release(stream);
    return fd;
}

/* --- after close ---------------------------------------------------------- */

/* Discards what came: 0, or once there is nothing left to wait for, ERROR_EOF
 * or another error. */
static int drain(struct stream *stream)
{
    struct loop *loop = stream_loop(stream);
    if (loop->scratch_busy)
        return 0;
    while (stream_budget_left(stream, &stream->bytes_read) > 0) {
        ssize_t count =
            read(stream->transport->fd, loop->scratch, LOOP_SCRATCH);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_would_block(errno) ? 0 : errno;
        if (count == 0)
            return ERROR_EOF;
        trace_stream(stream, '<', "%zd discarded", count);
        stream->bytes_read += (unsigned) count;
    }
    return 0;
}

void stream_drain_step(struct stream *stream)
{
    int error = drain(stream);
    if (!error) {
        stream_arm(stream, &stream->reader, IO_WANT_READ);
        return;
    }
    trace_input_ended(stream, error);
    stream_finish(stream);
}

/* Our side has ended. A TCP peer is waited for; others cannot lose bytes by
 * our leaving, as long as nothing unread is left behind. */
static void drain_begin(struct stream *stream)
{
    struct net_address address;
    int fd = stream->transport->fd;
    if (stream->peer_ended || stream->shared) {
        stream_finish(stream);
        return;
    }
    bool socket = net_local_address(fd, &address);
    bool local = socket && address.as.any.sa_family == AF_UNIX;
    if (socket && (local || stream->transport != &stream->plain))
        shutdown(fd, local ? SHUT_RDWR : SHUT_WR);
    if (local)
        (void) drain(stream);
    if (!socket || local || stream->output_error) {
        stream_finish(stream);
        return;
    }
    stream->phase = STREAM_DRAINING;
    /* What the transport has of them is discarded, too: nothing is there
     * without the descriptor any more. */
    stream->transport->held = false;
    stream_cut_linger(stream, STREAM_DRAIN);
    if (stream->transport->drained)
        stream_arm(stream, &stream->reader, IO_WANT_READ);
    else
        stream_drain_step(stream);
}

void stream_close_step(struct stream *stream)
{
    if (stream->phase == STREAM_FLUSHING) {
        if (stream_sendable(stream) > 0 && !stream->output_error)
            return;
        stream->phase = STREAM_ENDING;
        if (stream->watched)
            stream_settle(stream);
    }
    if (stream->phase != STREAM_ENDING)
        return;
    ssize_t answer = IO_END;
    bool plain = stream->transport == &stream->plain;
    bool ends = !stream->shut_done && !stream->output_error &&
                !(plain && stream->shared); /* others go on with it */
    /* Of what was accepted nobody else has a copy: close(2) ends it, too. */
    if (ends && plain && stream->peer_ended && stream->counted)
        trace_output_ended(stream);
    else if (ends)
        answer = stream_end_side(stream);
    if (answer == IO_WANT_READ || answer == IO_WANT_WRITE)
        stream_arm_writer(stream, answer);
    else
        drain_begin(stream);
}

void stream_linger_over(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct stream *stream = timer->data;
    (void) ev;
    (void) events;
    if (stream->phase == STREAM_HANDSHAKE) {
        stream_fail(stream, ETIMEDOUT, "timed out");
        return;
    }
    if (stream->phase != STREAM_DRAINING) {
        stream->reset = true;
        stream->over_error = ETIMEDOUT;
        stream_keep_reason(stream, "not sent within the linger of close");
    }
    stream_finish(stream);
}

/* The host ends: what is queued is sent, for as long as close would try;
 * what has nothing to send is closed now, without a reset. */
void stream_leave(struct stream *stream)
{
    if (stream_closed(stream))
        return;
    stream->left = stream->shared;
    if (outqueue_length(&stream->output) > 0) {
        stream_close(stream, STREAM_LINGER);
        return;
    }
    stream_retain(stream);
    /* More than a FIN, so that the peer knows it for an end (close_notify). */
    if (stream->phase == STREAM_OPEN && stream->transport != &stream->plain &&
        !stream->shut_done && !stream->output_error)
        (void) stream_end_side(stream);
    stream_end(stream, 0, NULL);
    if (stream->transport->fd >= 0 && stream->phase != STREAM_CLOSED &&
        !stream->shared && net_is_socket(stream->transport->fd))
        (void) drain(stream);
    stream_finish(stream);
    stream_release(stream);
}

void stream_each(struct loop *loop, void (*each)(struct stream *))
{
    struct list now;
    list_init(&now);
    list_move(&now, &loop->streams);
    for (struct list *link; (link = list_pop(&now));) {
        list_insert(&loop->streams, link);
        each(list_entry(link, struct stream, link));
    }
}
