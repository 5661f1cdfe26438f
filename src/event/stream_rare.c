/* What few streams have is made when it is first needed, and then stays. */
#include <stdlib.h>

#include "base/memory.h"
#include "event/stream_internal.h"

/* Nobody writes to it: streams have it as const. */
static struct stream_rare none = {
    .waiters = {&none.waiters, &none.waiters},
    .copies = {&none.copies, &none.copies},
};

void stream_rare_begin(struct stream *stream)
{
    stream->rare = &none;
}

void stream_rare_free(struct stream *stream)
{
    if (stream->rare == &none)
        return;
    struct stream_rare *rare = stream_have_rare(stream);
    stream->rare = &none;
    free(rare->reason);
    free(rare);
}

struct stream_rare *stream_have_rare(struct stream *stream)
{
    if (stream->rare == &none) {
        struct stream_rare *rare = memory_new(sizeof *rare);
        list_init(&rare->waiters);
        list_init(&rare->copies);
        stream->rare = rare;
    }
    return (struct stream_rare *) stream->rare;
}
