/* Reads and writes for a caller that must not be called back, nor be told of
 * anything: what can be done on the spot is, all else is left as it was. */
#include "event/stream_internal.h"

/* Would a change make the stream over (R17), or might it? */
static bool may_be_over(const struct stream *stream)
{
    return stream->output_error ||
           (stream->watched &&
            (stream->phase != STREAM_OPEN || stream->input_error));
}

/* Takes `size` bytes out; a block that is empty now stays for a while. */
static void consume(struct stream *stream, size_t size)
{
    struct buffer *input = &stream->input;
    struct buffer_block *block = input->block;
    block->start += size;
    if (block->start == block->end) {
        buffer_free(&stream_loop(stream)->taken);
        stream_loop(stream)->taken = *input;
        *input = (struct buffer){0};
    }
    stream_place_move(stream, size);
}

const char *stream_take(struct stream *stream, const struct match *match,
                        struct match_found *found)
{
    struct match_input input = {
        .data = buffer_data(&stream->input),
        .length = buffer_length(&stream->input),
        .limit = stream->kind->options.max_buffer_size,
    };
    const char *detail;
    size_t wanted;
    if (input.length == 0 || stream->reading || stream->result ||
        may_be_over(stream))
        return NULL;
    struct match_place fresh = {0};
    struct match_place *place = stream->place ? stream->place : &fresh;
    if (match_find(match, place, &input, found, &wanted, &detail) !=
        MATCH_FOUND) {
        if (fresh.scanned > 0)
            stream_place_keep(stream, &fresh);
        return NULL;
    }
    /* A large block is not kept until the next take: nobody knows when. */
    if (buffer_is_hollow_after(&stream->input, found->size))
        return NULL;
    consume(stream, found->size);
    if (stream->watched)
        stream_settle(stream);
    return input.data;
}

bool stream_may_put(struct stream *stream, size_t size)
{
    uint64_t most = stream->kind->options.high_water;
    if (most > STREAM_LARGE - 1)
        most = STREAM_LARGE - 1;
    return stream->phase == STREAM_OPEN && !stream->eager &&
           !stream->rare->before_write && !may_be_over(stream) &&
           outqueue_length(&stream->output) + size <= most &&
           stream_may_write(stream, size) == 0;
}
