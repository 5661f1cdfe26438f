/* allocator.h: what is freed is handed out again, and always has the room. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lua/allocator.h"

enum { KIB = 1024, MIB = 1024 * KIB };

static int made, freed; /* blocks of the state's own allocator */

static void *count(void *context, void *block, size_t old, size_t size)
{
    (void) context;
    (void) old;
    made += !block && size > 0;
    freed += block && size == 0;
    if (size > 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

static lua_State *L;

static void *resize(void *block, size_t old, size_t size)
{
    void *context;
    lua_Alloc allocate = lua_getallocf(L, &context);
    return allocate(context, block, old, size);
}

/* All of it may be written to. */
static void *make(size_t size)
{
    void *block = resize(NULL, 0, size);
    memset(block, 1, size);
    return block;
}

static void drop(void *block, size_t size)
{
    CHECK(resize(block, size, 0) == NULL);
}

static void test_reuse(void)
{
    void *block = make(64 * KIB + 25);
    drop(block, 64 * KIB + 25);
    int before = made;
    CHECK(make(64 * KIB + 20) == block && made == before);
    void *other = make(64 * KIB + 20);
    CHECK(other != block && made == before + 1);
    drop(other, 64 * KIB + 20);
    drop(block, 64 * KIB + 20);
    before = freed;
    allocator_trim();
    CHECK(freed == before + 2);
}

/* Around every border of a class one block serves the next. */
static void test_sizes(void)
{
    for (size_t size = 8 * KIB; size < 5 * MIB; size += size / 64) {
        for (int delta = -2; delta <= 66; delta += 4) {
            size_t wanted = size + (size_t) delta;
            drop(make(wanted), wanted);
            drop(make(wanted + 1), wanted + 1);
        }
    }
    allocator_trim();
}

static void test_resize(void)
{
    size_t sizes[] = {10,       20 * KIB,      17 * KIB, 300 * KIB, 6 * MIB,
                      1 * MIB,  100,           64 * KIB, 64 * KIB,  1,
                      16 * KIB, 16 * KIB + 64, 16 * KIB};
    size_t old = 5;
    char *block = make(old);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = resize(block, old, sizes[i]);
        CHECK(block[0] == 1);
        old = sizes[i];
        memset(block, 1, old);
    }
    drop(block, old);
    allocator_trim();
}

static void test_limit(void)
{
    void *blocks[40];
    int before = freed;
    for (int i = 0; i < 40; i++)
        blocks[i] = make(MIB);
    for (int i = 0; i < 40; i++)
        drop(blocks[i], MIB);
    int kept = 40 - (freed - before);
    CHECK(kept >= 1 && kept <= 8);
    void *large = make(32 * MIB);
    drop(large, 32 * MIB);
    allocator_trim();
    CHECK(freed == before + 41);
}

/* A size of which much was kept does not keep others out. */
static void test_change(void)
{
    void *blocks[600];
    for (int i = 0; i < 600; i++)
        blocks[i] = make(20 * KIB);
    for (int i = 0; i < 600; i++)
        drop(blocks[i], 20 * KIB);
    drop(make(256 * KIB), 256 * KIB);
    int before = made;
    drop(make(256 * KIB), 256 * KIB);
    CHECK(made == before);
    allocator_trim();
}

int main(void)
{
    L = lua_newstate(count, NULL);
    allocator_open(L);
    test_reuse();
    test_sizes();
    test_resize();
    test_limit();
    test_change();
    allocator_close(L);
    void *context;
    CHECK(lua_getallocf(L, &context) == count);
    lua_close(L);
    CHECK(made == freed);
    return failures > 0;
}
