/* A stream: a descriptor, a transport, an input buffer, an output queue, at
 * most one pending read.
 *
 * Calls either finish or call back, never both: those that may wait return 0
 * (done), STREAM_WAIT (a callback will come, once), or an error. Callbacks are
 * function pointers, always the last thing a handler does; they may call
 * anything here, also stream_close and stream_release on the same stream. */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/match.h"
#include "base/outqueue.h"
#include "event/loop.h"
#include "io/transport.h"

enum { STREAM_WAIT = 1 << 30 };

#define STREAM_LINGER 30.0 /* seconds, unless close says otherwise */

struct copy;
struct listener;
struct stream;

/* How it is opened. */
struct stream_options {
    struct listener *listener; /* that accepts it; or NULL */
    size_t max_buffer_size;
    size_t read_chunk_size;
    uint64_t max_write_buffer_size; /* 0: none */
    uint64_t high_water;
    bool half_open;
    bool nodelay;
    bool keepalive;
};

/* The upward edge, for as long as there is an owner, which is the binding's. */
struct stream_events {
    /* The pending read ended: 0, or an error. On 0 the result is in `result`,
     * to be taken and then given back with stream_consume. */
    void (*read_done)(struct stream *, int error);
    /* connect or handshake ended. */
    void (*ready)(struct stream *, int error);
    /* A copy from it, begun with copy_start, is over: 0, or an error. */
    void (*copied)(struct stream *, const struct copy *, int error);
    /* The stream is over and somebody asked to be told (R17). Once. */
    void (*over)(struct stream *, int error);
    /* The handshake waits for an answer to what the transport asks;
     * stream_handshake_answered must follow, later. */
    void (*asked)(struct stream *);
};

/* What streams that are opened alike have in common: one listener's, say. */
struct stream_kind {
    struct stream_options options;
    struct loop *loop;
    const struct stream_events *events;
    struct list link; /* see stream_kind.c */
    unsigned references;
};

/* Somebody waits until the output has been sent up to an offset. */
struct stream_waiter {
    struct list link;
    uint64_t until; /* bytes sent since the beginning */
    void (*done)(struct stream_waiter *, int error);
};

/* Watchers that few streams need, and those not for long. */
struct stream_waits {
    ev_io writer;    /* to send more */
    ev_timer linger; /* the handshake's end, or the closing's */
};

/* What few streams ever have. The others share one of these, which is empty:
 * most connections only wait, and there are many of them. */
struct stream_rare {
    struct transport *next; /* after the plain output has left */
    uint64_t plain_until;   /* start_tls: output up to here leaves first */
    struct list waiters;    /* struct stream_waiter, in order of `until` */
    struct list copies;     /* struct copy, into this one */
    struct copy *copy;      /* from this one: it is what reads */
    /* Called before anything is queued; NULL: nothing to do. */
    void (*before_write)(struct stream *);
    char *into; /* read_into: where, */
    size_t into_length, into_have;
    const char *detail; /* static words for the last EPROTO */
    char *reason;       /* words for input_error or output_error */
};

/* What a read has found, until that is consumed. */
struct stream_result {
    struct match_found found;
    const char *view; /* the bytes that `found` refers to */
    size_t view_length;
};

enum stream_phase {
    STREAM_IDLE,       /* no descriptor yet */
    STREAM_CONNECTING, /* a connect is under way elsewhere */
    STREAM_HANDSHAKE,  /* the transport is being set up */
    STREAM_OPEN,
    STREAM_FLUSHING, /* closed: sending what is left */
    STREAM_ENDING,   /* closed: ending our side */
    STREAM_DRAINING, /* closed: discarding input until the peer ends */
    STREAM_CLOSED    /* no descriptor any more */
};

