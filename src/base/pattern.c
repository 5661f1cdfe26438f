#include "base/pattern.h"

#include <stdlib.h>

#include "base/memory.h"

static struct pattern *new_pattern(void)
{
    static uint64_t last_id;
    struct pattern *pattern = memory_new(sizeof *pattern);
    pattern->id = ++last_id;
    pattern->references = 1;
    return pattern;
}

struct pattern *pattern_delimiters(const char *const *delimiters,
                                   const size_t *sizes, int count)
{
    if (count <= 0)
        return NULL;
    for (int i = 0; i < count; i++) {
        if (sizes[i] == 0)
            return NULL;
    }
    struct pattern *pattern = new_pattern();
    if (count == 1)
        pattern->delimiter = delimiter_new(delimiters[0], sizes[0]);
    else
        pattern->automaton = automaton_new(delimiters, sizes, count);
    return pattern;
}

struct pattern *pattern_regex(const char *text, size_t size, char **message,
                              size_t *offset)
{
    struct regex *regex = regex_new(text, size, message, offset);
    if (!regex)
        return NULL;
    struct pattern *pattern = new_pattern();
    pattern->regex = regex;
    return pattern;
}

struct pattern *pattern_retain(struct pattern *pattern)
{
    pattern->references++;
    return pattern;
}

void pattern_release(struct pattern *pattern)
{
    if (--pattern->references > 0)
        return;
    delimiter_free(pattern->delimiter);
    automaton_free(pattern->automaton);
    regex_free(pattern->regex);
    free(pattern);
}

uint64_t pattern_id(const struct pattern *pattern)
{
    return pattern->id;
}

int pattern_groups(const struct pattern *pattern)
{
    return pattern->regex ? regex_groups(pattern->regex) : 0;
}

bool pattern_group(const struct pattern *pattern, int n, size_t *start,
                   size_t *end)
{
    return pattern->regex && regex_group(pattern->regex, n, start, end);
}
