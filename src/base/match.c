#include "base/match.h"

#include "base/pattern.h"

static uint64_t work;

void match_worked(size_t bytes)
{
    work += bytes;
}

uint64_t match_work(void)
{
    return work;
}

static enum match_answer found_all(struct match_found *found, size_t size)
{
    found->size = found->end = size;
    return MATCH_FOUND;
}

static enum match_answer find_any(const struct match *match,
                                  const struct match_input *input,
                                  struct match_found *found)
{
    size_t bound = match_bound(match, input->limit);
    if (input->length == 0 && bound > 0)
        return MATCH_NOT_YET;
    return found_all(found, input->length < bound ? input->length : bound);
}

static enum match_answer find_count(const struct match *match,
                                    const struct match_input *input,
                                    struct match_found *found, size_t *wanted)
{
    if (match->count > match_bound(match, input->limit))
        return match_beyond(match, input->limit);
    if (input->length >= match->count)
        return found_all(found, match->count);
    *wanted = match->count - input->length;
    return MATCH_NOT_YET;
}

static enum match_answer find_end(const struct match *match,
                                  const struct match_input *input,
                                  struct match_found *found)
{
    if (input->length > match_bound(match, input->limit))
        return match_beyond(match, input->limit);
    return input->ended ? found_all(found, input->length) : MATCH_NOT_YET;
}

static bool search(const struct pattern *pattern, struct match_place *place,
                   const char *data, size_t length, struct hit *hit)
{
    if (pattern->automaton)
        return automaton_find(pattern->automaton, place, data, length, hit);
    return delimiter_find(pattern->delimiter, place, data, length, hit);
}

/* Nothing was found in `data`: may a delimiter still end `room` bytes on? */
static bool may_fit(const struct pattern *pattern,
                    const struct match_place *place, const char *data,
                    size_t length, size_t room)
{
    if (pattern->automaton)
        return automaton_may_fit(pattern->automaton, place, room);
    return delimiter_may_fit(pattern->delimiter, data, length, room);
}

/* Only the first `bound` bytes are looked at: a delimiter that ends behind
 * them is too far, however early it came. */
static enum match_answer find_until(const struct match *match,
                                    struct match_place *place,
                                    const struct match_input *input,
                                    struct match_found *found)
{
    const char *data = input->data;
    size_t bound = match_bound(match, input->limit);
    size_t seen = input->length < bound ? input->length : bound;
    struct hit hit;
    if (seen > 0 && search(match->pattern, place, data, seen, &hit)) {
        found->size = hit.end;
        found->end = match->exclusive ? hit.end - hit.size : hit.end;
        found->index = hit.index;
        return MATCH_FOUND;
    }
    if (may_fit(match->pattern, place, data, seen, bound - seen))
        return MATCH_NOT_YET;
    return match_beyond(match, input->limit);
}

/* The place becomes this pattern's: the present one's, the former one's or a
 * fresh one. */
static void take_place(struct match_place *place, const struct pattern *pattern)
{
    if (place->pattern_id == pattern->id)
        return;
    if (place->pattern_id == 0) { /* nobody's, and so was the former one */
        place->pattern_id = pattern->id;
        return;
    }
    struct match_former next = place->former;
    if (next.pattern_id != pattern->id)
        next = (struct match_former){.pattern_id = pattern->id};
    *place = (struct match_place){
        .pattern_id = next.pattern_id,
        .scanned = next.scanned,
        .state = next.state,
        .moved = next.moved,
        .former = {place->pattern_id, place->scanned, place->state,
                   place->moved},
    };
}

enum match_answer match_find(const struct match *match,
                             struct match_place *place,
                             const struct match_input *input,
                             struct match_found *found, size_t *wanted,
                             const char **detail)
{
    *found = (struct match_found){0};
    *wanted = 1;
    switch (match->kind) {
    case MATCH_ANY:
        return find_any(match, input, found);
    case MATCH_COUNT:
        return find_count(match, input, found, wanted);
    case MATCH_UNTIL:
        take_place(place, match->pattern);
        return find_until(match, place, input, found);
    case MATCH_REGEX:
        take_place(place, match->pattern);
        return regex_find(match, place, input, found, detail);
    case MATCH_FRAME:
        return frame_find(match, input, found, wanted, detail);
    case MATCH_END:
        break;
    }
    return find_end(match, input, found);
}

void match_consumed(struct match_place *place, size_t size)
{
    struct match_former *former = &place->former;
    place->moved = size < place->scanned;
    place->scanned = place->moved ? place->scanned - size : 0;
    if (former->scanned > 0) {
        former->moved = size < former->scanned;
        former->scanned = former->moved ? former->scanned - size : 0;
    }
}