struct stream {
    struct list link; /* loop->streams; first: see loop_bury */
    const struct stream_kind *kind;
    struct transport *transport; /* &plain, or a TLS one */
    struct transport plain;
    ev_io reader;               /* its `data` is the owner */
    struct stream_waits *waits; /* what waits beside it; NULL if nothing has */
    struct loop_call call;      /* see stream_call.c */
    struct buffer input;
    struct outqueue output;
    /* For reading alone: see stream_have_rare. */
    const struct stream_rare *rare;
    struct match match;
    struct match_place *place; /* NULL: nothing that is buffered was searched */
    struct stream_result *result; /* of a read that is done; else NULL */
    unsigned wanted; /* bytes that the read lacks at the least, or a budget */
    unsigned budget_turn, bytes_read, bytes_written; /* in that turn (R13) */
    int references;
    unsigned id; /* what reports call it, also when it has no owner any more */
    int16_t input_error;  /* no more input will come, and why */
    int16_t output_error; /* nothing can be written any more, and why */
    int16_t lost;         /* why queued bytes were dropped, while nobody knew */
    int16_t over_error;   /* why the stream is over; 0: closed here */
    enum stream_phase phase : 8;
    bool holding;
    bool reading : 1;
    bool partial : 1;    /* read_into: at least one byte will do */
    bool scratched : 1;  /* `result` is in the loop's scratch buffer */
    bool shut : 1;       /* our side is to end once the output is empty */
    bool shut_done : 1;  /* it has ended */
    bool ending : 1;     /* those who wait are being told that it closes */
    bool peer_ended : 1; /* the transport said so: an end or an error */
    bool reset : 1;      /* close so that the peer sees a reset */
    bool watched : 1;    /* a close callback waits for `over` */
    bool busy : 1;       /* the listener's handler has not returned */
    bool told : 1;       /* `over` was called */
    bool flush_due : 1;  /* `call` comes before the loop waits; or, else, in */
    bool again_due : 1;  /* the next turn */
    bool counted : 1;    /* among the listener's connections */
    bool unref : 1;      /* does not keep the host */
    bool shared : 1;     /* the descriptor is a standard one, not ours alone */
    bool left : 1;  /* the host ends, and leaves a shared descriptor open */
    bool eager : 1; /* sends what is written at once */
    bool nodelay : 1;
    bool keepalive : 1;
};

/* With one reference, in phase STREAM_IDLE. A listener's counts as one of its
 * connections until it is closed. */
struct stream *stream_new(struct loop *loop,
                          const struct stream_options *options,
                          const struct stream_events *events, void *owner);
struct stream *stream_retain(struct stream *stream);
/* The last release frees the stream, once it is STREAM_CLOSED; one that
 * still has bytes to send lingers on without references. */
void stream_release(struct stream *stream);
void stream_default_options(struct stream_options *options);

/* The stream's own stream->rare, to be changed. */
struct stream_rare *stream_have_rare(struct stream *stream);

/* Opens the stream around `fd` (plain if `transport` is NULL), which does not
 * block; or around a standard one, which may: its blocking flag is shared with
 * other processes and left alone, and closing it ends nothing for them.
 * A transport that shakes hands does so first, and events->ready follows.
 * Queued writes then start to leave. */
void stream_open(struct stream *stream, int fd, struct transport *transport);
/* Puts `transport`, which is around the present one, in its place. */
void stream_wrap(struct stream *stream, struct transport *transport);
/* While a connect is under way: writes are queued, reads wait. */
void stream_connecting(struct stream *stream);
/* It failed: everything that waits is told. */
void stream_connect_failed(struct stream *stream, int error,
                           const char *reason);
/* A handshake that takes longer than that fails with ETIMEDOUT. */
void stream_handshake_timeout(struct stream *stream, double seconds);

/* What the transport asked was answered. */
void stream_handshake_answered(struct stream *stream);

/* Replaces the transport, after what is queued now has left, and shakes
 * hands. What is buffered is dropped: it is the new transport's. STREAM_WAIT,
 * always: events->ready follows. */
