/* Options, of which a listener's connections all have the same. */
#include <stdlib.h>

#include "base/memory.h"
#include "event/stream_internal.h"

struct shared_options {
    struct stream_options options; /* first: streams point at it */
    unsigned references;
};

/* The last ones made, while some stream has them: whoever opens many streams
 * opens them with the same, and nearly always in a row. */
static struct shared_options *latest;

static bool is_same(const struct stream_options *a,
                    const struct stream_options *b)
{
    return a->max_buffer_size == b->max_buffer_size &&
           a->read_chunk_size == b->read_chunk_size &&
           a->max_write_buffer_size == b->max_write_buffer_size &&
           a->high_water == b->high_water && a->half_open == b->half_open &&
           a->nodelay == b->nodelay && a->keepalive == b->keepalive;
}

const struct stream_options *
stream_options_share(const struct stream_options *options)
{
    if (!latest || !is_same(&latest->options, options)) {
        latest = memory_new(sizeof *latest);
        latest->options = *options;
    }
    latest->references++;
    return &latest->options;
}

void stream_options_release(const struct stream_options *options)
{
    struct shared_options *shared = (struct shared_options *) options;
    if (--shared->references > 0)
        return;
    if (shared == latest)
        latest = NULL;
    free(shared);
}

void stream_default_options(struct stream_options *options)
{
    *options = (struct stream_options){
        .max_buffer_size = 104857600,
        .read_chunk_size = LOOP_SCRATCH,
        .high_water = 1 << 20,
        .nodelay = true,
    };
}
