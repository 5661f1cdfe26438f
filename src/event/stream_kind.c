/* What streams that are opened alike have in common: counted, and one block
 * for all of them. Most connections only wait, and there are many. */
#include <stdlib.h>

#include "base/memory.h"
#include "event/stream_internal.h"

/* The latest first. There are as many as there are listeners and ways to
 * connect: so few that those looked at are all, nearly always. */
static struct list kinds = {&kinds, &kinds};

enum { LOOKED_AT = 16 };

static bool has_options(const struct stream_kind *kind,
                        const struct stream_options *wanted)
{
    const struct stream_options *own = &kind->options;
    return own->listener == wanted->listener &&
           own->max_buffer_size == wanted->max_buffer_size &&
           own->read_chunk_size == wanted->read_chunk_size &&
           own->max_write_buffer_size == wanted->max_write_buffer_size &&
           own->high_water == wanted->high_water &&
           own->half_open == wanted->half_open &&
           own->nodelay == wanted->nodelay &&
           own->keepalive == wanted->keepalive;
}

static struct stream_kind *find(const struct loop *loop,
                                const struct stream_options *options,
                                const struct stream_events *events)
{
    struct list *link = kinds.next;
    for (int i = 0; i < LOOKED_AT && link != &kinds; i++, link = link->next) {
        struct stream_kind *kind = list_entry(link, struct stream_kind, link);
        if (kind->loop == loop && kind->events == events &&
            has_options(kind, options))
            return kind;
    }
    return NULL;
}

const struct stream_kind *stream_kind_take(struct loop *loop,
                                           const struct stream_options *options,
                                           const struct stream_events *events)
{
    struct stream_kind *kind = find(loop, options, events);
    if (!kind) {
        kind = memory_new(sizeof *kind);
        kind->options = *options;
        kind->loop = loop;
        kind->events = events;
        list_insert(kinds.next, &kind->link);
    }
    kind->references++;
    return kind;
}

void stream_kind_release(const struct stream_kind *kind)
{
    struct stream_kind *own = (struct stream_kind *) kind;
    if (--own->references > 0)
        return;
    list_remove(&own->link);
    free(own);
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

/* --- whom to tell --------------------------------------------------------- */

static void deaf_result(struct stream *stream, int error)
{
    (void) stream;
    (void) error;
}

static void deaf_copied(struct stream *stream, const struct copy *copy,
                        int error)
{
    (void) stream;
    (void) copy;
    (void) error;
}

static void deaf_question(struct stream *stream)
{
    (void) stream;
}

static const struct stream_events deaf = {deaf_result, deaf_result, deaf_copied,
                                          deaf_result, deaf_question};

const struct stream_events *stream_events(const struct stream *stream)
{
    return stream_owner(stream) ? stream->kind->events : &deaf;
}
