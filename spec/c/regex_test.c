/* Regexes: the same result however the bytes were split. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "ask.h"
#include "random.h"

enum { SIZE = 14 };

static const char *const patterns[] = {
    "abc",
    "a+",
    "a*",
    "a*b",
    "a+?b",
    "(a|ab)(c|bcd)?",
    "^ab",
    "^a+b",
    "\\Aa|b$",
    "\\bab\\b",
    "(?<=a)b",
    "(?<!a)b+",
    "(?<=^a)b",
    "a(?=b)",
    "a(?=bc)",
    "a(?!b)",
    "[^a]+a",
    "(?m)^a+$",
    "(?m)^b",
    "(?s)^.*c",
    ".*c",
    ".*",
    "(a+)(b+)?",
    "(?:ab)+c",
    "(a)(?:b)\\1",
    "\\Gab|c",
    "a+(*COMMIT)b|c",
    "a(*SKIP)b|b",
    "(?:a|b)*+c",
    "(?>a+)b",
    "ab\\K c?",
    "a\\Kb",
    "(?|(a)b|(b)c)",
    "\\R",
    "(*CRLF)^b",
    "(*ANYCRLF)[^c]b",
    "(*CRLF)(?m)^.b",
    "a{2,3}",
    "a{2,3}?c",
    "c\\z",
    "b\\Z",
    "(?<=ab)c",
    "(a)|(b)|(c)c",
    "(?i)AB",
    "(?<=\\n)a",
    "a|(?=b)",
    "(?:a\\r|a\\r\\n)b",
    "\\r?\\n",
    "",
    "x|(?<=b)a",
};

static struct match compile(const char *text)
{
    char *message;
    size_t offset;
    struct match match = {.kind = MATCH_REGEX};
    match.pattern = pattern_regex(text, strlen(text), &message, &offset);
    CHECK(match.pattern);
    return match;
}

/* Where PCRE2 itself ends the first match in all the bytes, or 0. */
static size_t plain(const char *text, const char *data, size_t length)
{
    int error;
    size_t offset, end = 0;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR) text, PCRE2_ZERO_TERMINATED,
                                     0, &error, &offset, NULL);
    pcre2_match_data *result = pcre2_match_data_create_from_pattern(code, NULL);
    if (pcre2_match(code, (PCRE2_SPTR) data, length, 0, PCRE2_NOTEMPTY, result,
                    NULL) > 0)
        end = pcre2_get_ovector_pointer(result)[1];
    pcre2_match_data_free(result);
    pcre2_code_free(code);
    return end;
}

/* In pieces: as soon as one has an answer, that is it. */
static enum match_answer ask_split(const struct match *match, const char *data,
                                   size_t length, bool ended, size_t most)
{
    struct match_place place = {0};
    enum match_answer answer = MATCH_NOT_YET;
    size_t there = 0;
    while (there < length && answer == MATCH_NOT_YET) {
        there += 1 + random_below(most);
        if (there > length)
            there = length;
        bool all = ended && there == length && random_below(2);
        answer = ask(match, &place, data, there, all);
    }
    if (answer == MATCH_NOT_YET && ended)
        answer = ask(match, &place, data, length, true);
    return answer;
}

static void check_data(const char *text, struct match *match, const char *data)
{
    bool ended = random_below(2);
    match->max_given = random_below(2);
    match->max = match->max_given ? random_below(SIZE) : 0;
    struct match_place place = {0};
    enum match_answer answer = ask(match, &place, data, SIZE, ended);
    size_t size = found.size;
    for (int i = 0; i < 3; i++) {
        size_t most = i == 0 ? 1 : 5;
        CHECK(ask_split(match, data, SIZE, ended, most) == answer);
        CHECK(answer != MATCH_FOUND || found.size == size);
    }
    if (answer == MATCH_FOUND) {
        CHECK(size > 0 && (!match->max_given || size <= match->max));
        CHECK(plain(text, data, SIZE) == size);
    } else if (ended && !match->max_given) {
        CHECK(plain(text, data, SIZE) == 0);
    }
}

/* Consumed or failed, the next search starts right. */
static void check_stream(struct match *match, const char *data)
{
    struct match_place place = {0};
    size_t start = 0;
    match->max_given = false;
    match->max = 0;
    for (size_t length = 1; length <= SIZE; length++) {
        struct match_place fresh = {0};
        const char *rest = data + start;
        enum match_answer answer =
            ask(match, &fresh, rest, length - start, false);
        size_t gone = found.size;
        CHECK(ask(match, &place, rest, length - start, false) == answer);
        CHECK(found.size == gone);
        if (answer != MATCH_FOUND)
            gone = random_below(3) ? 0 : random_below(length - start + 1);
        match_consumed(&place, gone);
        start += gone;
    }
}

