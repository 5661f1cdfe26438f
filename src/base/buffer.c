/* Bytes are moved to the front only when at least as many have been consumed
 * as are moved, and memory grows by doubling what is unconsumed: so each byte
 * is copied a bounded number of times. */
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Moves the unconsumed bytes into a block of their own, `front` bytes of room
 * before them. */
static void rehouse(struct buffer *buffer, size_t front, size_t capacity)
{
    size_t length = buffer_length(buffer);
    char *memory = memory_resize(NULL, capacity);
    if (length > 0)
        memcpy(memory + front, buffer_data(buffer), length);
    free(buffer->memory);
    buffer->memory = memory;
    buffer->capacity = capacity;
    buffer->start = front;
    buffer->end = front + length;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t length = buffer_length(buffer);
    size_t needed = length + size;
    if (buffer->memory && buffer->capacity - buffer->end >= size)
        return buffer->memory + buffer->end;
    size_t capacity = needed > 2 * length ? needed : 2 * length;
    if (!buffer->memory || buffer->start == 0) {
        /* realloc moves large blocks by their page tables alone. */
        buffer->memory = memory_resize(buffer->memory, capacity);
        buffer->capacity = capacity;
    } else if (buffer->start >= length && needed <= buffer->capacity) {
        memmove(buffer->memory, buffer_data(buffer), length);
        buffer->start = 0;
        buffer->end = length;
    } else {
        rehouse(buffer, 0, capacity);
    }
    return buffer->memory + buffer->end;
}

void buffer_commit(struct buffer *buffer, size_t size)
{
    buffer->end += size;
    if (buffer->end == buffer->start)
        buffer_free(buffer);
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(buffer_reserve(buffer, size), data, size);
    buffer_commit(buffer, size);
}

void buffer_prepend(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (buffer->start < size) {
        /* As much room again, for what may still be put back. */
        size_t needed = buffer_length(buffer) + size;
        rehouse(buffer, needed + size, 2 * needed);
    }
    buffer->start -= size;
    memcpy(buffer->memory + buffer->start, data, size);
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    bool hollow = buffer_is_hollow_after(buffer, size);
    buffer->start += size;
    if (buffer->start == buffer->end)
        buffer_free(buffer);
    else if (hollow)
        rehouse(buffer, 0, buffer_length(buffer));
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->memory);
    *buffer = (struct buffer){0};
}
