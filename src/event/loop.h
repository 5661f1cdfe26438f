/* The loop and what everything on it shares.
 *
 * A turn: what is ready in Lua runs, loop_flush lets every stream that was
 * written to send, loop_bury frees what was closed, then libev waits. */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/list.h"

#define LOOP_SCRATCH 65536 /* bytes: one receive buffer for all streams */
#define LOOP_BUDGET 262144 /* bytes that one stream moves in one turn (R13) */
#define LOOP_HEAVY 8       /* heavy calls, such as handshakes, in one turn */
#define LOOP_NEVER 1e9     /* seconds, some 30 years: longer is never */

struct trace;

/* Something to be called once, soon. In no list: list_empty(&link). */
struct loop_call {
    struct list link;
    void (*run)(struct loop_call *);
};

struct loop {
    struct ev_loop *ev;
    char *scratch;
    bool scratch_busy;   /* a match in it has not been consumed yet */
    bool stirred;        /* a stream's descriptor had something to tell */
    unsigned holds;      /* what keeps the host alive (R22) */
    unsigned turn;       /* counts turns: budgets are per turn */
    double began;        /* what loop_began has answered last, */
    unsigned began_turn; /* and in which turn */
    struct list flush;   /* calls to make before the loop waits */
    struct list again;   /* calls to make in the next turn */
    struct list heavy;   /* calls to make when it is their turn */
    unsigned heavy_turn, heavy_done; /* in that turn */
    struct list late; /* calls to make when nothing else comes before a poll */
    struct list drains; /* calls to make once, when the host begins to end */
    struct list graves;
    struct trace *tracer; /* trace.h's own */
    struct trace *trace;  /* the same while somebody traces; else NULL */
    struct list streams;  /* every struct stream, by its `link` */
    struct buffer taken;  /* stream_take's last, if that emptied its stream */
    bool awake;           /* the next poll returns at once */
};

/* NULL if libev cannot start. Never the default loop (DESIGN §3.11). */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Makes `call` run before the loop waits / in the next turn; no-op when it
 * is listed already. */
void loop_before_wait(struct loop *loop, struct loop_call *call);
void loop_next_turn(struct loop *loop, struct loop_call *call);

/* May a heavy step be made in this turn, so that others are not kept waiting
 * for longer than a few of them take? If not, `call` runs in one of the next
 * turns, in order; then this is true. */
bool loop_may_step(struct loop *loop, struct loop_call *call);

/* Runs the calls for this turn; then those to be made before waiting. */
void loop_again(struct loop *loop);
void loop_flush(struct loop *loop);

/* The host begins to end: makes the calls of `drains`, which take nothing new
 * from outside any more. */
void loop_drain(struct loop *loop);

/* free()s `block` at the turn's end. Its first member must be a struct list
 * that is in no list. */
void loop_bury(struct loop *loop, void *block);
void loop_free_graves(struct loop *loop);

/* Is no call left for the next turn? */
bool loop_empty(const struct loop *loop);

/* Makes `call` run after the turn, right before the poll; what it makes ready
 * needs loop_stay_awake. */
void loop_before_poll(struct loop *loop, struct loop_call *call);

/* Tells the watchers what has happened, having waited for something if there
 * is nothing to do before. */
void loop_poll(struct loop *loop);
/* The next poll does not wait. */
void loop_stay_awake(struct loop *loop);

/* Turns, each with a poll behind it, until `turn` says no. */
void loop_run(struct loop *loop, bool (*turn)(struct loop *));

/* Monotonic seconds, read now. */
double loop_clock(void);
/* The same, read once in a turn. */
double loop_began(struct loop *loop);

/* Starts `timer` so that it fires once, no sooner than `seconds` from now
 * (R37); from LOOP_NEVER on it is not started at all. */
void loop_start_timer(struct loop *loop, ev_timer *timer, double seconds);

/* One more, one fewer thing keeps the host alive. `*holding` remembers. */
void loop_hold(struct loop *loop, bool *holding, bool hold);

#endif
