/* What a stream does at the edges of a turn. One call serves both: what was to
 * come in the next turn comes with the flush, if one is asked for after it. It
 * does no harm: it keeps to the turn's budget. */
#include "event/stream_internal.h"

static void flush(struct stream *stream)
{
    if (stream->phase == STREAM_HANDSHAKE)
        stream_handshake_step(stream);
    else if (!stream_write_waits(stream))
        stream_flush(stream);
    if (stream->watched || stream->output_error)
        stream_settle(stream);
}

static void go_on(struct stream *stream)
{
    if (stream->phase == STREAM_HANDSHAKE)
        stream_handshake_step(stream);
    else if (stream->phase == STREAM_DRAINING)
        stream_drain_step(stream);
    else if (!stream_write_waits(stream))
        stream_flush(stream);
    if (stream->phase == STREAM_OPEN && !stream->rare->next) {
        if (stream->reading)
            stream_read_progress(stream);
        else if (stream->watched)
            stream_read_notice(stream);
    }
}

static void run(struct loop_call *call)
{
    struct stream *stream = list_entry(call, struct stream, call);
    bool flushes = stream->flush_due, goes_on = stream->again_due;
    stream->flush_due = stream->again_due = false;
    stream_retain(stream);
    if (flushes)
        flush(stream);
    if (goes_on)
        go_on(stream);
    stream_release(stream);
}

void stream_flush_later(struct stream *stream)
{
    /* A handshake's next step is due, and in its turn, if anything is. */
    if (stream->flush_due ||
        (stream->phase == STREAM_HANDSHAKE && !list_empty(&stream->call.link)))
        return;
    stream->flush_due = true;
    list_remove(&stream->call.link);
    loop_before_wait(stream_loop(stream), &stream->call);
}

void stream_go_on_later(struct stream *stream)
{
    stream->again_due = true;
    loop_next_turn(stream_loop(stream), &stream->call);
}

void stream_stay(struct stream *stream)
{
    stream->again_due = false;
    if (!stream->flush_due)
        list_remove(&stream->call.link);
}

void stream_call_begin(struct stream *stream)
{
    list_init(&stream->call.link);
    stream->call.run = run;
}

void stream_call_end(struct stream *stream)
{
    stream->flush_due = stream->again_due = false;
    list_remove(&stream->call.link);
}