static void test_splits(void)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct match match = compile(patterns[i]);
        for (int round = 0; round < 1000 && failures == 0; round++) {
            char data[SIZE];
            const char *letters = random_below(2) ? "abc" : "abc\r\nab ";
            for (size_t k = 0; k < SIZE; k++)
                data[k] = letters[random_below(strlen(letters))];
            check_data(patterns[i], &match, data);
            check_stream(&match, data);
        }
        pattern_release(match.pattern);
    }
}

static enum match_answer ask_max(const char *text, size_t max, const char *data)
{
    struct match match = compile(text);
    struct match_place place = {0};
    match.max_given = true;
    match.max = max;
    enum match_answer answer = ask(&match, &place, data, strlen(data), false);
    pattern_release(match.pattern);
    return answer;
}

static void test_bounds(void)
{
    CHECK(ask_max("def", 6, "abcdef") == MATCH_FOUND && found.size == 6);
    CHECK(ask_max("def", 5, "abcdef") == MATCH_TOO_LONG);
    CHECK(ask_max("def", 5, "abcd") == MATCH_TOO_LONG);
    CHECK(ask_max("def", 5, "ab") == MATCH_NOT_YET);
    CHECK(ask_max("def", 2, "") == MATCH_TOO_LONG);
    CHECK(ask_max("\\d+", 3, "12") == MATCH_NOT_YET);
    CHECK(ask_max("\\d+", 3, "123") == MATCH_NOT_YET);
    CHECK(ask_max("\\d+", 3, "123 ") == MATCH_FOUND && found.size == 3);
    CHECK(ask_max("\\d+", 3, "1234") == MATCH_TOO_LONG);
    CHECK(ask_max("\\d+\n", 3, "123") == MATCH_TOO_LONG);
    CHECK(ask_max("^GET", 99, "PUT") == MATCH_INVALID);
    CHECK(ask_max("^GET", 99, "GE") == MATCH_NOT_YET);
    CHECK(ask_max("^GET", 99, "") == MATCH_NOT_YET);

    struct match match = compile("\\n");
    struct match_place place = {0};
    limit = 3;
    CHECK(ask(&match, &place, "ab\n", 3, false) == MATCH_FOUND);
    CHECK(ask(&match, &place, "abc", 3, false) == MATCH_TOO_BIG);
    match.max = 2;
    CHECK(ask(&match, &place, "abc", 3, false) == MATCH_TOO_LONG);
    limit = NO_LIMIT;
    pattern_release(match.pattern);
}

static void test_groups(void)
{
    struct match match = compile("(\\w+): (?:(\\d+)|(x))\r\n");
    struct match_place place = {0};
    size_t start, end;
    CHECK(pattern_groups(match.pattern) == 3);
    CHECK(ask(&match, &place, "Size: 42\r", 9, false) == MATCH_NOT_YET);
    CHECK(ask(&match, &place, "Size: 42\r\n", 10, false) == MATCH_FOUND);
    CHECK(pattern_group(match.pattern, 1, &start, &end));
    CHECK(start == 0 && end == 4);
    CHECK(pattern_group(match.pattern, 2, &start, &end));
    CHECK(start == 6 && end == 8);
    CHECK(!pattern_group(match.pattern, 3, &start, &end));
    CHECK(!pattern_group(match.pattern, 4, &start, &end));
    pattern_release(match.pattern);
}

static void test_faults(void)
{
    char *message = NULL;
    size_t offset = 0;
    CHECK(!pattern_regex("a(b", 3, &message, &offset));
    CHECK(offset == 3 && strstr(message, "parenthes"));
    free(message);
    CHECK(!pattern_regex("(*UTF)a", 7, &message, &offset));
    free(message);

    char data[61];
    struct match match = compile("(?:a+)+\\d");
    struct match_place place = {0};
    memset(data, 'a', sizeof data);
    data[60] = 'b';
    CHECK(ask(&match, &place, data, sizeof data, false) == MATCH_INVALID);
    CHECK(strcmp(detail, "regex passes its match limit") == 0);
    pattern_release(match.pattern);
}

int main(void)
{
    test_splits();
    test_bounds();
    test_groups();
    test_faults();
    return failures > 0;
}
