/* Frames of every prefix, split everywhere; bad ones. */
#include "ask.h"

/* However a frame is split, it is found when its last byte is there. */
static void check_frame(enum match_prefix prefix, const char *header,
                        size_t header_size, size_t payload)
{
    char data[80000];
    struct match match = {.kind = MATCH_FRAME, .prefix = prefix};
    size_t size = header_size + payload;
    memset(data, 'x', sizeof data);
    memcpy(data, header, header_size);
    if (prefix == PREFIX_NETSTRING)
        data[size++] = ',';
    for (size_t length = 0; length < size; length++) {
        CHECK(ask_once(&match, data, length, false) == MATCH_NOT_YET);
        CHECK(wanted <= size - length);
        CHECK(length < header_size || wanted == size - length);
        if (length == 20)
            length = size - 2;
    }
    CHECK(ask_once(&match, data, size + 7, false) == MATCH_FOUND);
    CHECK(found.size == size && found.start == header_size);
    CHECK(found.end == header_size + payload);
    limit = size;
    CHECK(ask_once(&match, data, size, false) == MATCH_FOUND);
    limit = size - 1;
    CHECK(ask_once(&match, data, header_size, false) == MATCH_TOO_BIG);
    match.max_given = true;
    match.max = payload;
    limit = NO_LIMIT;
    CHECK(ask_once(&match, data, size, false) == MATCH_FOUND);
    if (payload == 0)
        return;
    match.max--;
    CHECK(ask_once(&match, data, header_size, false) == MATCH_TOO_LONG);
    CHECK(ask_once(&match, data, size, false) == MATCH_TOO_LONG);
}

static void test_frames(void)
{
    check_frame(PREFIX_U8, "\0", 1, 0);
    check_frame(PREFIX_U8, "\xff", 1, 255);
    check_frame(PREFIX_U16BE, "\x01\x02", 2, 0x102);
    check_frame(PREFIX_U16LE, "\x01\x02", 2, 0x201);
    check_frame(PREFIX_U32BE, "\0\0\x01\x02", 4, 0x102);
    check_frame(PREFIX_U32LE, "\x01\x02\0\0", 4, 0x201);
    check_frame(PREFIX_U64BE, "\0\0\0\0\0\x01\0\x02", 8, 0x10002);
    check_frame(PREFIX_VARINT, "\0", 1, 0);
    check_frame(PREFIX_VARINT, "\xac\x02", 2, 300);
    check_frame(PREFIX_VARINT, "\x85\x80\x80\x80\x80\x80\x80\x80\x80\0", 10, 5);
    check_frame(PREFIX_NETSTRING, "0:", 2, 0);
    check_frame(PREFIX_NETSTRING, "12:", 3, 12);
    check_frame(PREFIX_NETSTRING, "10000:", 6, 10000);
}

/* Bad bytes are told at once, not earlier; so are lengths out of range. */
static void test_bad_frames(void)
{
    static const struct {
        enum match_prefix prefix;
        const char *bytes;
        size_t size;
        enum match_answer answer;
    } cases[] = {
        {PREFIX_U64BE, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, MATCH_TOO_BIG},
        {PREFIX_VARINT, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10,
         MATCH_TOO_BIG},
        {PREFIX_VARINT, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10,
         MATCH_INVALID},
        {PREFIX_VARINT, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 10,
         MATCH_INVALID},
        {PREFIX_NETSTRING, "18446744073709551615:", 21, MATCH_TOO_BIG},
        {PREFIX_NETSTRING, "18446744073709551616", 20, MATCH_INVALID},
        {PREFIX_NETSTRING, "99999999999999999999", 20, MATCH_INVALID},
        {PREFIX_NETSTRING, ":", 1, MATCH_INVALID},
        {PREFIX_NETSTRING, "00", 2, MATCH_INVALID},
        {PREFIX_NETSTRING, "01", 2, MATCH_INVALID},
        {PREFIX_NETSTRING, "1x", 2, MATCH_INVALID},
        {PREFIX_NETSTRING, "-", 1, MATCH_INVALID},
        {PREFIX_NETSTRING, "3:abc;", 6, MATCH_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct match match = {.kind = MATCH_FRAME, .prefix = cases[i].prefix};
        for (size_t length = 0; length < cases[i].size; length++)
            CHECK(ask_once(&match, cases[i].bytes, length, false) ==
                  MATCH_NOT_YET);
        CHECK(ask_once(&match, cases[i].bytes, cases[i].size, false) ==
              cases[i].answer);
    }
    struct match match = {.kind = MATCH_FRAME, .prefix = PREFIX_U32BE};
    limit = 3;
    CHECK(ask_text(&match, "") == MATCH_TOO_BIG);
    limit = NO_LIMIT;
}

int main(void)
{
    test_frames();
    test_bad_frames();
    return failures > 0;
}
