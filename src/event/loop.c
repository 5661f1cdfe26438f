#include "event/loop.h"

#include <stdlib.h>
#include <time.h>

#include "base/memory.h"

struct loop *loop_new(void)
{
    struct ev_loop *ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (!ev)
        return NULL;
    struct loop *loop = memory_new(sizeof *loop);
    loop->ev = ev;
    loop->scratch = memory_resize(NULL, LOOP_SCRATCH);
    list_init(&loop->flush);
    list_init(&loop->again);
    list_init(&loop->heavy);
    list_init(&loop->late);
    list_init(&loop->drains);
    list_init(&loop->graves);
    list_init(&loop->streams);
    return loop;
}

void loop_free(struct loop *loop)
{
    loop_free_graves(loop);
    ev_loop_destroy(loop->ev);
    free(loop->scratch);
    free(loop);
}

void loop_before_wait(struct loop *loop, struct loop_call *call)
{
    if (list_empty(&call->link))
        list_insert(&loop->flush, &call->link);
}

void loop_next_turn(struct loop *loop, struct loop_call *call)
{
    if (list_empty(&call->link))
        list_insert(&loop->again, &call->link);
}

bool loop_may_step(struct loop *loop, struct loop_call *call)
{
    if (loop->heavy_turn != loop->turn) {
        loop->heavy_turn = loop->turn;
        loop->heavy_done = 0;
    }
    if (loop->heavy_done < LOOP_HEAVY) {
        loop->heavy_done++;
        return true;
    }
    if (list_empty(&call->link))
        list_insert(&loop->heavy, &call->link);
    return false;
}

/* Those that have waited longest. */
static void run_heavy(struct loop *loop)
{
    for (int i = 0; i < LOOP_HEAVY && !list_empty(&loop->heavy); i++) {
        struct list *link = list_pop(&loop->heavy);
        struct loop_call *call = list_entry(link, struct loop_call, link);
        call->run(call);
    }
}

/* Only the calls listed now: what they add waits for its own turn. */
static void run_calls(struct list *calls)
{
    struct list now;
    list_init(&now);
    list_move(&now, calls);
    for (struct list *link; (link = list_pop(&now));) {
        struct loop_call *call = list_entry(link, struct loop_call, link);
        call->run(call);
    }
}

void loop_again(struct loop *loop)
{
    run_heavy(loop);
    run_calls(&loop->again);
}

void loop_flush(struct loop *loop)
{
    run_calls(&loop->flush);
}

/* A listener that a listener's close closes has left the list. */
void loop_drain(struct loop *loop)
{
    for (struct list *link; (link = list_pop(&loop->drains));) {
        struct loop_call *call = list_entry(link, struct loop_call, link);
        call->run(call);
    }
}

void loop_bury(struct loop *loop, void *block)
{
    struct list *grave = block;
    list_insert(&loop->graves, grave);
}

void loop_free_graves(struct loop *loop)
{
    for (struct list *grave; (grave = list_pop(&loop->graves));)
        free(grave);
    buffer_free(&loop->taken);
}

bool loop_empty(const struct loop *loop)
{
    return list_empty(&loop->again) && list_empty(&loop->heavy) &&
           list_empty(&loop->flush);
}

void loop_before_poll(struct loop *loop, struct loop_call *call)
{
    if (list_empty(&call->link))
        list_insert(&loop->late, &call->link);
}

void loop_poll(struct loop *loop)
{
    run_calls(&loop->late);
    bool waits =
        !loop->awake && loop_empty(loop) && ev_pending_count(loop->ev) == 0;
    loop->awake = false;
    ev_run(loop->ev, waits ? EVRUN_ONCE : EVRUN_NOWAIT);
}

/* libev does not wait if there are no watchers; here that is not the end. */
void loop_run(struct loop *loop, bool (*turn)(struct loop *))
{
    ev_ref(loop->ev);
    for (;;) {
        loop->turn++;
        if (!turn(loop))
            break;
        loop_poll(loop);
    }
    ev_unref(loop->ev);
}

void loop_stay_awake(struct loop *loop)
{
    loop->awake = true;
}

double loop_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec * 1e-9;
}

double loop_began(struct loop *loop)
{
    if (loop->began_turn != loop->turn) {
        loop->began_turn = loop->turn;
        loop->began = loop_clock();
    }
    return loop->began;
}

/* libev adds what it is given to its clock: infinity would be too much. */
void loop_start_timer(struct loop *loop, ev_timer *timer, double seconds)
{
    if (!(seconds < LOOP_NEVER))
        return;
    ev_now_update(loop->ev);
    ev_timer_set(timer, seconds, 0.);
    ev_timer_start(loop->ev, timer);
}

void loop_hold(struct loop *loop, bool *holding, bool hold)
{
    if (*holding == hold)
        return;
    *holding = hold;
    loop->holds += hold ? 1 : -1;
}
