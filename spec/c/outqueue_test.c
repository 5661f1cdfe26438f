/* What was queued comes out, in order; each piece is released once. */
#include "base/outqueue.h"

#include <string.h>

#include "check.h"
#include "random.h"

enum { PIECES = 3000, BYTES = 1 << 22 };

static int released[PIECES];
static char source[BYTES];
static size_t compared;

static void release(void *context, intptr_t token)
{
    CHECK(context == released);
    CHECK(++released[token] == 1);
}

/* The head of the queue is what comes next in `source`. */
static size_t peek(const struct outqueue *queue, size_t budget)
{
    struct iovec vector[16];
    int count = outqueue_vector(queue, vector, 16, budget);
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        CHECK(vector[i].iov_len > 0);
        CHECK(!memcmp(vector[i].iov_base, source + queue->sent + total,
                      vector[i].iov_len));
        total += vector[i].iov_len;
    }
    CHECK(total <= budget && total <= outqueue_length(queue));
    compared += total;
    return total;
}

/* Appends, peeks and advances by turns, all pieces at most `largest`. */
static void test_pieces(size_t largest, bool refer)
{
    struct outqueue queue = {0};
    int tokens = 0;
    memset(released, 0, sizeof released);
    compared = 0;
    for (int piece = 0; piece < PIECES; piece++) {
        size_t size = random_below(largest);
        if (queue.queued + size > BYTES)
            break;
        const char *data = source + queue.queued;
        uint64_t queued = queue.queued;
        if (refer && random_below(2))
            outqueue_refer(&queue, data, size, release, released, tokens++);
        else
            outqueue_copy(&queue, data, size);
        CHECK(queue.queued == queued + size);
        while (outqueue_length(&queue) > 0 && random_below(2)) {
            size_t there = peek(&queue, random_below(3 * largest) + 1);
            CHECK(there > 0);
            outqueue_advance(&queue, random_below(there + 1));
        }
    }
    while (outqueue_length(&queue) > 0 && failures == 0)
        outqueue_advance(&queue, peek(&queue, 5 * largest));
    CHECK(compared >= queue.queued);
    CHECK(queue.sent == queue.queued && !queue.head);
    for (int i = 0; i < tokens; i++)
        CHECK(released[i] == 1);
}

static void test_gathers(void)
{
    struct outqueue queue = {0};
    struct iovec vector[16];
    for (size_t i = 0; i < 256; i++)
        outqueue_copy(&queue, source + 64 * i, 64);
    CHECK(outqueue_vector(&queue, vector, 16, SIZE_MAX) == 2);
    CHECK(peek(&queue, SIZE_MAX) == (size_t) 256 * 64);
    outqueue_clear(&queue);
    CHECK(queue.queued == queue.sent && queue.sent == 0 && !queue.head);
}

static void test_file(void)
{
    struct outqueue queue = {0};
    struct outqueue_file file;
    memset(released, 0, sizeof released);
    outqueue_copy(&queue, source, 10);
    outqueue_file(&queue, 7, 100, 1000, release, released, 0);
    outqueue_copy(&queue, source, 5);
    CHECK(!outqueue_at_file(&queue, &file));
    CHECK(peek(&queue, SIZE_MAX) == 10);
    outqueue_advance(&queue, 10);
    CHECK(outqueue_at_file(&queue, &file));
    CHECK(file.fd == 7 && file.offset == 100 && file.remaining == 1000);
    CHECK(peek(&queue, SIZE_MAX) == 0);
    outqueue_advance(&queue, 300);
    CHECK(outqueue_at_file(&queue, &file));
    CHECK(file.offset == 400 && file.remaining == 700);
    CHECK(released[0] == 0);
    outqueue_advance(&queue, 700);
    CHECK(released[0] == 1 && !outqueue_at_file(&queue, &file));
    CHECK(outqueue_length(&queue) == 5);
    outqueue_advance(&queue, 5);
    outqueue_file(&queue, 7, 0, 0, release, released, 1);
    outqueue_refer(&queue, source, 0, release, released, 2);
    CHECK(released[1] == 1 && released[2] == 1 && !queue.head);
}

/* What `release` calls may use the queue that calls it. */
static void append_more(void *context, intptr_t token)
{
    struct outqueue *queue = context;
    CHECK(outqueue_length(queue) == 0);
    released[token]++;
    outqueue_copy(queue, "more", 4);
}

static void test_release(void)
{
    struct outqueue queue = {0};
    memset(released, 0, sizeof released);
    outqueue_refer(&queue, source, 100, append_more, &queue, 0);
    outqueue_advance(&queue, 99);
    CHECK(released[0] == 0);
    outqueue_advance(&queue, 1);
    CHECK(released[0] == 1 && outqueue_length(&queue) == 4);
    outqueue_clear(&queue);
    CHECK(queue.queued == 100 && queue.sent == 100);
    for (int i = 1; i < 4; i++)
        outqueue_refer(&queue, source, 100, release, released, i);
    outqueue_advance(&queue, 150);
    CHECK(released[1] == 1 && released[2] == 0);
    outqueue_clear(&queue);
    CHECK(released[1] == 1 && released[2] == 1 && released[3] == 1);
}

int main(void)
{
    for (size_t i = 0; i < BYTES; i++)
        source[i] = (char) random_below(256);
    test_pieces(10, false);
    test_pieces(10, true);
    test_pieces(4000, true);
    test_pieces(100000, true);
    test_gathers();
    test_file();
    test_release();
    return failures > 0;
}
