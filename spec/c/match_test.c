/* The matcher against an oracle that looks at everything at once; bounds. */
#include <string.h>

#include "ask.h"
#include "random.h"

struct list {
    const char *texts[8];
    size_t sizes[8];
    int count;
};

static bool ends_with(const char *data, size_t length, const char *text,
                      size_t size)
{
    return size <= length && !memcmp(data + length - size, text, size);
}

/* The answer, tried out byte by byte. */
static enum match_answer oracle(const struct list *list, const char *data,
                                size_t length, size_t bound, size_t *end,
                                int *index)
{
    for (*end = 1; *end <= length && *end <= bound; ++*end) {
        *index = -1;
        for (int i = 0; i < list->count; i++) {
            bool hit = ends_with(data, *end, list->texts[i], list->sizes[i]);
            if (hit && (*index < 0 || list->sizes[i] > list->sizes[*index]))
                *index = i;
        }
        if (*index >= 0)
            return MATCH_FOUND;
    }
    for (int i = 0; i < list->count; i++) {
        for (size_t begun = 0; begun < list->sizes[i]; begun++) {
            if (length + list->sizes[i] - begun <= bound &&
                ends_with(data, length, list->texts[i], begun))
                return MATCH_NOT_YET;
        }
    }
    return MATCH_TOO_LONG;
}

static void check_step(const struct match *match, const struct list *list,
                       struct match_place *place, const char *data,
                       size_t length)
{
    size_t end;
    int index = -1;
    enum match_answer answer = ask(match, place, data, length, false);
    CHECK(answer == oracle(list, data, length, match->max, &end, &index));
    if (answer != MATCH_FOUND)
        return;
    CHECK(found.size == end && found.start == 0 && found.index == index);
    CHECK(found.end == end - (match->exclusive ? list->sizes[index] : 0));
    /* Not consumed, it is found again. */
    CHECK(ask(match, place, data, length, false) == MATCH_FOUND);
    CHECK(found.size == end && found.index == index);
}

static struct match until(struct pattern *pattern)
{
    return (struct match){.kind = MATCH_UNTIL, .pattern = pattern};
}

static struct pattern *compile(const struct list *list)
{
    return pattern_delimiters(list->texts, list->sizes, list->count);
}

static void fill(char *text, size_t size, size_t letters)
{
    for (size_t i = 0; i < size; i++)
        text[i] = (char) ('a' + random_below(letters));
}

/* Every delimiter of 1 to 4 letters of two, every input of 7, every split. */
static void test_every_split(void)
{
    for (int code = 2; code < 32; code++) {
        char text[4], data[7];
        size_t size = 0;
        for (int bits = code; bits > 1; bits >>= 1)
            text[size++] = bits & 1 ? 'b' : 'a';
        struct list list = {{text}, {size}, 1};
        struct match match = until(compile(&list));
        match.max = NO_LIMIT;
        for (int input = 0; input < 128; input++) {
            for (int i = 0; i < 7; i++)
                data[i] = input >> i & 1 ? 'b' : 'a';
            for (size_t split = 0; split <= 7; split++) {
                struct match_place place = {0};
                check_step(&match, &list, &place, data, split);
                check_step(&match, &list, &place, data, 7);
            }
        }
        pattern_release(match.pattern);
    }
}

/* One stream of random bytes, arriving in pieces; reads of several lists that
 * take turns, fail, change their mind about `max`, take bytes away, or find and
 * consume. */
static void random_stream(const struct list *lists, int count, size_t letters)
{
    char data[80];
    size_t start = 0, length = 0;
    struct match_place place = {0};
    struct match matches[3];
    for (int i = 0; i < count; i++) {
        matches[i] = until(compile(&lists[i]));
        matches[i].max_given = true;
    }
    fill(data, sizeof data, letters);
    while (length < sizeof data) {
        int turn = (int) random_below((size_t) count);
        struct match *match = &matches[turn];
        length += 1 + random_below(random_below(2) ? 20 : 2);
        if (length > sizeof data)
            length = sizeof data;
        match->max = random_below(3) ? random_below(20) : NO_LIMIT;
        match->exclusive = random_below(2);
        check_step(match, &lists[turn], &place, data + start, length - start);
        size_t gone = random_below(4) ? 0 : random_below(length - start + 1);
        if (found.size > 0)
            gone = found.size;
        match_consumed(&place, gone);
        start += gone;
    }
    for (int i = 0; i < count; i++)
        pattern_release(matches[i].pattern);
}

