/* Reading: the buffer first, then the transport, then wait.
 *
 * Plain reads land in the loop's scratch buffer; a match found there is handed
 * out from there, and only what is left of it is copied to the stream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/copy.h"
#include "event/stream_internal.h"

void stream_input_ended(struct stream *stream, int error)
{
    stream->peer_ended = true;
    if (stream->input_error)
        return;
    stream->input_error = error;
    if (error != ERROR_EOF)
        stream_keep_reason(stream, NULL);
    if (stream_loop(stream)->trace)
        trace_input_ended(stream, error);
    ev_io_stop(stream_loop(stream)->ev, &stream->reader);
}

/* The bytes have not been asked yet. */
enum { NOT_ASKED = -1000 };

/* --- results and places --------------------------------------------------- */

/* Both come and go with the bytes: an idle stream has neither. Nearly always
 * one result is consumed before there is another. */
static struct stream_result *at_hand;

static struct stream_result *result_at_hand(void)
{
    if (!at_hand)
        at_hand = memory_resize(NULL, sizeof *at_hand);
    return at_hand;
}

static void result_free(struct stream *stream)
{
    if (at_hand)
        free(stream->result);
    else
        at_hand = stream->result;
    stream->result = NULL;
}

void stream_place_keep(struct stream *stream, const struct match_place *place)
{
    stream->place = memory_resize(NULL, sizeof *place);
    *stream->place = *place;
}

void stream_place_forget(struct stream *stream)
{
    free(stream->place);
    stream->place = NULL;
}

void stream_place_move(struct stream *stream, size_t size)
{
    if (!stream->place)
        return;
    if (buffer_length(&stream->input) == 0)
        stream_place_forget(stream);
    else
        match_consumed(stream->place, size);
}

/* --- matching ------------------------------------------------------------- */

static void set_wanted(struct stream *stream, size_t size)
{
    stream->wanted = size < LOOP_BUDGET ? (unsigned) size : LOOP_BUDGET;
}

/* Does what lies at `data` satisfy the read? 0, STREAM_WAIT or an error. */
static int match_at(struct stream *stream, const char *data, size_t length)
{
    struct match_input input = {
        .data = data,
        .length = length,
        .limit = stream->kind->options.max_buffer_size,
        .ended = stream->input_error == ERROR_EOF ||
                 (stream->input_error && stream->match.kind == MATCH_REGEX),
    };
    const char *detail = NULL;
    struct match_place fresh = {0};
    struct match_place *place = stream->place ? stream->place : &fresh;
    struct stream_result *result = result_at_hand();
    if (stream->rare->detail)
        stream_have_rare(stream)->detail = NULL;
    size_t wanted;
    enum match_answer answer = match_find(&stream->match, place, &input,
                                          &result->found, &wanted, &detail);
    set_wanted(stream, wanted);
    if (answer != MATCH_FOUND && fresh.scanned > 0)
        stream_place_keep(stream, &fresh);
    switch (answer) {
    case MATCH_FOUND:
        result->view = data;
        result->view_length = length;
        stream->result = result;
        at_hand = NULL;
        return 0;
    case MATCH_NOT_YET:
        return STREAM_WAIT;
    case MATCH_TOO_LONG:
        return EMSGSIZE;
    case MATCH_TOO_BIG:
        return ENOBUFS;
    case MATCH_INVALID:
        break;
    }
    stream_have_rare(stream)->detail = detail;
    return EPROTO;
}

/* read_into: moves buffered bytes to where they are wanted. */
static int into_from_buffer(struct stream *stream)
{
    struct stream_rare *rare = stream_have_rare(stream);
    size_t size = rare->into_length - rare->into_have;
    size_t there = buffer_length(&stream->input);
    if (size > there)
        size = there;
    if (size > 0) {
        memcpy(rare->into + rare->into_have, buffer_data(&stream->input), size);
        buffer_consume(&stream->input, size);
        stream_place_move(stream, size);
        rare->into_have += size;
    }
    bool enough = rare->into_have == rare->into_length ||
                  (stream->partial && rare->into_have > 0);
    set_wanted(stream, rare->into_length - rare->into_have);
    return enough ? 0 : STREAM_WAIT;
}

/* A failed read_into gives back what it took (R4). */
static void into_give_back(struct stream *stream)
{
    struct stream_rare *rare = stream_have_rare(stream);
    if (rare->into_have > 0) {
        buffer_prepend(&stream->input, rare->into, rare->into_have);
        stream_place_forget(stream);
    }
    rare->into_have = 0;
}

static int answer_from_buffer(struct stream *stream)
{
    if (stream->rare->into)
        return into_from_buffer(stream);
    return match_at(stream, buffer_data(&stream->input),
                    buffer_length(&stream->input));
}

/* --- filling -------------------------------------------------------------- */

