/* Bytes are moved to the front only when at least as many have been consumed
 * as are moved, and memory grows by doubling what is unconsumed: so each byte
 * is copied a bounded number of times. */
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static struct buffer_block *resize(struct buffer_block *block, size_t capacity)
{
    block = memory_resize(block, sizeof *block + capacity);
    block->capacity = capacity;
    return block;
}

/* Moves the unconsumed bytes into a block of their own, `front` bytes of room
 * before them. */
static void rehouse(struct buffer *buffer, size_t front, size_t capacity)
{
    size_t length = buffer_length(buffer);
    struct buffer_block *block = resize(NULL, capacity);
    if (length > 0)
        memcpy(block->memory + front, buffer_data(buffer), length);
    block->start = front;
    block->end = front + length;
    free(buffer->block);
    buffer->block = block;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    struct buffer_block *block = buffer->block;
    size_t length = buffer_length(buffer);
    size_t needed = length + size;
    size_t capacity = needed > 2 * length ? needed : 2 * length;
    if (!block) {
        rehouse(buffer, 0, capacity);
    } else if (block->capacity - block->end >= size) {
        return block->memory + block->end;
    } else if (block->start == 0) {
        /* realloc moves large blocks by their page tables alone. */
        buffer->block = resize(block, capacity);
    } else if (block->start >= length && needed <= block->capacity) {
        memmove(block->memory, buffer_data(buffer), length);
        block->start = 0;
        block->end = length;
    } else {
        rehouse(buffer, 0, capacity);
    }
    return buffer->block->memory + buffer->block->end;
}

void buffer_commit(struct buffer *buffer, size_t size)
{
    struct buffer_block *block = buffer->block;
    block->end += size;
    if (block->end == block->start)
        buffer_free(buffer);
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(buffer_reserve(buffer, size), data, size);
    buffer->block->end += size;
}

void buffer_prepend(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (!buffer->block || buffer->block->start < size) {
        /* As much room again, for what may still be put back. */
        size_t needed = buffer_length(buffer) + size;
        rehouse(buffer, needed + size, 2 * needed);
    }
    struct buffer_block *block = buffer->block;
    block->start -= size;
    memcpy(block->memory + block->start, data, size);
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    struct buffer_block *block = buffer->block;
    if (size == 0)
        return;
    bool hollow = buffer_is_hollow_after(buffer, size);
    block->start += size;
    if (block->start == block->end)
        buffer_free(buffer);
    else if (hollow)
        rehouse(buffer, 0, buffer_length(buffer));
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->block);
    buffer->block = NULL;
}
