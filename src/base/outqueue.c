#include "base/outqueue.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum chunk_kind { CHUNK_COPY, CHUNK_REFER, CHUNK_FILE };
enum chunk_room { ROOM_SMALL, ROOM_LARGE, ROOM_OTHER };

struct outqueue_chunk {
    struct outqueue_chunk *next;
    struct outqueue_chunk *tail; /* of a queue's head: its last chunk */
    uint64_t size;               /* bytes that wait */
    enum chunk_kind kind;
    enum chunk_room kept; /* where it goes when it is free */
    int fd;               /* CHUNK_FILE: these bytes of this file */
    off_t offset;
    const char *data; /* else: these */
    size_t room;      /* CHUNK_COPY: free bytes behind them */
    outqueue_release *release;
    void *context;
    intptr_t token;
    char bytes[]; /* CHUNK_COPY */
};

/* The first chunk of a queue is small: most streams write little at a time,
 * and have nothing queued when they write. malloc(3) is quick up to 1 KiB. */
enum { FIRST_CHUNK = 1024 - sizeof(struct outqueue_chunk), NEXT_CHUNK = 16384 };

/* Chunks that are free: in a turn in which many streams write, malloc(3) has
 * few at hand for the small ones, and takes the large ones' memory from the
 * system and gives it back. Sanitizers are to see each of them end. */
#ifdef WEIR_SANITIZE
enum { MOST_SPARE = 0 };
#else
enum { MOST_SPARE = 64 };
#endif

static struct {
    struct outqueue_chunk *first;
    int count;
} spare[ROOM_OTHER];

static enum chunk_room room_of(size_t bytes)
{
    if (bytes == FIRST_CHUNK)
        return ROOM_SMALL;
    return bytes == NEXT_CHUNK ? ROOM_LARGE : ROOM_OTHER;
}

static struct outqueue_chunk *take_chunk(size_t bytes)
{
    enum chunk_room room = room_of(bytes);
    if (room == ROOM_OTHER || !spare[room].first)
        return memory_resize(NULL, sizeof(struct outqueue_chunk) + bytes);
    struct outqueue_chunk *chunk = spare[room].first;
    spare[room].first = chunk->next;
    spare[room].count--;
    return chunk;
}

static void give_chunk(struct outqueue_chunk *chunk)
{
    enum chunk_room room = chunk->kept;
    if (room == ROOM_OTHER || spare[room].count >= MOST_SPARE) {
        free(chunk);
        return;
    }
    chunk->next = spare[room].first;
    spare[room].first = chunk;
    spare[room].count++;
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
        give_chunk(chunk);
        if (release)
            release(context, token);
        chunk = next;
    }
}

/* The last chunk; NULL if there is none. */
static struct outqueue_chunk *tail_of(const struct outqueue *queue)
{
    return queue->head ? queue->head->tail : NULL;
}

static void put(struct outqueue *queue, struct outqueue_chunk *chunk)
{
    struct outqueue_chunk *tail = tail_of(queue);
    if (tail)
        tail->next = chunk;
    else
        queue->head = chunk;
    queue->head->tail = chunk;
    queue->queued += chunk->size;
}

static struct outqueue_chunk *new_chunk(enum chunk_kind kind, uint64_t size,
                                        size_t bytes)
{
    struct outqueue_chunk *chunk = take_chunk(bytes);
    *chunk = (struct outqueue_chunk){
        .kind = kind, .size = size, .kept = room_of(bytes)};
    return chunk;
}

static void put_copy(struct outqueue *queue, const char *data, size_t size)
{
    size_t space = queue->head ? NEXT_CHUNK : FIRST_CHUNK;
    if (space < size)
        space = size;
    struct outqueue_chunk *chunk = new_chunk(CHUNK_COPY, size, space);
    memcpy(chunk->bytes, data, size);
    chunk->data = chunk->bytes;
    chunk->room = space - size;
    put(queue, chunk);
}

void outqueue_copy(struct outqueue *queue, const void *data, size_t size)
{
    struct outqueue_chunk *tail = tail_of(queue);
    size_t fits = tail ? tail->room : 0;
    if (fits > size)
        fits = size;
    if (fits > 0) {
        memcpy((char *) tail->data + tail->size, data, fits);
        tail->room -= fits;
        tail->size += fits;
        queue->queued += fits;
    }
    if (size > fits)
        put_copy(queue, (const char *) data + fits, size - fits);
}

/* Queues a chunk that somebody wants to hear of; an empty one is not needed
 * even now. */
static void put_released(struct outqueue *queue, struct outqueue_chunk *chunk,
                         outqueue_release *release, void *context,
                         intptr_t token)
{
    chunk->release = release;
    chunk->context = context;
    chunk->token = token;
    if (chunk->size > 0)
        put(queue, chunk);
    else
        dispose(chunk);
}

void outqueue_refer(struct outqueue *queue, const void *data, size_t size,
                    outqueue_release *release, void *context, intptr_t token)
{
    struct outqueue_chunk *chunk = new_chunk(CHUNK_REFER, size, 0);
    chunk->data = data;
    put_released(queue, chunk, release, context, token);
}

void outqueue_file(struct outqueue *queue, int fd, off_t offset,
                   uint64_t length, outqueue_release *release, void *context,
                   intptr_t token)
{
    struct outqueue_chunk *chunk = new_chunk(CHUNK_FILE, length, 0);
    chunk->fd = fd;
    chunk->offset = offset;
    put_released(queue, chunk, release, context, token);
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

void outqueue_advance(struct outqueue *queue, uint64_t size)
{
    struct outqueue_chunk *gone = queue->head, *last = NULL;
    struct outqueue_chunk *head = gone;
    queue->sent += size;
    while (head && size >= head->size) {
        size -= head->size;
        last = head;
        head = head->next;
    }
    queue->head = head;
    if (head)
        head->tail = gone->tail;
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
    queue->head = NULL;
    queue->queued = queue->sent;
    dispose(gone);
}
