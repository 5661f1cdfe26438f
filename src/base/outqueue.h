/* What waits to be written: copied bytes, referenced bytes, ranges of files.
 *
 * Short pieces are copied into the tail chunk, so that many writes leave as
 * few iovecs; long ones stay where they are, until `release` says that their
 * last byte has left (or that the queue was cleared). Offsets count every
 * byte ever queued: `queued` - `sent` are waiting. */
#ifndef WEIR_OUTQUEUE_H
#define WEIR_OUTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct outqueue_chunk;

/* Called once for each referenced piece, when it is not needed any more. */
typedef void outqueue_release(void *context, intptr_t token);

struct outqueue {
    struct outqueue_chunk *head;
    uint64_t queued, sent; /* bytes, since the beginning */
};

/* The file range at the head of a queue. */
struct outqueue_file {
    int fd;
    off_t offset;
    uint64_t remaining;
};

static inline uint64_t outqueue_length(const struct outqueue *queue)
{
    return queue->queued - queue->sent;
}

void outqueue_copy(struct outqueue *queue, const void *data, size_t size);

/* `data` must stay as it is until `release(context, token)` is called. */
void outqueue_refer(struct outqueue *queue, const void *data, size_t size,
                    outqueue_release *release, void *context, intptr_t token);

/* `length` bytes of `fd` from `offset`; `release` as above. */
void outqueue_file(struct outqueue *queue, int fd, off_t offset,
                   uint64_t length, outqueue_release *release, void *context,
                   intptr_t token);

/* Fills at most `count` iovecs with at most `budget` bytes from the head, up
 * to the first file; returns how many. */
int outqueue_vector(const struct outqueue *queue, struct iovec *vector,
                    int count, size_t budget);

/* Is a file at the head? Then `*file` says what of it is left. */
bool outqueue_at_file(const struct outqueue *queue, struct outqueue_file *file);

/* Drops `size` bytes that have left (from memory pieces or the file alike). */
void outqueue_advance(struct outqueue *queue, uint64_t size);

/* Drops everything that waits; `sent` stays, `queued` becomes `sent`. */
void outqueue_clear(struct outqueue *queue);

#endif
