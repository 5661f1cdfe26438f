/* Several delimiters in one pass: Aho and Corasick, "Efficient string
 * matching", CACM 18 (6), 1975.
 *
 * A state is the longest end of what was seen that begins a delimiter; where
 * it cannot go on, `fail` is the next shorter one. States are numbered breadth
 * first, so that the children of one are neighbours: 20 bytes per byte of the
 * delimiters hold it all. A table of every state and byte would take a step
 * less for some bytes, and a hundred times the memory for long lists. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pattern.h"

/* First bytes, and how many bytes memchr looks at for each in turn. */
enum { FEW = 4, PIECE = 256 };

struct state {
    uint32_t first; /* child; the last one is before the next state's first */
    uint32_t fail;
    uint32_t depth; /* bytes of a delimiter */
    uint32_t least; /* bytes to the end of one, at the least */
    int hit;        /* the longest delimiter that ends here, or -1 */
};

struct automaton {
    size_t *sizes;         /* of the delimiters */
    struct state *states;  /* from the root, 0, to one behind the last */
    unsigned char *labels; /* the byte that leads into each */
    uint32_t count;
    uint32_t root[256]; /* where each byte leads from the root */
};

/* A delimiter while the automaton is built. */
struct word {
    const char *text;
    size_t size;
    int index;
};

/* The words that begin with a state, while it is built. */
struct range {
    int low, high;
    uint32_t parent;
};

static int compare(const void *left, const void *right)
{
    const struct word *a = left, *b = right;
    size_t size = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->text, b->text, size);
    if (order != 0)
        return order;
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    return a->index - b->index;
}

static uint32_t child(const struct automaton *automaton, uint32_t state,
                      unsigned char byte)
{
    uint32_t first = automaton->states[state].first;
    uint32_t count = automaton->states[state + 1].first - first;
    const unsigned char *labels = automaton->labels + first;
    if (count == 0)
        return 0;
    if (count == 1)
        return *labels == byte ? first : 0;
    const unsigned char *label = memchr(labels, byte, count);
    return label ? first + (uint32_t) (label - labels) : 0;
}

static uint32_t step(const struct automaton *automaton, uint32_t state,
                     unsigned char byte)
{
    while (state != 0) {
        uint32_t next = child(automaton, state, byte);
        if (next != 0)
            return next;
        state = automaton->states[state].fail;
    }
    return automaton->root[byte];
}

/* Adds the state that `byte` leads to from `parent`. */
static void add(struct automaton *automaton, uint32_t parent,
                unsigned char byte)
{
    uint32_t number = automaton->count++;
    struct state *state = &automaton->states[number];
    const struct state *from = &automaton->states[parent];
    state->depth = from->depth + 1;
    automaton->labels[number] = byte;
    if (parent == 0)
        automaton->root[byte] = number;
    else
        state->fail = step(automaton, from->fail, byte);
}

/* Gives `number` its hit and its children: shorter states have theirs. */
static void expand(struct automaton *automaton, uint32_t number,
                   const struct word *words, struct range *ranges)
{
    struct state *state = &automaton->states[number];
    struct range range = ranges[number];
    state->hit = number == 0 ? -1 : automaton->states[state->fail].hit;
    state->least = UINT32_MAX;
    state->first = automaton->count;
    int word = range.low;
    if (word < range.high && words[word].size == state->depth) {
        /* Of the same ones, the lowest index sorts first. */
        state->hit = words[word].index;
        state->least = 0;
        while (word < range.high && words[word].size == state->depth)
            word++;
    }
    while (word < range.high) {
        int low = word;
        char byte = words[word].text[state->depth];
        while (word < range.high && words[word].text[state->depth] == byte)
            word++;
        ranges[automaton->count] = (struct range){low, word, number};
        add(automaton, number, (unsigned char) byte);
    }
    state[1].first = automaton->count;
}

/* What a child needs its parent needs too, and a byte more; what a shorter
 * state needs, the longer one needs at most. */
