/* What the files of the stream share with each other and with nobody else:
 * stream.c (life and phases), stream_read.c, stream_write.c, stream_close.c. */
#ifndef WEIR_STREAM_INTERNAL_H
#define WEIR_STREAM_INTERNAL_H

#include "event/stream.h"
#include "event/trace.h"

#define STREAM_DRAIN 2.0 /* seconds for the peer to end after us (R18) */

/* A queue of this many bytes leaves at once instead of at the turn's end. */
#define STREAM_LARGE 65536

/* Waits with `watcher` for what `answer` (IO_WANT_…) asks. */
void stream_arm(struct stream *stream, ev_io *watcher, ssize_t answer);

/* The same for sending; stream_write_waits: is that so? */
void stream_arm_writer(struct stream *stream, ssize_t answer);
void stream_stop_writer(struct stream *stream);
void stream_start_linger(struct stream *stream, double seconds);
/* No more than `seconds` of that, if it was started. */
void stream_cut_linger(struct stream *stream, double seconds);
/* None of them is needed for now. */
void stream_drop_waits(struct stream *stream);

static inline bool stream_write_waits(const struct stream *stream)
{
    return stream->waits && ev_is_active(&stream->waits->writer);
}

/* Before the loop waits, what was written is sent. In the next turn, reading,
 * writing or closing goes on from where this one's budget ended it; or, after
 * stream_stay, does not. */
void stream_flush_later(struct stream *stream);
void stream_go_on_later(struct stream *stream);
void stream_stay(struct stream *stream);
void stream_call_begin(struct stream *stream);
void stream_call_end(struct stream *stream);

/* The transport's write, traced. */
static inline ssize_t stream_transmit(struct stream *stream,
                                      const struct iovec *vector, int count)
{
    struct transport *transport = stream->transport;
    ssize_t answer = transport->class->write(transport, vector, count);
    if (stream_loop(stream)->trace && answer > 0)
        trace_sent(stream, vector, (size_t) answer);
    return answer;
}

/* The transport's shutdown, traced. */
ssize_t stream_end_side(struct stream *stream);

/* Counted; mostly one that others have already. */
const struct stream_kind *stream_kind_take(struct loop *loop,
                                           const struct stream_options *options,
                                           const struct stream_events *events);
void stream_kind_release(const struct stream_kind *kind);

/* Whom to tell. */
const struct stream_events *stream_events(const struct stream *stream);

/* No stream->rare of its own; and again none. */
void stream_rare_begin(struct stream *stream);
void stream_rare_free(struct stream *stream);

/* How many more bytes may be moved in this turn; `used` is the stream's
 * bytes_read or bytes_written. */
size_t stream_budget_left(struct stream *stream, const unsigned *used);

void stream_input_ended(struct stream *stream, int error);
/* A search in the input, which had no place yet, has come to this one. */
void stream_place_keep(struct stream *stream, const struct match_place *place);
/* `size` bytes left the input, or some were put back: what was searched of
 * the rest is still known, or is not. */
void stream_place_move(struct stream *stream, size_t size);
void stream_place_forget(struct stream *stream);
/* The pending read goes on, after data may have come. */
void stream_read_progress(struct stream *stream);
/* The pending read, if there is one, ends with `error`. */
void stream_read_finish(struct stream *stream, int error);
/* Nobody reads, but the end is watched for. */
void stream_read_notice(struct stream *stream);

void stream_flush(struct stream *stream);
/* How many of the queued bytes may leave now. */
uint64_t stream_sendable(const struct stream *stream);
void stream_tell_waiters(struct stream *stream, int error);
void stream_output_failed(struct stream *stream, int error);

void stream_handshake_step(struct stream *stream);
/* The next step of closing: flush, end our side, drain, close. */
void stream_close_step(struct stream *stream);
void stream_drain_step(struct stream *stream);
void stream_linger_over(struct ev_loop *ev, ev_timer *timer, int events);
/* Closes the descriptor; with no references left, frees the stream. */
void stream_finish(struct stream *stream);

/* After any change: what keeps the host, what is watched, is it over? */
void stream_settle(struct stream *stream);

/* Keeps words for `error`: the transport's, or those given. */
void stream_keep_reason(struct stream *stream, const char *reason);

#endif