static void random_list(struct list *list, char texts[8][6], size_t letters)
{
    list->count = 1 + (int) random_below(8);
    for (int i = 0; i < list->count; i++) {
        list->sizes[i] = 1 + random_below(6);
        list->texts[i] = texts[i];
        fill(texts[i], list->sizes[i], letters);
    }
}

static void test_random_lists(void)
{
    for (int round = 0; round < 30000 && failures == 0; round++) {
        char texts[3][8][6];
        struct list lists[3];
        int count = 1 + (int) random_below(3);
        size_t letters = 1 + random_below(4);
        for (int i = 0; i < count; i++)
            random_list(&lists[i], texts[i], letters);
        random_stream(lists, count, letters);
    }
}

/* A delimiter whose last byte is everywhere is left to memmem. */
static void test_common_last_byte(void)
{
    static char data[5000];
    struct list list = {{"xaaa"}, {4}, 1};
    struct match match = until(compile(&list));
    match.max = NO_LIMIT;
    memset(data, 'a', sizeof data);
    for (size_t at = 0; at < 4996; at += 7) {
        struct match_place place = {0};
        data[at] = 'x';
        check_step(&match, &list, &place, data, 3000);
        check_step(&match, &list, &place, data, sizeof data);
        data[at] = 'a';
    }
    pattern_release(match.pattern);
}

static void test_delimiter_arguments(void)
{
    const char *texts[] = {"a", ""};
    size_t sizes[] = {1, 0};
    CHECK(!pattern_delimiters(texts, sizes, 0));
    CHECK(!pattern_delimiters(texts, sizes, 2));
    struct pattern *one = pattern_delimiters(texts, sizes, 1);
    struct pattern *same = pattern_delimiters(texts, sizes, 1);
    CHECK(pattern_id(one) != pattern_id(same));
    pattern_release(pattern_retain(one));
    pattern_release(one);
    pattern_release(same);
}

/* Another pattern's place is no use, nor is a fresh one. */
static void test_place(void)
{
    struct list first = {{"\r\n"}, {2}, 1}, second = {{"ab"}, {2}, 1};
    struct match lines = until(compile(&first));
    struct match words = until(compile(&second));
    struct match_place place = {0};
    CHECK(ask(&lines, &place, "ab\r", 3, false) == MATCH_NOT_YET);
    CHECK(ask(&words, &place, "ab\r", 3, false) == MATCH_FOUND);
    CHECK(found.size == 2);
    CHECK(ask(&lines, &place, "ab\r\n", 4, false) == MATCH_FOUND);
    match_consumed(&place, 4);
    CHECK(ask(&lines, &place, "x", 1, false) == MATCH_NOT_YET);
    place = (struct match_place){0};
    CHECK(ask(&lines, &place, "\r\nx", 3, false) == MATCH_FOUND);
    CHECK(found.size == 2);
    pattern_release(lines.pattern);
    pattern_release(words.pattern);
}

/* Bytes one by one, then a read after a failed one: each is looked at once,
 * and a delimiter's length again (R5, T-4). */
static void check_work(const struct list *list, uint64_t per_byte)
{
    enum { SIZE = 20000 };
    static char data[SIZE];
    struct match match = until(compile(list));
    struct match_place place = {0};
    uint64_t before = match_work();
    memset(data, '\r', SIZE);
    for (size_t length = 1; length <= SIZE; length++) {
        struct match_input input = {data, length, NO_LIMIT, false};
        CHECK(match_find(&match, &place, &input, &found, &wanted, &detail) ==
              MATCH_NOT_YET);
    }
    CHECK(match_work() - before <= SIZE * per_byte);
    before = match_work();
    for (size_t start = 1; start < SIZE; start++) {
        match_consumed(&place, 1);
        struct match_input input = {data + start, SIZE - start, NO_LIMIT,
                                    false};
        CHECK(match_find(&match, &place, &input, &found, &wanted, &detail) ==
              MATCH_NOT_YET);
    }
    CHECK(match_work() - before == 0);
    pattern_release(match.pattern);
}