int stream_handshake(struct stream *stream, struct transport *transport);

/* Reads what `match` asks for (it is copied; its pattern is retained).
 * 0: stream->result is there; call stream_consume. */
int stream_read(struct stream *stream, const struct match *match);
/* Reads `size` bytes into `memory`; rare->into_have says how many. */
int stream_read_into(struct stream *stream, void *memory, size_t size,
                     bool partial);
/* Takes the found bytes out. Must follow every read that was done. */
void stream_consume(struct stream *stream);
/* Stops the pending read; its bytes stay. Nothing is called back. */
void stream_cancel_read(struct stream *stream);
/* ENOBUFS if that would pass max_buffer_size. */
int stream_unread(struct stream *stream, const void *data, size_t size);

/* Before anything is queued: may `size` more bytes be written? 0, ENOBUFS,
 * or why the stream is over for writing. */
int stream_may_write(struct stream *stream, uint64_t size);
/* Bytes were put on stream->output: sees that they leave. */
void stream_written(struct stream *stream);
/* Sends all that is queued, and blocks the host until then. */
void stream_flush_blocking(struct stream *stream);
/* 0 if already sent, STREAM_WAIT, or why it never will be. */
int stream_wait_sent(struct stream *stream, struct stream_waiter *waiter,
                     uint64_t until);
void stream_cancel_waiter(struct stream_waiter *waiter);

/* Takes what is buffered if it satisfies `match`, and returns where it was,
 * good until the next take or the turn's end; or changes nothing and returns
 * NULL. Reads nothing and calls nothing back. */
const char *stream_take(struct stream *stream, const struct match *match,
                        struct match_found *found);
/* May `size` bytes be copied to stream->output and stream_written called, and
 * nothing will be sent or called back by that, nor a limit passed? */
bool stream_may_put(struct stream *stream, size_t size);

/* Ends our side when all that was queued has left: 0, STREAM_WAIT (`waiter`
 * will be told), or an error, which stream_may_shutdown tells before. */
int stream_may_shutdown(struct stream *stream);
int stream_shutdown(struct stream *stream, struct stream_waiter *waiter);
/* Flushes for at most `linger` seconds in the background, then closes. */
void stream_close(struct stream *stream, double linger);
/* The same for a reason that the close callback gets. */
void stream_fail(struct stream *stream, int error, const char *reason);
/* Now: unsent bytes are dropped, a TCP peer sees a reset. */
void stream_abort(struct stream *stream);
/* The same for a reason that the close callback gets. */
void stream_abort_for(struct stream *stream, int error, const char *reason);
/* The host ends: closes, after sending what is queued. */
void stream_leave(struct stream *stream);
/* Calls `each` for every stream: it may end any of them. */
void stream_each(struct loop *loop, void (*each)(struct stream *));
/* Hands over the descriptor, not closing it; the stream is over. */
int stream_detach(struct stream *stream);

/* Watches for the end (R17): events->over comes once the stream is over,
 * later, never inside this call. */
void stream_watch(struct stream *stream, bool watch);
/* The listener's handler began or returned; or it waits for the handshake. */
void stream_set_busy(struct stream *stream, bool busy);
void stream_set_unref(struct stream *stream, bool unref);

static inline struct loop *stream_loop(const struct stream *stream)
{
    return stream->kind->loop;
}

static inline void *stream_owner(const struct stream *stream)
{
    return stream->reader.data;
}

/* There is none any more: nothing is told. */
static inline void stream_disown(struct stream *stream)
{
    stream->reader.data = NULL;
}

/* The bytes that a read which is done has found. */
static inline const char *stream_found(const struct stream *stream)
{
    return stream->result->view + stream->result->found.start;
}

static inline bool stream_closed(const struct stream *stream)
{
    return stream->phase >= STREAM_FLUSHING;
}

/* Words for an error that this stream gave. */
const char *stream_reason(const struct stream *stream, int error);

#endif
