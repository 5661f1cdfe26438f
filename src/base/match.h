/* How much of the received bytes satisfies a read?
 *
 * A match is asked after each arrival, over the contiguous unconsumed bytes,
 * and keeps its place: no byte is looked at twice, except for the last
 * `delimiter - 1` (a regex looks again from where a partial match began). The
 * place survives a failed read, if the next one searches for the same.
 *
 * Compiled patterns (delimiters, lists, regexes) are shared and
 * counted; they are never changed once made. */
#ifndef WEIR_MATCH_H
#define WEIR_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/export.h"

enum match_kind {
    MATCH_ANY,   /* at least one byte, at most `max` */
    MATCH_COUNT, /* exactly `count` bytes */
    MATCH_UNTIL, /* through the first end of one of `pattern`'s delimiters */
    MATCH_REGEX, /* through the end of the first match of `pattern` */
    MATCH_FRAME, /* a length prefix and its payload */
    MATCH_END    /* everything, once the peer has ended */
};

enum match_prefix {
    PREFIX_U8,
    PREFIX_U16BE,
    PREFIX_U16LE,
    PREFIX_U32BE,
    PREFIX_U32LE,
    PREFIX_U64BE,
    PREFIX_VARINT,   /* unsigned LEB128, as in Protocol Buffers */
    PREFIX_NETSTRING /* cr.yp.to/proto/netstrings.txt */
};

enum match_answer {
    MATCH_FOUND,
    MATCH_NOT_YET,
    MATCH_TOO_LONG, /* it can only end beyond `max` (EMSGSIZE) */
    MATCH_TOO_BIG,  /* it can only end beyond `limit` (ENOBUFS) */
    MATCH_INVALID   /* these bytes can never be it (EPROTO) */
};

struct pattern; /* compiled delimiters or a compiled regex */

/* Where the search for a pattern stands in the unconsumed bytes; and where the
 * one before it stood, so that two may take turns. */
struct match_place {
    uint64_t pattern_id; /* whose search; 0: nobody's */
    size_t scanned;      /* bytes that need no second look */
    uint32_t state;      /* of a list's automaton, at `scanned` */
    bool moved;          /* bytes in front of `scanned` were consumed */
    struct match_former {
        uint64_t pattern_id;
        size_t scanned;
        uint32_t state;
        bool moved;
    } former;
};

struct match {
    enum match_kind kind : 8;
    enum match_prefix prefix : 8; /* MATCH_FRAME */
    bool exclusive;               /* MATCH_UNTIL: data without the delimiter */
    bool listed;                  /* MATCH_UNTIL: the caller wants the index */
    bool max_given;               /* `max` was asked for: wins over `limit` */
    size_t max; /* of a frame, its payload; not given, 0: none */
    union {
        size_t count;            /* MATCH_COUNT */
        struct pattern *pattern; /* MATCH_UNTIL and MATCH_REGEX */
    };
};

/* NULL if it has none. */
static inline struct pattern *match_pattern(const struct match *match)
{
    bool has = match->kind == MATCH_UNTIL || match->kind == MATCH_REGEX;
    return has ? match->pattern : NULL;
}

/* What has arrived and is not consumed. */
struct match_input {
    const char *data;
    size_t length;
    size_t limit; /* no more than that can be there (max_buffer_size) */
    bool ended;   /* nothing more will arrive */
};

/* Of MATCH_FRAME: is all of the prefix among these bytes? Then what it says. */
bool match_frame_length(const struct match *match, const char *data,
                        size_t length, uint64_t *payload);

/* What was found, as offsets into the bytes that were given. */
struct match_found {
    size_t size;       /* to consume */
    size_t start, end; /* the data, within these */
    int index;         /* MATCH_UNTIL: which delimiter, from 0 */
};

/* `*wanted` becomes how many bytes more
 * are needed at the least (1 if unknown), for the next read's size. `detail`
 * of MATCH_INVALID is a static text, such as "varint longer than 10 bytes". */
enum match_answer match_find(const struct match *match,
                             struct match_place *place,
                             const struct match_input *input,
                             struct match_found *found, size_t *wanted,
                             const char **detail);

/* `size` bytes left the front: the place moves with them. */
void match_consumed(struct match_place *place, size_t size);

/* One delimiter or several; NULL if none or an empty one is among them. */
struct pattern *pattern_delimiters(const char *const *delimiters,
                                   const size_t *sizes, int count);

/* A PCRE2 regex; NULL with a message, to be freed, and the fault's offset. */
struct pattern *pattern_regex(const char *text, size_t size, char **message,
                              size_t *offset);

struct pattern *pattern_retain(struct pattern *pattern);
void pattern_release(struct pattern *pattern);
uint64_t pattern_id(const struct pattern *pattern);

/* After a MATCH_REGEX was found: how many groups the regex has, and where
 * group n (from 1) lies in the data that were given; false if it is unset. */
int pattern_groups(const struct pattern *pattern);
bool pattern_group(const struct pattern *pattern, int n, size_t *start,
                   size_t *end);

/* How many bytes all searches have looked at, for specs. */
WEIR_EXPORT uint64_t match_work(void);

#endif
