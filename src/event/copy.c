/* Copying: reads "whatever is there" in a row, each answered by a write.
 *
 * splice(2) through a pipe was the alternative. It saves the two copies to
 * and from user space, but costs two descriptors a copy, works between plain
 * sockets only, and leaves bytes in the pipe that belong to neither stream
 * when a deadline passes. */
#include "event/copy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/stream_internal.h"

/* Answers beside those of stream_read: it is over, it goes on. */
enum { COPY_DONE = STREAM_WAIT + 1, COPY_NEXT };

static void note_failure(struct copy *copy, int error, bool to_failed)
{
    if (copy->broken)
        return;
    copy->broken = error;
    copy->to_failed = to_failed;
}

/* May bytes go to the transport past the (empty) queue? */
static bool is_direct(struct stream *to)
{
    return to->phase == STREAM_OPEN && !to->rare->next &&
           outqueue_length(&to->output) == 0 && !stream_write_waits(to) &&
           stream_budget_left(to, &to->bytes_written) > 0;
}

/* Writes what the kernel takes now; how many bytes that was. */
static size_t write_now(struct stream *to, const char *data, size_t size)
{
    struct iovec vector = {(char *) data, size};
    ssize_t count = stream_transmit(to, &vector, 1);
    if (count > 0) {
        to->bytes_written += (unsigned) count;
        return (size_t) count;
    }
    if (count == IO_FAILED)
        stream_output_failed(to, to->transport->error);
    else
        stream_arm_writer(to, count);
    return 0;
}

/* What the read has found goes to the other side; or it stays, if nothing can
 * be written any more, or not yet. */
static size_t pass_on(struct copy *copy, const char *data, size_t size)
{
    struct stream *to = copy->to;
    int error = stream_may_write(to, size);
    size_t done = 0;
    if (error == ENOBUFS) {
        copy->until = to->output.queued;
        return 0;
    }
    if (error)
        note_failure(copy, error, true);
    else if (is_direct(to))
        done = write_now(to, data, size);
    if (copy->broken)
        return done;
    if (done < size) {
        outqueue_copy(&to->output, data + done, size - done);
        copy->until = to->output.queued;
    }
    return size;
}

/* Takes what the read has brought. */
static void take(struct copy *copy, int answer)
{
    struct stream *from = copy->from;
    if (answer == ERROR_EOF) {
        copy->ended = true;
        return;
    }
    if (answer != 0) {
        note_failure(copy, answer, false);
        return;
    }
    struct match_found *found = &from->result->found;
    found->size = pass_on(copy, stream_found(from), found->end);
    copy->copied += found->size;
    copy->left -= found->size;
    stream_consume(from);
    if (outqueue_length(&copy->to->output) > 0)
        stream_written(copy->to);
}

/* How much one read may bring: what may be written in this turn, and queued if
 * `to` takes nothing. */
static size_t read_size(const struct copy *copy, size_t budget)
{
    const struct stream_options *options = &copy->to->kind->options;
    uint64_t size = budget < LOOP_SCRATCH ? budget : LOOP_SCRATCH;
    if (options->max_write_buffer_size > 0 &&
        size > options->max_write_buffer_size)
        size = options->max_write_buffer_size;
    return (size_t) (size < copy->left ? size : copy->left);
}

/* The next read: as stream_read, or COPY_DONE. */
static int read_next(struct copy *copy)
{
    struct stream *from = copy->from, *to = copy->to;
    copy->waiting = to->output.sent < copy->until;
    if (copy->waiting)
        return STREAM_WAIT;
    if (copy->ended || copy->left == 0)
        return COPY_DONE;
    int error = stream_may_write(to, 0);
    if (error) {
        note_failure(copy, error, true);
        return error;
    }
    size_t budget = stream_budget_left(to, &to->bytes_written);
    if (budget == 0) {
        copy->waiting = true;
        stream_go_on_later(from);
        return STREAM_WAIT;
    }
    struct match match = {
        .kind = MATCH_ANY, .max = read_size(copy, budget), .max_given = true};
    return stream_read(from, &match);
}

/* Goes on after the answer of a read, or with COPY_NEXT: COPY_DONE,
 * STREAM_WAIT or an error. */
static int run(struct copy *copy, int answer)
{
    copy->running = true;
    while (!copy->broken && answer != STREAM_WAIT && answer != COPY_DONE) {
        if (answer != COPY_NEXT)
            take(copy, answer);
        if (!copy->broken)
            answer = read_next(copy);
    }
    copy->running = false;
    copy->from->reading = answer == STREAM_WAIT && !copy->broken;
    return copy->broken ? copy->broken : answer;
}

/* Leaves both streams. */
static void leave(struct copy *copy)
{
    list_remove(&copy->link);
    stream_have_rare(copy->from)->copy = NULL;
    copy->from->reading = false;
}

static void settle_both(struct stream *from, struct stream *to)
{
    stream_retain(from);
    if (to != from)
        stream_settle(to);
    stream_settle(from);
    stream_release(from);
}

static void go_on(struct copy *copy, int answer)
{
    struct stream *from = copy->from, *to = copy->to;
    answer = run(copy, answer);
    if (answer == STREAM_WAIT)
        return;
    stream_retain(from);
    stream_retain(to);
    leave(copy);
    stream_events(from)->copied(from, copy, answer == COPY_DONE ? 0 : answer);
    free(copy);
    settle_both(from, to);
    stream_release(to);
    stream_release(from);
}

int copy_start(struct stream *from, struct stream *to, uint64_t length,
               struct copy *result)
{
    struct copy *copy = memory_new(sizeof *copy);
    copy->from = from;
    copy->to = to;
    copy->left = length;
    list_insert(&stream_have_rare(to)->copies, &copy->link);
    stream_have_rare(from)->copy = copy;
    int answer = run(copy, COPY_NEXT);
    if (answer == STREAM_WAIT)
        return STREAM_WAIT;
    leave(copy);
    *result = *copy;
    free(copy);
    settle_both(from, to);
    return answer == COPY_DONE ? 0 : answer;
}

void copy_read_done(struct copy *copy, int error)
{
    if (!copy->running)
        go_on(copy, error);
    else
        note_failure(copy, error, false);
}

void copy_proceed(struct copy *copy)
{
    if (!copy->running && copy->waiting)
        go_on(copy, COPY_NEXT);
}

/* Has everything been taken, so that only its leaving is waited for? */
static bool is_complete(const struct copy *copy)
{
    return copy->ended || copy->left == 0;
}

static void tell(struct copy *copy, int error)
{
    bool sent = copy->to->output.sent >= copy->until;
    if (!error || (is_complete(copy) && sent)) {
        copy_proceed(copy);
        return;
    }
    note_failure(copy, error, true);
    if (!copy->running)
        go_on(copy, STREAM_WAIT);
}

static void tell_each(struct stream *to, int error, bool closing)
{
    if (list_empty(&to->rare->copies))
        return;
    struct list now, *copies = &stream_have_rare(to)->copies;
    list_init(&now);
    list_move(&now, copies);
    stream_retain(to);
    for (struct list *link; (link = list_pop(&now));) {
        struct copy *copy = list_entry(link, struct copy, link);
        list_insert(copies, link);
        if (!closing || !is_complete(copy))
            tell(copy, error);
    }
    stream_release(to);
}

void copy_tell(struct stream *to, int error)
{
    tell_each(to, error, false);
}

void copy_refuse(struct stream *to, int error)
{
    tell_each(to, error, true);
}

void copy_cancel(struct copy *copy)
{
    struct stream *from = copy->from, *to = copy->to;
    leave(copy);
    free(copy);
    settle_both(from, to);
}
