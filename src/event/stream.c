#include "event/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/listener.h"
#include "event/stream_internal.h"
#include "io/net.h"
#include "io/plain.h"
#include "io/standard.h"

/* --- watchers ------------------------------------------------------------- */

void stream_arm(struct stream *stream, ev_io *watcher, ssize_t answer)
{
    int events = answer == IO_WANT_WRITE ? EV_WRITE : EV_READ;
    if (watcher == &stream->reader && answer == IO_WANT_READ &&
        stream->transport->held)
        ev_feed_event(stream_loop(stream)->ev, watcher, EV_READ);
    if (ev_is_active(watcher)) {
        if ((watcher->events & (EV_READ | EV_WRITE)) == events)
            return;
        ev_io_stop(stream_loop(stream)->ev, watcher);
    }
    /* ev_io_set would have the kernel told, even if it knows. */
    if (watcher->fd == stream->transport->fd)
        ev_io_modify(watcher, events);
    else
        ev_io_set(watcher, stream->transport->fd, events);
    ev_io_start(stream_loop(stream)->ev, watcher);
}

static void reader_ready(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct stream *stream = list_entry(watcher, struct stream, reader);
    (void) events;
    stream_loop(stream)->stirred = true;
    if (stream->phase == STREAM_HANDSHAKE) {
        stream_handshake_step(stream);
    } else if (stream->phase == STREAM_DRAINING) {
        stream_drain_step(stream);
    } else if (stream->reading) {
        stream_read_progress(stream);
    } else if (stream->watched) {
        stream_read_notice(stream);
    } else {
        ev_io_stop(ev, watcher);
        stream->transport->drained = false;
    }
}

size_t stream_budget_left(struct stream *stream, const unsigned *used)
{
    if (stream->budget_turn != stream_loop(stream)->turn) {
        stream->budget_turn = stream_loop(stream)->turn;
        stream->bytes_read = stream->bytes_written = 0;
    }
    return *used < LOOP_BUDGET ? LOOP_BUDGET - *used : 0;
}

/* --- life ----------------------------------------------------------------- */

struct stream *stream_new(struct loop *loop,
                          const struct stream_options *options,
                          const struct stream_events *events, void *owner)
{
    struct stream *stream = memory_new(sizeof *stream);
    list_init(&stream->link);
    stream_rare_begin(stream);
    stream_call_begin(stream);
    list_insert(&loop->streams, &stream->link);
    stream->kind = stream_kind_take(loop, options, events);
    stream->transport = &stream->plain;
    plain_init(&stream->plain, -1);
    ev_init(&stream->reader, reader_ready);
    stream->reader.fd = -1;
    stream->reader.data = owner;
    stream->nodelay = options->nodelay;
    stream->keepalive = options->keepalive;
    stream->counted = options->listener != NULL;
    stream->references = 1;
    return stream;
}

struct stream *stream_retain(struct stream *stream)
{
    stream->references++;
    return stream;
}

static void stream_bury(struct stream *stream)
{
    loop_hold(stream_loop(stream), &stream->holding, false);
    stream_call_end(stream);
    list_remove(&stream->link);
    buffer_free(&stream->input);
    stream_place_forget(stream);
    stream_rare_free(stream);
    loop_bury(stream_loop(stream), stream);
    stream_kind_release(stream->kind);
}

/* A stream that is not closed yet lingers on, deaf, until stream_finish,
 * which comes here again. */
void stream_release(struct stream *stream)
{
    if (--stream->references > 0)
        return;
    stream_disown(stream);
    if (!stream_closed(stream)) {
        stream->references++;
        stream_close(stream, STREAM_LINGER);
        stream->references--;
    }
    if (stream->phase == STREAM_CLOSED)
        stream_bury(stream);
}

static void stream_close_descriptor(const struct stream *stream, int fd)
{
    if (stream->reset && !stream->shared)
        net_abort(fd);
    else
        standard_close(fd);
}

void stream_finish(struct stream *stream)
{
    struct loop *loop = stream_loop(stream);
    int fd = stream->transport->fd;
    if (loop->trace && (fd >= 0 || stream->over_error))
        trace_closed(stream);
    ev_io_stop(loop->ev, &stream->reader);
    stream_drop_waits(stream);
    stream_call_end(stream);
    struct transport *next = stream->rare->next;
    if (next) {
        stream_have_rare(stream)->next = NULL;
        if (next->class->free)
            next->class->free(next);
    }
    if (stream->transport->class->free)
        stream->transport->class->free(stream->transport);
    stream->transport = &stream->plain;
    stream->plain.fd = -1;
    if (fd >= 0 && !stream->left)
        stream_close_descriptor(stream, fd);
    stream->phase = STREAM_CLOSED;
    /* A later flush must not say that all has left. */
    if (outqueue_length(&stream->output) > 0 && !stream->output_error)
        stream->output_error =
            stream->over_error ? stream->over_error : ERROR_CLOSED;
    outqueue_clear(&stream->output);
    if (stream->counted)
        listener_connection_ended(stream->kind->options.listener);
    stream->counted = false;
    stream_retain(stream);
    stream_tell_waiters(stream,
                        stream->over_error ? stream->over_error : ERROR_CLOSED);
    stream_settle(stream);
    stream_release(stream);
}