/* How much may be asked of the kernel: what the read lacks, or a chunk, and no
 * more than the turn's budget has left. Where nobody reads, a chunk is all that
 * may be held (R17). */
static size_t fill_size(struct stream *stream)
{
    const struct stream_options *options = &stream->kind->options;
    size_t length = buffer_length(&stream->input);
    size_t size = options->read_chunk_size;
    size_t limit = stream->reading ? options->max_buffer_size : size;
    size_t budget = stream_budget_left(stream, &stream->bytes_read);
    if (stream->reading && stream->wanted > size)
        size = stream->wanted;
    /* One byte more than allowed tells "full" from "just ended". */
    size_t room = limit > length ? limit - length : 1;
    size = size < room ? size : room;
    return size < budget ? size : budget;
}

static ssize_t transport_read(struct stream *stream, void *data, size_t size)
{
    struct transport *transport = stream->transport;
    ssize_t count = transport->class->read(transport, data, size);
    if (count > 0)
        stream->bytes_read += (unsigned) count;
    if (stream_loop(stream)->trace && count > 0)
        trace_received(stream, data, (size_t) count);
    if (count > 0 && stream->output_error)
        transport->drained = false; /* the reset comes behind it (R16) */
    /* A read may have had to write (R32). */
    if (transport->unsent && !stream_write_waits(stream))
        stream_flush_later(stream);
    return count;
}

/* Reads into the scratch buffer and matches there; what is not handed out at
 * once is copied. */
static ssize_t fill_scratch(struct stream *stream, size_t size, int *answer)
{
    struct loop *loop = stream_loop(stream);
    if (size > LOOP_SCRATCH)
        size = LOOP_SCRATCH;
    ssize_t count = transport_read(stream, loop->scratch, size);
    if (count <= 0)
        return count;
    if (buffer_length(&stream->input) == 0 && stream->reading) {
        *answer = match_at(stream, loop->scratch, (size_t) count);
        if (*answer == 0) {
            stream->scratched = loop->scratch_busy = true;
            return count;
        }
    }
    buffer_append(&stream->input, loop->scratch, (size_t) count);
    return count;
}

static ssize_t fill_buffer(struct stream *stream, size_t size)
{
    char *room = buffer_reserve(&stream->input, size);
    ssize_t count = transport_read(stream, room, size);
    buffer_commit(&stream->input, count > 0 ? (size_t) count : 0);
    return count;
}

static ssize_t fill_into(struct stream *stream)
{
    struct stream_rare *rare = stream_have_rare(stream);
    size_t size = rare->into_length - rare->into_have;
    size_t budget = stream_budget_left(stream, &stream->bytes_read);
    if (size > budget)
        size = budget;
    ssize_t count = transport_read(stream, rare->into + rare->into_have, size);
    if (count > 0)
        rare->into_have += (size_t) count;
    return count;
}

/* One read from the transport; the answer of it and of the match that follows
 * it. A buffer with room is filled in place; small rests are not given large
 * buffers. */
static ssize_t fill(struct stream *stream, int *answer)
{
    struct buffer *input = &stream->input;
    size_t size = fill_size(stream);
    size_t spare = buffer_spare(input);
    ssize_t count;
    *answer = NOT_ASKED;
    if (stream->rare->into && buffer_length(input) == 0)
        count = fill_into(stream);
    else if (stream_loop(stream)->scratch_busy || size > LOOP_SCRATCH)
        count = fill_buffer(stream, size);
    else if (buffer_length(input) > 0 && spare > size / 2)
        count = fill_buffer(stream, spare < size ? spare : size);
    else
        count = fill_scratch(stream, size, answer);
    if (count == IO_END)
        stream_input_ended(stream, ERROR_EOF);
    else if (count == IO_FAILED)
        stream_input_ended(stream, stream->transport->error);
    return count;
}

/* --- the pending read ----------------------------------------------------- */

/* Reads until there is an answer or nothing more to read now. */
static int read_loop(struct stream *stream)
{
    for (;;) {
        if (stream_budget_left(stream, &stream->bytes_read) == 0) {
            stream_go_on_later(stream);
            return STREAM_WAIT;
        }
        int answer;
        ssize_t count = fill(stream, &answer);
        if (count == IO_WANT_READ || count == IO_WANT_WRITE) {
            stream_arm(stream, &stream->reader, count);
            return STREAM_WAIT;
        }
        if (answer == NOT_ASKED)
            answer = answer_from_buffer(stream);
        if (answer != STREAM_WAIT)
            return answer;
        if (stream->input_error)
            return stream->input_error;
        if (stream->transport->drained) {
            stream_arm(stream, &stream->reader, IO_WANT_READ);
            return STREAM_WAIT;
        }
    }
}

static void forget_into(struct stream *stream)
{
    if (stream->rare->into)
        stream_have_rare(stream)->into = NULL;
}

