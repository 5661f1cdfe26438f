/* OpenSSL's memory: every block has the room that was asked for, and is
 * nobody else's, however often blocks come back. */
#include <dlfcn.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "random.h"

enum { BLOCKS = 400, LARGEST = 30000, ROUNDS = 200000 };

static struct {
    unsigned char *bytes;
    size_t size;
    unsigned char mark;
} blocks[BLOCKS];

static void fill(int i)
{
    blocks[i].mark = (unsigned char) random_below(256);
    memset(blocks[i].bytes, blocks[i].mark, blocks[i].size);
}

static void check_block(int i)
{
    for (size_t at = 0; at < blocks[i].size; at++)
        CHECK(blocks[i].bytes[at] == blocks[i].mark);
}

/* Small sizes mostly, as OpenSSL's are. */
static size_t random_size(void)
{
    return 1 + random_below(random_below(8) ? 1100 : LARGEST);
}

static void renew(int i)
{
    check_block(i);
    OPENSSL_free(blocks[i].bytes);
    blocks[i].size = random_size();
    blocks[i].bytes = OPENSSL_malloc(blocks[i].size);
    CHECK(blocks[i].bytes);
    fill(i);
}

static void resize(int i)
{
    size_t size = random_size();
    unsigned char *bytes = OPENSSL_realloc(blocks[i].bytes, size);
    CHECK(bytes);
    blocks[i].bytes = bytes;
    if (blocks[i].size > size)
        blocks[i].size = size;
    check_block(i);
    blocks[i].size = size;
    fill(i);
}

static void test_blocks_are_apart(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        int i = (int) random_below(BLOCKS);
        if (random_below(16))
            renew(i);
        else
            resize(i);
    }
    for (int i = 0; i < BLOCKS; i++) {
        check_block(i);
        OPENSSL_free(blocks[i].bytes);
    }
}

static void test_every_size(void)
{
    for (size_t size = 1; size <= LARGEST; size++) {
        unsigned char *first = OPENSSL_malloc(size);
        unsigned char *second = OPENSSL_zalloc(size);
        CHECK(first && second);
        memset(first, 0xff, size);
        CHECK(second[0] == 0 && second[size - 1] == 0);
        OPENSSL_free(first);
        OPENSSL_free(second);
    }
}

static void test_nothing(void)
{
    CHECK(!OPENSSL_malloc(0));
    OPENSSL_free(NULL);
    void *block = OPENSSL_realloc(NULL, 10);
    CHECK(block);
    CHECK(!OPENSSL_realloc(block, 0));
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

/* Other allocators than glibc's count no more than was asked for. */
static size_t room;

size_t malloc_usable_size(void *memory)
{
    size_t (*usual)(void *) = NULL;
    if (room > 0)
        return room;
    *(void **) &usual = dlsym(RTLD_NEXT, "malloc_usable_size");
    return usual(memory);
}

/* glibc's next block of a size is the one that was freed last. */
static void test_no_room_to_be_kept(void)
{
    void *block = OPENSSL_realloc(OPENSSL_malloc(20), 4);
    uintptr_t address = (uintptr_t) block;
    room = 4;
    OPENSSL_free(block);
    room = 0;
    block = malloc(4);
    CHECK((uintptr_t) block == address);
    free(block);
}

#else

static void test_no_room_to_be_kept(void)
{
}

#endif

int main(void)
{
    test_no_room_to_be_kept();
    test_nothing();
    test_every_size();
    test_blocks_are_apart();
    return failures > 0;
}
