/* Asks the matcher: what the tests of its kinds share. */
#ifndef WEIR_ASK_H
#define WEIR_ASK_H

#include <stdlib.h>
#include <string.h>

#include "base/match.h"
#include "check.h"

enum { NO_LIMIT = 1000000 };

/* What the next questions have for max_buffer_size. */
static size_t limit = NO_LIMIT;

static struct match_found found;
static size_t wanted;
static const char *detail;

/* Asks about a copy of exactly these bytes, so that sanitizers see a look
 * beyond them. */
static inline enum match_answer ask(const struct match *match,
                                    struct match_place *place, const char *data,
                                    size_t length, bool ended)
{
    char *copy = malloc(length ? length : 1);
    CHECK(copy);
    memcpy(copy, data, length);
    detail = NULL;
    enum match_answer answer = match_find(
        match, place,
        &(struct match_input){length ? copy : NULL, length, limit, ended},
        &found, &wanted, &detail);
    CHECK((detail != NULL) == (answer == MATCH_INVALID));
    if (answer == MATCH_NOT_YET)
        CHECK(wanted > 0);
    free(copy);
    return answer;
}

static inline enum match_answer
ask_once(const struct match *match, const char *data, size_t length, bool ended)
{
    struct match_place place = {0};
    return ask(match, &place, data, length, ended);
}

static inline enum match_answer ask_text(const struct match *match,
                                         const char *text)
{
    return ask_once(match, text, strlen(text), false);
}

#endif