static void test_work_is_linear(void)
{
    check_work(&(struct list){{"\r\n\r\n"}, {4}, 1}, 4);
    check_work(&(struct list){{"\r\n\r\n", "\n\n"}, {4, 2}, 2}, 1);
}

static void test_until_bounds(void)
{
    struct list list = {{"def"}, {3}, 1};
    struct match match = until(compile(&list));
    match.max_given = true;
    match.max = 6;
    CHECK(ask_text(&match, "abcdef") == MATCH_FOUND);
    match.max = 5;
    CHECK(ask_text(&match, "abcdef") == MATCH_TOO_LONG);
    CHECK(ask_text(&match, "abc") == MATCH_TOO_LONG);
    CHECK(ask_text(&match, "abd") == MATCH_NOT_YET);
    CHECK(ask_text(&match, "ab") == MATCH_NOT_YET);
    match.max = 2;
    CHECK(ask_text(&match, "") == MATCH_TOO_LONG);
    match.max_given = false;
    match.max = 0;
    limit = 6;
    CHECK(ask_text(&match, "abcdef") == MATCH_FOUND);
    CHECK(ask_text(&match, "abcdeg") == MATCH_TOO_BIG);
    CHECK(ask_text(&match, "abcdexdef") == MATCH_TOO_BIG);
    match.max = 6;
    CHECK(ask_text(&match, "abcdeg") == MATCH_TOO_BIG);
    match.max_given = true;
    CHECK(ask_text(&match, "abcdeg") == MATCH_TOO_LONG);
    match.max = 7;
    CHECK(ask_text(&match, "abcdeg") == MATCH_TOO_BIG);
    limit = NO_LIMIT;
    pattern_release(match.pattern);
}

static void test_count_any_end(void)
{
    struct match count = {.kind = MATCH_COUNT, .count = 3};
    limit = 3;
    CHECK(ask_text(&count, "a") == MATCH_NOT_YET && wanted == 2);
    CHECK(ask_text(&count, "abcd") == MATCH_FOUND && found.size == 3);
    count.count = 4;
    CHECK(ask_text(&count, "") == MATCH_TOO_BIG);
    count.max = 3;
    count.max_given = true;
    CHECK(ask_text(&count, "") == MATCH_TOO_LONG);
    count.count = 0;
    CHECK(ask_text(&count, "") == MATCH_FOUND && found.size == 0);

    struct match any = {.kind = MATCH_ANY};
    limit = 10;
    CHECK(ask_text(&any, "") == MATCH_NOT_YET);
    CHECK(ask_text(&any, "abc") == MATCH_FOUND && found.size == 3);
    any.max = 2;
    CHECK(ask_text(&any, "abc") == MATCH_FOUND && found.size == 2);
    any.max = 0;
    any.max_given = true;
    CHECK(ask_text(&any, "") == MATCH_FOUND && found.size == 0);

    struct match end = {.kind = MATCH_END};
    limit = 3;
    CHECK(ask_once(&end, "abc", 3, false) == MATCH_NOT_YET);
    CHECK(ask_once(&end, "abc", 3, true) == MATCH_FOUND && found.end == 3);
    CHECK(ask_once(&end, "", 0, true) == MATCH_FOUND && found.end == 0);
    CHECK(ask_once(&end, "abcd", 4, false) == MATCH_TOO_BIG);
    end.max = 2;
    end.max_given = true;
    CHECK(ask_once(&end, "abc", 3, true) == MATCH_TOO_LONG);
    limit = NO_LIMIT;
}

int main(void)
{
    test_every_split();
    test_random_lists();
    test_common_last_byte();
    test_delimiter_arguments();
    test_place();
    test_work_is_linear();
    test_until_bounds();
    test_count_any_end();
    return failures > 0;
}
