/* What a stream waits for beside its input, and what then happens. Most never
 * wait to send, nor are closing: so these watchers come and go. */
#include <stdlib.h>

#include "base/memory.h"
#include "event/stream_internal.h"

static void writer_ready(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct stream *stream = watcher->data;
    (void) events;
    ev_io_stop(ev, watcher);
    stream_loop(stream)->stirred = true;
    if (stream->phase == STREAM_HANDSHAKE)
        stream_handshake_step(stream);
    else if (stream->phase == STREAM_ENDING)
        stream_close_step(stream);
    else
        stream_flush(stream);
}

static struct stream_waits *waits_of(struct stream *stream)
{
    if (stream->waits)
        return stream->waits;
    struct stream_waits *waits = memory_new(sizeof *waits);
    ev_init(&waits->writer, writer_ready);
    ev_init(&waits->linger, stream_linger_over);
    waits->writer.fd = -1;
    waits->writer.data = waits->linger.data = stream;
    stream->waits = waits;
    return waits;
}

void stream_arm_writer(struct stream *stream, ssize_t answer)
{
    stream_arm(stream, &waits_of(stream)->writer, answer);
}

void stream_stop_writer(struct stream *stream)
{
    if (stream->waits)
        ev_io_stop(stream_loop(stream)->ev, &stream->waits->writer);
}

void stream_start_linger(struct stream *stream, double seconds)
{
    ev_timer *linger = &waits_of(stream)->linger;
    ev_timer_stop(stream_loop(stream)->ev, linger);
    loop_start_timer(stream_loop(stream), linger, seconds);
}

void stream_cut_linger(struct stream *stream, double seconds)
{
    struct stream_waits *waits = stream->waits;
    if (waits && ev_is_active(&waits->linger) &&
        ev_timer_remaining(stream_loop(stream)->ev, &waits->linger) > seconds)
        stream_start_linger(stream, seconds);
}

void stream_drop_waits(struct stream *stream)
{
    if (!stream->waits)
        return;
    stream_stop_writer(stream);
    ev_timer_stop(stream_loop(stream)->ev, &stream->waits->linger);
    free(stream->waits);
    stream->waits = NULL;
}
