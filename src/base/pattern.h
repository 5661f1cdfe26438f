/* What the matcher's own files share: the kinds of compiled patterns, and how
 * each is searched for. Others see match.h. */
#ifndef WEIR_PATTERN_H
#define WEIR_PATTERN_H

#include "base/match.h"

/* One of the three is there. */
struct pattern {
    uint64_t id; /* serial: an address might come back as another pattern's */
    int references;
    struct delimiter *delimiter;
    struct automaton *automaton;
    struct regex *regex;
};

/* Where a delimiter was found: it ends at `end`, and is `size` long. */
struct hit {
    size_t end, size;
    int index;
};

/* The most bytes that may be consumed. A `max` of 0 that was not given is
 * none. */
static inline size_t match_bound(const struct match *match, size_t limit)
{
    bool bounded = match->max_given || match->max > 0;
    return bounded && match->max < limit ? match->max : limit;
}

/* The answer if more than those would be needed. */
static inline enum match_answer match_beyond(const struct match *match,
                                             size_t limit)
{
    if (match->max_given && match->max == limit)
        return MATCH_TOO_LONG;
    return match_bound(match, limit) < limit ? MATCH_TOO_LONG : MATCH_TOO_BIG;
}

/* Counts towards match_work. */
void match_worked(size_t bytes);

/* One delimiter. `find` looks from the place on, no further than `length`,
 * and moves the place. `may_fit`, after nothing was found in all of `data`: may
 * one still end at most `room` bytes behind it? */
struct delimiter *delimiter_new(const char *text, size_t size);
void delimiter_free(struct delimiter *delimiter);
bool delimiter_find(const struct delimiter *delimiter,
                    struct match_place *place, const char *data, size_t length,
                    struct hit *hit);
bool delimiter_may_fit(const struct delimiter *delimiter, const char *data,
                       size_t length, size_t room);

/* Several delimiters, the same way. */
struct automaton *automaton_new(const char *const *texts, const size_t *sizes,
                                int count);
void automaton_free(struct automaton *automaton);
bool automaton_find(const struct automaton *automaton,
                    struct match_place *place, const char *data, size_t length,
                    struct hit *hit);
bool automaton_may_fit(const struct automaton *automaton,
                       const struct match_place *place, size_t room);

/* A regex, with all that match_find answers. */
struct regex *regex_new(const char *text, size_t size, char **message,
                        size_t *offset);
void regex_free(struct regex *regex);
enum match_answer regex_find(const struct match *match,
                             struct match_place *place,
                             const struct match_input *input,
                             struct match_found *found, const char **detail);
int regex_groups(const struct regex *regex);
bool regex_group(const struct regex *regex, int n, size_t *start, size_t *end);

/* A length prefix and its payload. */
enum match_answer frame_find(const struct match *match,
                             const struct match_input *input,
                             struct match_found *found, size_t *wanted,
                             const char **detail);

#endif
