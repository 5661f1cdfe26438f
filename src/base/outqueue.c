#include "base/outqueue.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The first chunk of a queue is small: most streams write little at a time,
 * and have nothing queued when they write. */
enum { FIRST_CHUNK = 960, NEXT_CHUNK = 16384 };

enum chunk_kind { CHUNK_COPY, CHUNK_REFER, CHUNK_FILE };

struct outqueue_chunk {
    struct outqueue_chunk *next;
    uint64_t size; /* bytes that wait */
    enum chunk_kind kind;
    int fd; /* CHUNK_FILE: these bytes of this file */
    off_t offset;
    const char *data; /* else: these */
    size_t room;      /* CHUNK_COPY: free bytes behind them */
    outqueue_release *release;
    void *context;
    intptr_t token;
    char bytes[]; /* CHUNK_COPY */
};

static void put(struct outqueue *queue, struct outqueue_chunk *chunk)
{
    if (queue->tail)
        queue->tail->next = chunk;
    else
        queue->head = chunk;
    queue->tail = chunk;
    queue->queued += chunk->size;
}

/* An empty chunk with room for at least `size` bytes, not zeroed. */
static struct outqueue_chunk *new_copy(size_t size, bool first)
{
    size_t room = first ? FIRST_CHUNK : NEXT_CHUNK;
    if (room < size)
        room = size;
    struct outqueue_chunk *chunk = memory_resize(NULL, sizeof *chunk + room);
    *chunk = (struct outqueue_chunk){.kind = CHUNK_COPY, .room = room};
    chunk->data = chunk->bytes;
    return chunk;
}

void outqueue_copy(struct outqueue *queue, const void *data, size_t size)
{
    struct outqueue_chunk *tail = queue->tail;
    size_t fits = tail ? tail->room : 0;
    if (fits > size)
        fits = size;
    if (fits > 0) {
        memcpy((char *) tail->data + tail->size, data, fits);
        tail->room -= fits;
        tail->size += fits;
        queue->queued += fits;
    }
    if (size > fits) {
        struct outqueue_chunk *chunk = new_copy(size - fits, tail == NULL);
        chunk->size = size - fits;
        chunk->room -= chunk->size;
        memcpy(chunk->bytes, (const char *) data + fits, chunk->size);
        put(queue, chunk);
    }
}

void outqueue_refer(struct outqueue *queue, const void *data, size_t size,
                    outqueue_release *release, void *context, intptr_t token)
{
    if (size == 0) {
        release(context, token);
        return;
    }
    struct outqueue_chunk *chunk = memory_new(sizeof *chunk);
    chunk->kind = CHUNK_REFER;
    chunk->size = size;
    chunk->data = data;
    chunk->release = release;
    chunk->context = context;
    chunk->token = token;
    put(queue, chunk);
}

void outqueue_file(struct outqueue *queue, int fd, off_t offset,
                   uint64_t length, outqueue_release *release, void *context,
                   intptr_t token)
{
    if (length == 0) {
        release(context, token);
        return;
    }
    struct outqueue_chunk *chunk = memory_new(sizeof *chunk);
    chunk->kind = CHUNK_FILE;
    chunk->size = length;
    chunk->fd = fd;
    chunk->offset = offset;
    chunk->release = release;
    chunk->context = context;
    chunk->token = token;
    put(queue, chunk);
}

int outqueue_vector(const struct outqueue *queue, struct iovec *vector,
                    int count, size_t budget)
{
    int used = 0;
    const struct outqueue_chunk *chunk = queue->head;
    while (chunk && chunk->kind != CHUNK_FILE && used < count && budget > 0) {
        size_t size = chunk->size < budget ? (size_t) chunk->size : budget;
        vector[used].iov_base = (char *) chunk->data;
        vector[used].iov_len = size;
        used++;
        budget -= size;
        chunk = chunk->next;
    }
    return used;
}

bool outqueue_at_file(const struct outqueue *queue, struct outqueue_file *file)
{
    const struct outqueue_chunk *head = queue->head;
    if (!head || head->kind != CHUNK_FILE)
        return false;
    file->fd = head->fd;
    file->offset = head->offset;
    file->remaining = head->size;
    return true;
}

/* Frees chunks that are in no queue any more. What `release` calls may use
 * the queue they came from: its state is finished by then. */
static void dispose(struct outqueue_chunk *chunk)
{
    while (chunk) {
        struct outqueue_chunk *next = chunk->next;
        outqueue_release *release = chunk->release;
        void *context = chunk->context;
        intptr_t token = chunk->token;
        free(chunk);
        if (release)
            release(context, token);
        chunk = next;
    }
}

void outqueue_advance(struct outqueue *queue, uint64_t size)
{
    struct outqueue_chunk *gone = queue->head, *last = NULL;
    struct outqueue_chunk *head = queue->head;
    queue->sent += size;
    while (head && size >= head->size) {
        size -= head->size;
        last = head;
        head = head->next;
    }
    queue->head = head;
    if (!head)
        queue->tail = NULL;
    if (head && size > 0) {
        head->size -= size;
        if (head->kind == CHUNK_FILE)
            head->offset += (off_t) size;
        else
            head->data += size;
    }
    if (last) {
        last->next = NULL;
        dispose(gone);
    }
}

void outqueue_clear(struct outqueue *queue)
{
    struct outqueue_chunk *gone = queue->head;
    queue->head = queue->tail = NULL;
    queue->queued = queue->sent;
    dispose(gone);
}