/* --- opening -------------------------------------------------------------- */

static void stream_opened(struct stream *stream)
{
    stream->phase = STREAM_OPEN;
    if (stream->output.queued > stream->output.sent || stream->shut ||
        stream->transport->unsent)
        stream_flush_later(stream);
    if (stream->reading)
        stream_go_on_later(stream);
    stream_settle(stream);
}

/* The listener that accepted it; or NULL. */
static const struct listener *listener_of(const struct stream *stream)
{
    return stream->counted ? stream->kind->options.listener : NULL;
}

static void open_plain(struct stream *stream, int fd)
{
    const struct listener *listener = listener_of(stream);
    stream->transport = &stream->plain;
    if (stream->shared)
        plain_init_shared(&stream->plain, fd);
    else if (listener)
        plain_init_socket(&stream->plain, fd,
                          listener->address.as.any.sa_family);
    else
        plain_init(&stream->plain, fd);
}

static void set_options(const struct stream *stream, int fd)
{
    const struct listener *listener = listener_of(stream);
    if (listener && listener->passes_on)
        return;
    net_set_nodelay(fd, stream->nodelay);
    if (!stream->nodelay || stream->keepalive)
        net_set_keepalive(fd, stream->keepalive);
}

void stream_open(struct stream *stream, int fd, struct transport *transport)
{
    stream->shared = standard_is(fd);
    if (transport)
        stream->transport = transport;
    else
        open_plain(stream, fd);
    if (stream_loop(stream)->trace)
        trace_opened(stream, fd);
    set_options(stream, fd);
    if (!stream->transport->class->handshake) {
        stream_opened(stream);
        return;
    }
    stream->phase = STREAM_HANDSHAKE;
    if (stream_loop(stream)->trace)
        trace_handshake(stream);
    stream_flush_later(stream);
    stream_settle(stream);
}

void stream_wrap(struct stream *stream, struct transport *transport)
{
    stream->transport = transport;
}

void stream_connecting(struct stream *stream)
{
    stream->phase = STREAM_CONNECTING;
    stream_settle(stream);
}

void stream_connect_failed(struct stream *stream, int error, const char *reason)
{
    stream_keep_reason(stream, reason);
    stream->over_error = stream->input_error = error;
    stream->output_error = error;
    stream->phase = STREAM_CLOSED;
    stream_retain(stream);
    stream_read_finish(stream, error);
    stream_finish(stream);
    stream_release(stream);
}

/* --- handshakes ----------------------------------------------------------- */

int stream_handshake(struct stream *stream, struct transport *transport)
{
    size_t length = buffer_length(&stream->input);
    struct stream_rare *rare = stream_have_rare(stream);
    rare->next = transport;
    rare->plain_until = stream->output.queued;
    if (length > 0) {
        buffer_consume(&stream->input, length);
        stream_place_forget(stream);
    }
    ev_io_stop(stream_loop(stream)->ev, &stream->reader);
    stream_flush_later(stream);
    return STREAM_WAIT;
}

void stream_handshake_timeout(struct stream *stream, double seconds)
{
    stream_start_linger(stream, seconds);
}

void stream_handshake_answered(struct stream *stream)
{
    if (stream->phase == STREAM_HANDSHAKE)
        stream_go_on_later(stream);
}

static void handshake_done(struct stream *stream)
{
    stream_drop_waits(stream);
    stream_retain(stream);
    stream_events(stream)->ready(stream, 0);
    if (stream->phase == STREAM_HANDSHAKE)
        stream_opened(stream);
    stream_release(stream);
}

/* Only what the transport asks for is waited on (R31): nothing else can help
 * it. */
void stream_handshake_step(struct stream *stream)
{
    struct transport *transport = stream->transport;
    if (!loop_may_step(stream_loop(stream), &stream->call)) {
        stream->again_due = true;
        ev_io_stop(stream_loop(stream)->ev, &stream->reader);
        stream_stop_writer(stream);
        return;
    }
    ssize_t answer = transport->class->handshake(transport);
    /* Once it is done the next thing is, mostly, to read. */
    if (answer != IO_WANT_READ && answer != IO_END)
        ev_io_stop(stream_loop(stream)->ev, &stream->reader);
    if (answer != IO_WANT_WRITE)
        stream_stop_writer(stream);
    switch (answer) {
    case IO_WANT_READ:
        stream_arm(stream, &stream->reader, answer);
        break;
    case IO_WANT_WRITE:
        stream_arm_writer(stream, answer);
        break;
    case IO_WANT_OWNER:
        stream_events(stream)->asked(stream);
        break;
    case IO_FAILED:
        stream_fail(stream, transport->error, NULL);
        break;
    default:
        handshake_done(stream);
    }
}

