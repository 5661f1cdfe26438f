/* A frame: a length, then as many bytes. The length is read anew on each
 * arrival until all of it is there: it is short. */
#include "base/pattern.h"

struct header {
    size_t size;      /* of the prefix */
    size_t trailer;   /* bytes behind the payload */
    uint64_t payload; /* its length */
};

static uint64_t big_endian(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static uint64_t little_endian(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;
    while (size-- > 0)
        value = value << 8 | bytes[size];
    return value;
}

/* `*wanted`, of each of these: what is missing of the prefix at the least. */
static enum match_answer read_fixed(enum match_prefix prefix,
                                    const unsigned char *bytes, size_t length,
                                    struct header *header, size_t *wanted)
{
    static const unsigned char sizes[] = {
        [PREFIX_U8] = 1,    [PREFIX_U16BE] = 2, [PREFIX_U16LE] = 2,
        [PREFIX_U32BE] = 4, [PREFIX_U32LE] = 4, [PREFIX_U64BE] = 8,
    };
    header->size = sizes[prefix];
    if (length < header->size) {
        *wanted = header->size - length;
        return MATCH_NOT_YET;
    }
    bool little = prefix == PREFIX_U16LE || prefix == PREFIX_U32LE;
    header->payload = little ? little_endian(bytes, header->size)
                             : big_endian(bytes, header->size);
    return MATCH_FOUND;
}

static enum match_answer read_varint(const unsigned char *bytes, size_t length,
                                     struct header *header, size_t *wanted,
                                     const char **detail)
{
    for (size_t i = 0; i < length; i++) {
        if (i == 9 && bytes[i] >= 0x80) {
            *detail = "varint longer than 10 bytes";
            return MATCH_INVALID;
        }
        if (i == 9 && bytes[i] > 1) {
            *detail = "varint beyond 64 bits";
            return MATCH_INVALID;
        }
        header->payload |= (uint64_t) (bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80) {
            header->size = i + 1;
            return MATCH_FOUND;
        }
    }
    *wanted = 1;
    return MATCH_NOT_YET;
}

/* Takes one more digit; false if the length passes 64 bits. */
static bool add_digit(uint64_t *value, unsigned char byte)
{
    unsigned digit = byte - (unsigned) '0';
    if (*value > (UINT64_MAX - digit) / 10)
        return false;
    *value = *value * 10 + digit;
    return true;
}

static enum match_answer read_netstring(const unsigned char *bytes,
                                        size_t length, struct header *header,
                                        size_t *wanted, const char **detail)
{
    *detail = NULL;
    for (size_t i = 0; i < length && !*detail; i++) {
        if (bytes[i] == ':' && i > 0) {
            header->size = i + 1;
            header->trailer = 1;
            return MATCH_FOUND;
        }
        if (bytes[i] < '0' || bytes[i] > '9')
            *detail = i > 0 ? "netstring length without its colon"
                            : "netstring without a length";
        else if (i > 0 && bytes[0] == '0')
            *detail = "netstring length with a leading zero";
        else if (!add_digit(&header->payload, bytes[i]))
            *detail = "netstring length beyond 64 bits";
    }
    *wanted = 1;
    return *detail ? MATCH_INVALID : MATCH_NOT_YET;
}

static enum match_answer read_header(const struct match *match,
                                     const unsigned char *bytes, size_t length,
                                     struct header *header, size_t *wanted,
                                     const char **detail)
{
    switch (match->prefix) {
    case PREFIX_VARINT:
        return read_varint(bytes, length, header, wanted, detail);
    case PREFIX_NETSTRING:
        return read_netstring(bytes, length, header, wanted, detail);
    default:
        return read_fixed(match->prefix, bytes, length, header, wanted);
    }
}

/* Is a frame of that length allowed? MATCH_FOUND if so. */
static enum match_answer check_size(const struct match *match, size_t limit,
                                    const struct header *header)
{
    size_t around = header->size + header->trailer;
    if (match_beyond(match, limit) == MATCH_TOO_LONG &&
        header->payload > match->max)
        return MATCH_TOO_LONG;
    if (around > limit || header->payload > limit - around)
        return MATCH_TOO_BIG;
    return MATCH_FOUND;
}

bool match_frame_length(const struct match *match, const char *data,
                        size_t length, uint64_t *payload)
{
    struct header header = {0};
    size_t wanted;
    const char *detail;
    enum match_answer answer = read_header(match, (const unsigned char *) data,
                                           length, &header, &wanted, &detail);
    *payload = header.payload;
    return answer == MATCH_FOUND;
}

enum match_answer frame_find(const struct match *match,
                             const struct match_input *input,
                             struct match_found *found, size_t *wanted,
                             const char **detail)
{
    const unsigned char *bytes = (const unsigned char *) input->data;
    size_t length = input->length, limit = input->limit;
    struct header header = {0};
    enum match_answer answer =
        read_header(match, bytes, length, &header, wanted, detail);
    if (answer == MATCH_NOT_YET && (length > limit || *wanted > limit - length))
        return MATCH_TOO_BIG;
    if (answer == MATCH_FOUND)
        answer = check_size(match, limit, &header);
    if (answer != MATCH_FOUND)
        return answer;
    found->start = header.size;
    found->end = header.size + (size_t) header.payload;
    found->size = found->end + header.trailer;
    if (header.trailer && length > found->end && bytes[found->end] != ',') {
        *detail = "netstring without its comma";
        return MATCH_INVALID;
    }
    if (length >= found->size)
        return MATCH_FOUND;
    *wanted = found->size - length;
    return MATCH_NOT_YET;
}
