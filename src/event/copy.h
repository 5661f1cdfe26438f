/* Copying from one stream to another, without Lua.
 *
 * A copy takes the read slot of `from` until it is done. What it reads goes
 * straight to the transport of `to`; what the kernel does not take is queued
 * there, and nothing more is read until it has left: at most one chunk is
 * held, and a slow receiver holds the sender back. */
#ifndef WEIR_COPY_H
#define WEIR_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct stream;

struct copy {
    struct list link; /* to->copies */
    struct stream *from, *to;
    uint64_t left;   /* bytes still to take from `from` */
    uint64_t copied; /* bytes written to `to` */
    uint64_t until;  /* to->output.sent is to come to this before the next */
    int broken;      /* `to` ended, or `from` did, while `running` */
    bool ended;      /* there is nothing more to take */
    bool waiting;    /* for `to`, not for bytes */
    bool running;    /* what happens meanwhile is noted in `broken` */
    bool to_failed;  /* the error is that of `to` */
};

/* Copies at most `length` bytes, or until the peer of `from` ends. When it is
 * over, `*result` says how it stands (0 or an error), or, after STREAM_WAIT,
 * from->events->copied does, once. Nothing is lost in between: what was taken
 * from `from` has been written to `to`. */
int copy_start(struct stream *from, struct stream *to, uint64_t length,
               struct copy *result);

/* For the stream: the read that the copy waits in has an answer. */
void copy_read_done(struct copy *copy, int error);
/* It goes on, if what it waited for has come. */
void copy_proceed(struct copy *copy);
/* Bytes of `to` have left: the copies into it may go on. With an error, none
 * will leave any more, and they end. */
void copy_tell(struct stream *to, int error);
/* `to` takes nothing more, but what is queued still leaves. */
void copy_refuse(struct stream *to, int error);
/* The copy stops; nothing is called back. */
void copy_cancel(struct copy *copy);

#endif
