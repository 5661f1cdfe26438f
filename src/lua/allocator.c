#include "lua/allocator.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the blocks that are kept, and of all of them. */
#define LEAST ((size_t) 16384)
#define MOST ((size_t) 1 << 20)
#define KEPT ((size_t) 8 << 20)

/* There are 16 classes to a power of two, each with so much more room that a
 * string of such a length fits with its header. */
#define PARTS 16
#define HEADER 64
#define LEAST_LOG 14
#define CLASSES (6 * PARTS)

struct block {
    struct block *next;
};

static struct block *kept[CLASSES];
static size_t kept_size;

static lua_Alloc own; /* the state's */
static void *own_context;

static bool is_long(size_t size)
{
    return size >= LEAST + HEADER && size <= MOST + HEADER;
}

/* The least class with room for `size` bytes. */
static unsigned class_for(size_t size)
{
    size_t last = size - HEADER - 1 < LEAST ? LEAST : size - HEADER - 1;
    unsigned log = LEAST_LOG;
    while (last >> (log + 1) > 0)
        log++;
    return (log - LEAST_LOG) * PARTS + (unsigned) (last >> (log - 4)) % PARTS;
}

/* Bytes that a block of the class has room for. */
static size_t class_size(unsigned class)
{
    unsigned log = LEAST_LOG + class / PARTS;
    return ((size_t) (PARTS + class % PARTS + 1) << (log - 4)) + HEADER;
}

/* Sizes that are not asked for any more make room for those that are. */
static void keep(void *memory, size_t size)
{
    if (kept_size + size > KEPT)
        allocator_trim();
    struct block *block = memory;
    unsigned class = class_for(size);
    block->next = kept[class];
    kept[class] = block;
    kept_size += class_size(class);
}

static void *reuse(unsigned class)
{
    struct block *block = kept[class];
    kept[class] = block->next;
    kept_size -= class_size(class);
    return block;
}

void allocator_trim(void)
{
    for (unsigned i = 0; i < CLASSES; i++) {
        while (kept[i])
            own(own_context, reuse(i), class_size(i), 0);
    }
}

static void *ask(void *block, size_t old, size_t size)
{
    void *answer = own(own_context, block, old, size);
    if (answer || size == 0)
        return answer;
    allocator_trim();
    return own(own_context, block, old, size);
}

/* A lua_Alloc. Every long block is made as large as its class, so that its size
 * alone says where it belongs. */
static void *allocate(void *context, void *block, size_t old, size_t size)
{
    (void) context;
    if (size < LEAST && old < LEAST) /* nearly always */
        return ask(block, old, size);
    if (!is_long(size)) {
        if (size > 0 || !is_long(old))
            return ask(block, old, size);
        keep(block, old);
        return NULL;
    }
    unsigned class = class_for(size);
    if (!block && kept[class])
        return reuse(class);
    return ask(block, old, class_size(class));
}

void allocator_open(lua_State *L)
{
    own = lua_getallocf(L, &own_context);
    lua_setallocf(L, allocate, NULL);
}

void allocator_close(lua_State *L)
{
    allocator_trim();
    if (own)
        lua_setallocf(L, own, own_context);
}
