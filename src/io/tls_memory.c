/* A TLS 1.3 handshake takes and gives back some 700 small blocks and a dozen
 * large ones. malloc(3) has seven of each size at hand, and none that is larger
 * than 1 KiB: here are more. */
#include "io/tls_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>

/* Sizes are told apart as malloc(3) does it; large ones, in larger steps. */
enum {
    SMALL = 1032, /* bytes */
    SMALL_STEP = 16,
    SMALL_CLASSES = SMALL / SMALL_STEP + 1,
    LARGE_STEP = 256,
    LARGE_CLASSES = 88, /* up to the buffer of a whole flight, 21,848 bytes */
    CLASSES = SMALL_CLASSES + LARGE_CLASSES,
    MOST_SMALL = 64, /* blocks of a class that are kept */
    MOST_LARGE = 8
};

struct block {
    struct block *next;
};

static struct {
    struct block *first;
    int count;
} spare[CLASSES];

/* Threads that a script's modules have started use malloc(3) alone. */
static _Thread_local bool is_host;

/* The least bytes that a block of the class has room for. */
static size_t class_size(int class)
{
    if (class < SMALL_CLASSES)
        return (size_t) class * SMALL_STEP + 8;
    return SMALL + (size_t) (class - SMALL_CLASSES + 1) * LARGE_STEP;
}

/* The least class with room for `size` bytes; may be beyond them all. */
static int class_for(size_t size)
{
    if (size <= SMALL)
        return (int) ((size + SMALL_STEP - 9) / SMALL_STEP);
    if (size > class_size(CLASSES - 1))
        return CLASSES;
    return SMALL_CLASSES + (int) ((size - SMALL - 1) / LARGE_STEP);
}

/* The greatest class that a block with so much room can serve. What was resized
 * to less than any serves none, where malloc(3) counts exactly. */
static int class_of(size_t room)
{
    if (room < sizeof(struct block))
        return CLASSES;
    if (room < SMALL + LARGE_STEP)
        return (int) (((room < SMALL ? room : SMALL) - 8) / SMALL_STEP);
    if (room >= class_size(CLASSES - 1) + LARGE_STEP)
        return CLASSES;
    return SMALL_CLASSES - 1 + (int) ((room - SMALL) / LARGE_STEP);
}

static void *take(size_t size, const char *file, int line)
{
    (void) file;
    (void) line;
    if (size == 0)
        return NULL;
    int class = class_for(size);
    if (class == CLASSES || !is_host)
        return malloc(size);
    struct block *block = spare[class].first;
    if (!block)
        return malloc(class_size(class));
    spare[class].first = block->next;
    spare[class].count--;
    return block;
}

static void give(void *memory, const char *file, int line)
{
    (void) file;
    (void) line;
    if (!memory)
        return;
    int class = class_of(malloc_usable_size(memory));
    int most = class < SMALL_CLASSES ? MOST_SMALL : MOST_LARGE;
    if (class == CLASSES || !is_host || spare[class].count >= most) {
        free(memory);
        return;
    }
    struct block *block = memory;
    block->next = spare[class].first;
    spare[class].first = block;
    spare[class].count++;
}

static void *resize(void *memory, size_t size, const char *file, int line)
{
    if (!memory)
        return take(size, file, line);
    if (size > 0)
        return realloc(memory, size);
    give(memory, file, line);
    return NULL;
}

void tls_memory_begin(void)
{
    is_host = CRYPTO_set_mem_functions(take, resize, give) == 1;
}