/* --- state ---------------------------------------------------------------- */

static bool stream_keeps_host(const struct stream *stream)
{
    if (stream->unref || stream->phase == STREAM_CLOSED)
        return false;
    if (stream_closed(stream) ||
        (stream->phase == STREAM_HANDSHAKE && stream->busy))
        return true;
    if (outqueue_length(&stream->output) > 0 && !stream->output_error)
        return stream->phase != STREAM_IDLE;
    return stream->watched && !stream->told && stream->phase != STREAM_IDLE;
}

/* Is the stream over although nobody here closed it (R17)? */
static int stream_over_now(const struct stream *stream)
{
    if (stream->input_error && stream->input_error != ERROR_EOF)
        return stream->input_error;
    if (stream->reading || buffer_length(&stream->input) > 0 ||
        stream->result || stream->rare->copy)
        return 0;
    if (stream->output_error)
        return stream->input_error || stream->transport->drained
                   ? stream->output_error
                   : 0;
    if (stream->input_error != ERROR_EOF || stream->kind->options.half_open)
        return 0;
    if (stream->busy || outqueue_length(&stream->output) > 0 ||
        !list_empty(&stream->rare->waiters) ||
        !list_empty(&stream->rare->copies))
        return 0;
    return ERROR_EOF;
}

/* The close callback comes after all that waits, and that includes what is
 * still being sent. */
static bool stream_all_told(const struct stream *stream)
{
    return stream_closed(stream) && !stream->ending && !stream->rare->copy &&
           (stream->phase > STREAM_FLUSHING || stream->output_error ||
            outqueue_length(&stream->output) == 0) &&
           list_empty(&stream->rare->waiters) &&
           list_empty(&stream->rare->copies);
}

/* Without a close callback an error closes it too, the peer's end does not. */
static void stream_check_over(struct stream *stream)
{
    if (stream->phase == STREAM_OPEN) {
        int error = stream_over_now(stream);
        if (error && (stream->watched || error != ERROR_EOF))
            stream_fail(stream, error, NULL);
        return;
    }
    if (!stream->watched || stream->told || !stream_all_told(stream))
        return;
    stream->told = true;
    stream->lost = 0;
    stream_events(stream)->over(stream, stream->over_error);
}

/* After a failed write only reading can tell whether more had arrived (R16),
 * and no event has to come if nothing had. */
static void watch_input(struct stream *stream)
{
    if (stream->output_error && !stream->transport->drained)
        stream_go_on_later(stream);
    else if (!ev_is_active(&stream->reader) || stream->transport->held)
        stream_arm(stream, &stream->reader, IO_WANT_READ);
}

void stream_settle(struct stream *stream)
{
    stream_retain(stream);
    if (stream->watched && stream->phase == STREAM_OPEN && !stream->reading &&
        !stream->rare->next && !stream->input_error && !stream->result &&
        buffer_length(&stream->input) < stream->kind->options.read_chunk_size)
        watch_input(stream);
    stream_check_over(stream);
    loop_hold(stream_loop(stream), &stream->holding, stream_keeps_host(stream));
    stream_release(stream);
}

void stream_watch(struct stream *stream, bool watch)
{
    stream->watched = watch;
    stream_settle(stream);
}

void stream_set_busy(struct stream *stream, bool busy)
{
    if (stream->busy == busy)
        return;
    stream->busy = busy;
    stream_settle(stream);
}

void stream_set_unref(struct stream *stream, bool unref)
{
    stream->unref = unref;
    stream_settle(stream);
}

void stream_keep_reason(struct stream *stream, const char *reason)
{
    const struct transport *transport = stream->transport;
    if (!reason && transport->class->reason)
        reason = transport->class->reason(transport);
    if (!reason)
        return;
    struct stream_rare *rare = stream_have_rare(stream);
    free(rare->reason);
    rare->reason = memory_copy(reason, strlen(reason));
}

const char *stream_reason(const struct stream *stream, int error)
{
    if (error == EPROTO && stream->rare->detail)
        return stream->rare->detail;
    bool kept = error == stream->input_error || error == stream->output_error ||
                error == stream->over_error;
    return stream->rare->reason && kept && error != ERROR_EOF
               ? stream->rare->reason
               : error_text(error);
}
