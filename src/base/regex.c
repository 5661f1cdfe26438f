/* Regexes: PCRE2, asked for hard partial matches, so that whatever a match
 * could still depend on is waited for and the result is the same however the
 * bytes were split.
 *
 * All that is unconsumed is the subject, from the first byte on; a search goes
 * on from where a match may begin. So anchors and look-behind see the same as
 * in a search from the front. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pattern.h"

/* What one match may cost, in PCRE2's steps and in KiB: some 10 ms. */
enum {
    MATCH_LIMIT = 1000000,
    HEAP_LIMIT = 16 * 1024,
    STACK_SIZE = 32 * 1024,
    STACK_LIMIT = 16 * 1024 * 1024,
    RECURSION_LIMIT = 128 * 1024 /* the time is quadratic in that */
};

struct regex {
    pcre2_code *code;
    pcre2_match_data *result;
    uint32_t groups;
    size_t least;  /* a match is at least so long */
    bool anchored; /* it begins at the first byte or nowhere */
    bool restart;  /* every search begins at the first byte */
    bool recurses; /* a group may call itself, without end even */
};

enum result { RESULT_MATCH, RESULT_PARTIAL, RESULT_NONE, RESULT_FAULT };

static void *allocate(size_t size, void *unused)
{
    (void) unused;
    return memory_resize(NULL, size);
}

static void release(void *block, void *unused)
{
    (void) unused;
    free(block);
}

static pcre2_general_context *general_context(void)
{
    static pcre2_general_context *context;
    if (!context)
        context = pcre2_general_context_create(allocate, release, NULL);
    return context;
}

static pcre2_compile_context *compile_context(void)
{
    static pcre2_compile_context *context;
    if (context)
        return context;
    context = pcre2_compile_context_create(general_context());
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    return context;
}

static pcre2_match_context *match_context(bool recurses)
{
    static pcre2_match_context *contexts[2];
    pcre2_match_context *context = contexts[recurses];
    if (context)
        return context;
    context = pcre2_match_context_create(general_context());
    contexts[recurses] = context;
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_depth_limit(context, MATCH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT);
    /* Kept for good, like the contexts. NULL: the machine's stack is used. */
    size_t limit = recurses ? RECURSION_LIMIT : STACK_LIMIT;
    pcre2_jit_stack_assign(
        context, NULL,
        pcre2_jit_stack_create(STACK_SIZE, limit, general_context()));
    return context;
}

/* \G is the place where a search begins, verbs such as (*COMMIT) end one, and
 * after (*CRLF) none begins within a CR LF: for these it matters where it
 * began. Finding either where it means something else costs speed only. */
static bool must_restart(const char *text, size_t size)
{
    return memmem(text, size, "\\G", 2) || memmem(text, size, "(*", 2);
}

/* "(?R)", "(?1)", "(?-1)", "(?&name)", "\\g<name>". Finding these where they
 * mean something else only bounds how deep a match may go. */
static bool may_recurse(const char *text, size_t size)
{
    if (memmem(text, size, "\\g", 2) || memmem(text, size, "(?P>", 4))
        return true;
    const char *at = text, *end = text + size;
    while ((at = memmem(at, (size_t) (end - at), "(?", 2))) {
        at += 2;
        if (at < end && *at == '-')
            at++;
        if (at < end && *at && strchr("R&+0123456789", *at))
            return true;
    }
    return false;
}

static void describe(struct regex *regex)
{
    uint32_t options = 0, least = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_ALLOPTIONS, &options);
    pcre2_pattern_info(regex->code, PCRE2_INFO_MINLENGTH, &least);
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->groups);
    regex->anchored = options & PCRE2_ANCHORED;
    regex->least = least > 0 ? least : 1; /* an empty match is none */
}

struct regex *regex_new(const char *text, size_t size, char **message,
                        size_t *offset)
{
    int error;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR) text, size, PCRE2_NEVER_UTF,
                                     &error, offset, compile_context());
    if (!code) {
        PCRE2_UCHAR words[256];
        pcre2_get_error_message(error, words, sizeof words);
        *message = memory_copy(words, strlen((const char *) words));
        return NULL;
    }
    /* Where there is no JIT, the interpreter does the same, slower. */
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
    struct regex *regex = memory_new(sizeof *regex);
    regex->code = code;
    regex->restart = must_restart(text, size);
    regex->recurses = may_recurse(text, size);
    regex->result =
        pcre2_match_data_create_from_pattern(code, general_context());
    describe(regex);
    return regex;
}

void regex_free(struct regex *regex)
{
    if (!regex)
        return;
    pcre2_match_data_free(regex->result);
    pcre2_code_free(regex->code);
    free(regex);
}

int regex_groups(const struct regex *regex)
{
    return (int) regex->groups;
}

bool regex_group(const struct regex *regex, int n, size_t *start, size_t *end)
{
    if (n < 0 || (uint32_t) n > regex->groups)
        return false;
    const size_t *pair =
        &pcre2_get_ovector_pointer(regex->result)[2 * (size_t) n];
    *start = pair[0];
    *end = pair[1];
    return pair[0] != PCRE2_UNSET;
}

