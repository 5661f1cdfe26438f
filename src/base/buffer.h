/* Bytes received and not yet consumed, contiguous.
 *
 * An empty buffer holds no memory. Consumed bytes at the front are reclaimed:
 * the memory held stays within twice the most that was unconsumed at once
 * (plus one reservation). Nothing here knows what the bytes mean. */
#ifndef WEIR_BUFFER_H
#define WEIR_BUFFER_H

#include <stddef.h>

struct buffer {
    char *memory;
    size_t start, end; /* the unconsumed bytes */
    size_t capacity;
};

static inline const char *buffer_data(const struct buffer *buffer)
{
    return buffer->memory + buffer->start;
}

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Room for `size` more bytes behind the last one; the pointer is good until
 * the next call. What is written there counts after buffer_commit; committing
 * nothing to an empty buffer gives the room back. */
char *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_commit(struct buffer *buffer, size_t size);

void buffer_append(struct buffer *buffer, const void *data, size_t size);

/* Puts bytes back in front of the first one. */
void buffer_prepend(struct buffer *buffer, const void *data, size_t size);

/* Drops `size` bytes from the front; an emptied buffer frees its memory. */
void buffer_consume(struct buffer *buffer, size_t size);

void buffer_free(struct buffer *buffer);

#endif