static void forget_match(struct stream *stream)
{
    struct pattern *pattern = match_pattern(&stream->match);
    if (pattern) {
        pattern_release(pattern);
        stream->match.pattern = NULL;
    }
    forget_into(stream);
}

/* What a read that is done or has failed leaves behind. */
static void read_ended(struct stream *stream, int error)
{
    if (error == 0)
        return;
    if (stream->rare->into)
        into_give_back(stream);
    forget_match(stream);
}

/* The read as it stands: 0, STREAM_WAIT or an error. */
static int read_try(struct stream *stream)
{
    int answer = answer_from_buffer(stream);
    if (answer != STREAM_WAIT)
        return answer;
    if (stream->input_error)
        return stream->input_error;
    if (stream->phase != STREAM_OPEN || stream->rare->next)
        return STREAM_WAIT; /* goes on when it is open, or encrypted */
    if (stream->transport->drained) {
        stream_arm(stream, &stream->reader, IO_WANT_READ);
        return STREAM_WAIT;
    }
    return read_loop(stream);
}

static int read_begin(struct stream *stream)
{
    if (stream->phase == STREAM_IDLE) {
        forget_match(stream);
        return ENOTCONN;
    }
    stream->reading = true;
    stream->wanted = 1;
    int answer = read_try(stream);
    if (answer == STREAM_WAIT)
        return answer;
    stream->reading = false;
    read_ended(stream, answer);
    if (answer != 0)
        stream_settle(stream);
    return answer;
}

int stream_read(struct stream *stream, const struct match *match)
{
    stream->match = *match;
    if (match_pattern(match))
        pattern_retain(match->pattern);
    forget_into(stream);
    return read_begin(stream);
}

int stream_read_into(struct stream *stream, void *memory, size_t size,
                     bool partial)
{
    stream->match = (struct match){.kind = MATCH_COUNT};
    struct stream_rare *rare = stream_have_rare(stream);
    rare->into = memory;
    rare->into_length = size;
    rare->into_have = 0;
    stream->partial = partial;
    return read_begin(stream);
}

static void consume_result(struct stream *stream)
{
    const struct stream_result *result = stream->result;
    size_t size = result->found.size;
    if (stream->scratched) {
        stream->scratched = stream_loop(stream)->scratch_busy = false;
        if (result->view_length > size)
            buffer_append(&stream->input, result->view + size,
                          result->view_length - size);
    } else {
        buffer_consume(&stream->input, size);
    }
    stream_place_move(stream, size);
    result_free(stream);
}

void stream_consume(struct stream *stream)
{
    if (stream->rare->into)
        stream_have_rare(stream)->into_have = 0;
    else
        consume_result(stream);
    forget_match(stream);
    /* Later: whoever read is told first that the stream is over (R17). */
    if (stream->watched || stream->output_error)
        stream_flush_later(stream);
}

void stream_read_finish(struct stream *stream, int error)
{
    if (!stream->reading)
        return;
    stream->reading = false;
    read_ended(stream, error);
    stream_retain(stream);
    if (stream->rare->copy)
        copy_read_done(stream->rare->copy, error);
    else
        stream_events(stream)->read_done(stream, error);
    if (error != 0)
        stream_settle(stream);
    stream_release(stream);
}

void stream_read_progress(struct stream *stream)
{
    if (stream->rare->copy && stream->rare->copy->waiting) {
        ev_io_stop(stream_loop(stream)->ev, &stream->reader);
        stream->transport->drained = false;
        copy_proceed(stream->rare->copy);
        return;
    }
    int answer = read_loop(stream);
    if (answer != STREAM_WAIT)
        stream_read_finish(stream, answer);
}

void stream_cancel_read(struct stream *stream)
{
    if (!stream->reading)
        return;
    stream->reading = false;
    read_ended(stream, ECANCELED);
    if (stream->rare->copy)
        copy_cancel(stream->rare->copy);
    else
        stream_settle(stream);
}

void stream_read_notice(struct stream *stream)
{
    size_t chunk = stream->kind->options.read_chunk_size;
    if (stream->input_error || buffer_length(&stream->input) >= chunk) {
        ev_io_stop(stream_loop(stream)->ev, &stream->reader);
        return;
    }
    if (stream_budget_left(stream, &stream->bytes_read) == 0) {
        stream_go_on_later(stream);
        return;
    }
    int answer;
    stream->wanted = 1;
    ssize_t count = fill(stream, &answer);
    if (count == IO_WANT_READ || count == IO_WANT_WRITE)
        stream_arm(stream, &stream->reader, count);
    stream_settle(stream);
}

int stream_unread(struct stream *stream, const void *data, size_t size)
{
    size_t length = buffer_length(&stream->input);
    size_t limit = stream->kind->options.max_buffer_size;
    if (length > limit || size > limit - length)
        return ENOBUFS;
    buffer_prepend(&stream->input, data, size);
    stream_place_forget(stream);
    return 0;
}
