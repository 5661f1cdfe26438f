/* The buffer against a model, and what memory it holds. */
#include "base/buffer.h"

#include <string.h>

#include "check.h"
#include "random.h"

/* What a buffer must hold, kept the simple way. */
struct model {
    char bytes[1 << 16];
    size_t length, most;
};

static void check_buffer(const struct buffer *buffer, struct model *model,
                         size_t reservation)
{
    if (model->length > model->most)
        model->most = model->length;
    CHECK(buffer_length(buffer) == model->length);
    const struct buffer_block *block = buffer->block;
    CHECK((block == NULL) == (model->length == 0));
    if (block) {
        CHECK(block->start <= block->end && block->end <= block->capacity);
        CHECK(block->capacity <= 2 * model->most + reservation);
    }
    if (model->length == 0)
        model->most = 0;
    else
        CHECK(!memcmp(buffer_data(buffer), model->bytes, model->length));
}

static void insert(struct model *model, size_t at, const char *data,
                   size_t size)
{
    memmove(model->bytes + at + size, model->bytes + at, model->length - at);
    memcpy(model->bytes + at, data, size);
    model->length += size;
}

static void test_random(void)
{
    static struct model model;
    struct buffer buffer = {0};
    char piece[100];
    for (int round = 0; round < 50000 && failures == 0; round++) {
        size_t size = random_below(sizeof piece);
        for (size_t i = 0; i < size; i++)
            piece[i] = (char) random_below(256);
        switch (random_below(model.length > 4000 ? 9 : 5)) {
        case 0:
        case 1:
            buffer_append(&buffer, piece, size);
            insert(&model, model.length, piece, size);
            break;
        case 2:
            if (size > 0)
                memcpy(buffer_reserve(&buffer, size + 50), piece, size);
            else
                buffer_reserve(&buffer, 50);
            buffer_commit(&buffer, size);
            insert(&model, model.length, piece, size);
            break;
        case 3:
            buffer_prepend(&buffer, piece, size);
            insert(&model, 0, piece, size);
            break;
        default:
            size =
                random_below(8) ? random_below(model.length + 1) : model.length;
            buffer_consume(&buffer, size);
            model.length -= size;
            memmove(model.bytes, model.bytes + size, model.length);
        }
        check_buffer(&buffer, &model, 150);
    }
    buffer_free(&buffer);
    CHECK(buffer.block == NULL);
}

/* A peer that always leaves a rest must not make memory grow (T-13). */
static void test_reclaims(void)
{
    struct buffer buffer = {0};
    char line[100] = {0};
    buffer_append(&buffer, line, 50);
    for (int i = 0; i < 10000; i++) {
        buffer_append(&buffer, line, 100);
        buffer_consume(&buffer, 100);
        CHECK(buffer.block->capacity <= 400);
    }
    buffer_free(&buffer);
}

/* A few bytes must not hold the block that millions came in. */
static void test_gives_up_large_blocks(void)
{
    struct buffer buffer = {0};
    size_t size = (size_t) 16 << 20;
    memset(buffer_reserve(&buffer, size), 'x', size);
    buffer_commit(&buffer, size);
    buffer_consume(&buffer, size / 2);
    CHECK(buffer.block->capacity >= size);
    buffer_consume(&buffer, size / 2 - 3);
    CHECK(buffer.block->capacity < 100);
    CHECK(buffer_length(&buffer) == 3 &&
          !memcmp(buffer_data(&buffer), "xxx", 3));
    buffer_append(&buffer, "yz", 2);
    CHECK(!memcmp(buffer_data(&buffer), "xxxyz", 5));
    buffer_free(&buffer);
}

int main(void)
{
    test_random();
    test_reclaims();
    test_gives_up_large_blocks();
    return failures > 0;
}
