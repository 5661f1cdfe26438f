#include "lua/drain.h"

#include <errno.h>

#include "event/stream.h"
#include "lua/lua_stream.h"
#include "lua/lua_timer.h"
#include "lua/scheduler.h"
#include "lua/task_internal.h"

#define ENDING "the host is ending"

static ev_check check;
static ev_timer grace_timer;

/* Its peer has asked for nothing, and is owed nothing. */
static bool nothing_under_way(const struct stream *stream)
{
    return stream->phase == STREAM_OPEN && stream->reading &&
           buffer_length(&stream->input) == 0 && !stream->transport->held &&
           outqueue_length(&stream->output) == 0;
}

static void end_if_idle(struct stream *stream)
{
    const struct lua_stream *box = stream_owner(stream);
    if (box && box->rare->listener)
        stream_abort(stream); /* it has not even shaken hands */
    else if (nothing_under_way(stream))
        stream_fail(stream, ECANCELED, ENDING);
}

static void end_now(struct stream *stream)
{
    stream_abort_for(stream, ECANCELED, ENDING);
}

/* After the poll, when what has arrived has been handed to its readers. */
static void after_poll(struct ev_loop *ev, ev_check *watcher, int events)
{
    (void) ev;
    (void) watcher;
    (void) events;
    stream_each(task_loop(), end_if_idle);
}

static void grace_over(struct ev_loop *ev, ev_timer *timer, int events)
{
    (void) ev;
    (void) timer;
    (void) events;
    stream_each(task_loop(), end_now);
    scheduler_stop(-1);
}

void drain_begin(double grace)
{
    struct loop *loop = task_loop();
    if (scheduler.draining)
        return;
    scheduler.draining = true;
    loop_drain(loop);
    lua_timer_release_host();
    ev_check_init(&check, after_poll);
    ev_set_priority(&check, EV_MINPRI);
    ev_check_start(loop->ev, &check);
    ev_init(&grace_timer, grace_over);
    loop_start_timer(loop, &grace_timer, grace);
    loop_stay_awake(loop);
}