static void set_least(struct automaton *automaton, const struct range *ranges)
{
    struct state *states = automaton->states;
    for (uint32_t i = automaton->count - 1; i > 0; i--) {
        struct state *parent = &states[ranges[i].parent];
        if (states[i].least + 1 < parent->least)
            parent->least = states[i].least + 1;
    }
    for (uint32_t i = 1; i < automaton->count; i++) {
        uint32_t shorter = states[states[i].fail].least;
        if (shorter < states[i].least)
            states[i].least = shorter;
    }
}

static void build(struct automaton *automaton, const struct word *words,
                  int count, size_t total)
{
    struct range *ranges = memory_new((total + 1) * sizeof *ranges);
    automaton->states = memory_new((total + 2) * sizeof *automaton->states);
    automaton->labels = memory_new(total + 1);
    automaton->count = 1;
    ranges[0] = (struct range){0, count, 0};
    for (uint32_t i = 0; i < automaton->count; i++)
        expand(automaton, i, words, ranges);
    set_least(automaton, ranges);
    free(ranges);
}

struct automaton *automaton_new(const char *const *texts, const size_t *sizes,
                                int count)
{
    struct automaton *automaton = memory_new(sizeof *automaton);
    struct word *words = memory_new((size_t) count * sizeof *words);
    size_t total = 0;
    automaton->sizes = memory_new((size_t) count * sizeof *sizes);
    for (int i = 0; i < count; i++) {
        automaton->sizes[i] = sizes[i];
        words[i] = (struct word){texts[i], sizes[i], i};
        total += sizes[i];
    }
    qsort(words, (size_t) count, sizeof *words, compare);
    build(automaton, words, count, total);
    free(words);
    return automaton;
}

void automaton_free(struct automaton *automaton)
{
    if (!automaton)
        return;
    free(automaton->sizes);
    free(automaton->states);
    free(automaton->labels);
    free(automaton);
}

/* The place's state, of which bytes may have been consumed meanwhile. */
static uint32_t resume(const struct automaton *automaton,
                       const struct match_place *place)
{
    uint32_t state = place->state;
    while (automaton->states[state].depth > place->scanned)
        state = automaton->states[state].fail;
    return state;
}

/* Most bytes begin no delimiter, and memchr passes them quickly: in pieces,
 * lest the search for a byte that is rare runs far past one that is not. */
static size_t skip(const struct automaton *automaton,
                   const unsigned char *bytes, size_t at, size_t length)
{
    const unsigned char *labels = automaton->labels + 1;
    uint32_t count = automaton->states[1].first - 1;
    while (at < length && count > FEW) {
        if (automaton->root[bytes[at]] != 0)
            return at;
        at++;
    }
    while (at < length) {
        size_t piece = length - at < PIECE ? length - at : PIECE;
        size_t nearest = piece;
        for (uint32_t i = 0; i < count && nearest > 0; i++) {
            const unsigned char *byte = memchr(bytes + at, labels[i], nearest);
            if (byte)
                nearest = (size_t) (byte - (bytes + at));
        }
        at += nearest;
        if (nearest < piece)
            return at;
    }
    return length;
}

bool automaton_find(const struct automaton *automaton,
                    struct match_place *place, const char *data, size_t length,
                    struct hit *hit)
{
    const unsigned char *bytes = (const unsigned char *) data;
    uint32_t state = resume(automaton, place);
    size_t at = place->scanned;
    int index = -1;
    while (at < length) {
        if (state == 0 && (at = skip(automaton, bytes, at, length)) == length)
            break;
        uint32_t next = step(automaton, state, bytes[at]);
        index = automaton->states[next].hit;
        if (index >= 0)
            break;
        state = next;
        at++;
    }
    bool found = index >= 0;
    match_worked(at + found - place->scanned);
    /* The last byte of a hit counts as seen once it is consumed. */
    place->scanned = at;
    place->state = state;
    if (found)
        *hit = (struct hit){at + 1, automaton->sizes[index], index};
    return found;
}

bool automaton_may_fit(const struct automaton *automaton,
                       const struct match_place *place, size_t room)
{
    return automaton->states[place->state].least <= room;
}
