/* Bytes received and not yet consumed, contiguous.
 *
 * An empty buffer holds no memory. Consumed bytes at the front are reclaimed:
 * the memory held stays within twice the most that was unconsumed at once
 * (plus one reservation), and a large block is given up when little is left in
 * it. Nothing here knows what the bytes mean. */
#ifndef WEIR_BUFFER_H
#define WEIR_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* A block of this many bytes is large. */
#define BUFFER_LARGE ((size_t) 256 * 1024)

struct buffer_block {
    size_t start, end; /* the unconsumed bytes */
    size_t capacity;
    char memory[];
};

struct buffer {
    struct buffer_block *block; /* NULL: empty */
};

/* NULL if there are none. */
static inline const char *buffer_data(const struct buffer *buffer)
{
    const struct buffer_block *block = buffer->block;
    return block ? block->memory + block->start : NULL;
}

static inline size_t buffer_length(const struct buffer *buffer)
{
    const struct buffer_block *block = buffer->block;
    return block ? block->end - block->start : 0;
}

/* How many more bytes fit without moving those that are there. */
static inline size_t buffer_spare(const struct buffer *buffer)
{
    const struct buffer_block *block = buffer->block;
    return block ? block->capacity - block->end : 0;
}

/* Room for `size` more bytes behind the last one; the pointer is good until
 * the next call. What is written there counts after buffer_commit; committing
 * nothing to an empty buffer gives the room back. */
char *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_commit(struct buffer *buffer, size_t size);

void buffer_append(struct buffer *buffer, const void *data, size_t size);

/* Puts bytes back in front of the first one. */
void buffer_prepend(struct buffer *buffer, const void *data, size_t size);

/* Would dropping `size` bytes leave a large block mostly empty? At least three
 * times as many bytes have been consumed then as moving the rest moves. */
static inline bool buffer_is_hollow_after(const struct buffer *buffer,
                                          size_t size)
{
    size_t left = buffer_length(buffer) - size;
    const struct buffer_block *block = buffer->block;
    return block && block->capacity >= BUFFER_LARGE &&
           (block->start + size) / 3 >= left;
}

/* Drops `size` bytes from the front; an emptied buffer frees its memory. */
void buffer_consume(struct buffer *buffer, size_t size);

void buffer_free(struct buffer *buffer);

#endif
