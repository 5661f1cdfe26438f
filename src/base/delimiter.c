/* One delimiter: memchr for its last byte, and a look at what precedes it.
 *
 * That beats memmem where the last byte is rare, which it is in lines. Where
 * it turns out to be common memmem takes over, whose worst case is linear. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pattern.h"

struct delimiter {
    size_t size;
    char text[];
};

struct delimiter *delimiter_new(const char *text, size_t size)
{
    struct delimiter *delimiter = memory_new(sizeof *delimiter + size);
    delimiter->size = size;
    memcpy(delimiter->text, text, size);
    return delimiter;
}

void delimiter_free(struct delimiter *delimiter)
{
    free(delimiter);
}

/* The first delimiter in `from` … `end`, or NULL. */
static const char *search(const struct delimiter *delimiter, const char *from,
                          const char *end)
{
    const char *text = delimiter->text;
    size_t before = delimiter->size - 1;
    const char *at = from + before;
    ptrdiff_t misses = 0;
    while (at < end) {
        at = memchr(at, text[before], (size_t) (end - at));
        if (!at)
            return NULL;
        const char *start = at - before;
        if (before == 0 || memcmp(start, text, before) == 0)
            return start;
        at++;
        if (++misses > 8 + (at - from) / 32)
            return memmem(start, (size_t) (end - start), text, delimiter->size);
    }
    return NULL;
}

/* The place says: none ends at or before `scanned`. */
bool delimiter_find(const struct delimiter *delimiter,
                    struct match_place *place, const char *data, size_t length,
                    struct hit *hit)
{
    size_t size = delimiter->size;
    if (place->scanned >= length)
        return false;
    size_t from = place->scanned >= size ? place->scanned - (size - 1) : 0;
    const char *start = NULL;
    if (length - from >= size)
        start = search(delimiter, data + from, data + length);
    if (!start) {
        match_worked(length - from);
        place->scanned = length;
        return false;
    }
    hit->end = (size_t) (start - data) + size;
    hit->size = size;
    hit->index = 0;
    match_worked(hit->end - from);
    place->scanned = hit->end - 1;
    return true;
}

bool delimiter_may_fit(const struct delimiter *delimiter, const char *data,
                       size_t length, size_t room)
{
    size_t size = delimiter->size;
    if (room == 0 || room >= size)
        return room > 0;
    /* At least all but its last `room` bytes must be there. */
    for (size_t begun = size - room; begun < size && begun <= length; begun++) {
        if (memcmp(data + length - begun, delimiter->text, begun) == 0)
            return true;
    }
    return false;
}