static enum result fault(int status, const char **detail)
{
    switch (status) {
    case PCRE2_ERROR_MATCHLIMIT:
        *detail = "regex passes its match limit";
        break;
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
    case PCRE2_ERROR_JIT_STACKLIMIT:
        *detail = "regex passes its memory limit";
        break;
    default:
        *detail = "regex cannot be matched";
    }
    return RESULT_FAULT;
}

/* Searches in `length` bytes, as if more may come (PCRE2_PARTIAL_HARD) or not
 * (0). Moves the place to where a match begins, or may begin. */
static enum result search(const struct regex *regex, struct match_place *place,
                          const char *data, size_t length, uint32_t options,
                          const char **detail)
{
    size_t start = regex->restart ? 0 : place->scanned;
    int status = pcre2_match(regex->code, (PCRE2_SPTR) data, length, start,
                             options | PCRE2_NOTEMPTY, regex->result,
                             match_context(regex->recurses));
    match_worked(length - start);
    if (status == PCRE2_ERROR_NOMATCH) {
        place->scanned = length;
        return RESULT_NONE;
    }
    if (status < 0 && status != PCRE2_ERROR_PARTIAL)
        return fault(status, detail);
    place->scanned = pcre2_get_startchar(regex->result);
    return status == PCRE2_ERROR_PARTIAL ? RESULT_PARTIAL : RESULT_MATCH;
}

/* A match that begins at the place or later ends behind the bound. */
static bool hopeless(const struct regex *regex, size_t bound,
                     const struct match_place *place)
{
    return place->scanned > bound || regex->least > bound - place->scanned;
}

static enum match_answer take(const struct regex *regex,
                              struct match_found *found)
{
    found->size = found->end = pcre2_get_ovector_pointer(regex->result)[1];
    return MATCH_FOUND;
}

/* The bytes are all there, but a match depended on what comes after them. */
static enum match_answer match_ended(const struct regex *regex,
                                     struct match_place place,
                                     const struct match_input *input,
                                     struct match_found *found,
                                     const char **detail)
{
    switch (search(regex, &place, input->data, input->length, 0, detail)) {
    case RESULT_MATCH:
        return take(regex, found);
    case RESULT_FAULT:
        return MATCH_INVALID;
    default:
        return MATCH_NOT_YET;
    }
}

/* As many bytes are there as a match may have, and it depends on the next.
 * If what is there could be all of a match, that next byte decides. What would
 * need more than that is too long: so all at once gets the same answer. */
static enum match_answer
match_full(const struct regex *regex, const struct match *match,
           struct match_place place, const struct match_input *input,
           struct match_found *found, const char **detail)
{
    size_t bound = match_bound(match, input->limit);
    struct match_input full = {input->data, bound, input->limit, true};
    enum match_answer answer = match_ended(regex, place, &full, found, detail);
    if (answer == MATCH_NOT_YET)
        return match_beyond(match, input->limit);
    if (answer == MATCH_INVALID || (input->ended && input->length == bound))
        return answer;
    if (input->length == bound)
        return MATCH_NOT_YET;
    switch (search(regex, &place, input->data, bound + 1, PCRE2_PARTIAL_HARD,
                   detail)) {
    case RESULT_MATCH:
        take(regex, found);
        return found->size <= bound ? MATCH_FOUND
                                    : match_beyond(match, input->limit);
    case RESULT_FAULT:
        return MATCH_INVALID;
    default:
        return match_beyond(match, input->limit);
    }
}

enum match_answer regex_find(const struct match *match,
                             struct match_place *place,
                             const struct match_input *input,
                             struct match_found *found, const char **detail)
{
    const struct regex *regex = match->pattern->regex;
    size_t bound = match_bound(match, input->limit);
    size_t seen = input->length < bound ? input->length : bound;
    if (place->moved)
        place->scanned = 0; /* anchors and look-behind see a new front */
    place->moved = false;
    if (hopeless(regex, bound, place))
        return match_beyond(match, input->limit);
    if (seen == 0 || place->scanned > seen)
        return MATCH_NOT_YET;
    enum result result =
        search(regex, place, input->data, seen, PCRE2_PARTIAL_HARD, detail);
    if (result == RESULT_MATCH)
        return take(regex, found);
    if (result == RESULT_FAULT)
        return MATCH_INVALID;
    if (result == RESULT_NONE && regex->anchored) {
        place->scanned = 0;
        *detail = "regex matches only at the first byte, and not there";
        return MATCH_INVALID;
    }
    if (hopeless(regex, bound, place))
        return match_beyond(match, input->limit);
    if (result == RESULT_PARTIAL && input->length >= bound)
        return match_full(regex, match, *place, input, found, detail);
    if (result == RESULT_PARTIAL && input->ended)
        return match_ended(regex, *place, input, found, detail);
    return MATCH_NOT_YET;
}
