/* Where tasks were spawned. A loop that spawns many asks for the same place
 * again and again: the last one is kept, and shared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "lua/task_internal.h"

static struct origin *last;

void origin_release(struct origin *origin)
{
    if (origin && --origin->references == 0)
        free(origin);
}

static bool is_last(const lua_Debug *at)
{
    size_t size = strlen(at->short_src);
    return last && last->line == at->currentline &&
           strncmp(last->text, at->short_src, size) == 0 &&
           last->text[size] == ':';
}

static struct origin *origin_new(const lua_Debug *at)
{
    size_t size = strlen(at->short_src) + 16;
    struct origin *origin = memory_new(sizeof *origin + size);
    origin->references = 1;
    origin->line = at->currentline;
    snprintf(origin->text, size, "%s:%d", at->short_src, at->currentline);
    return origin;
}

struct origin *origin_of_caller(lua_State *L)
{
    lua_Debug at;
    if (!lua_getstack(L, 1, &at) || !lua_getinfo(L, "Sl", &at) ||
        at.currentline < 0)
        return NULL;
    if (!is_last(&at)) {
        origin_release(last);
        last = origin_new(&at);
    }
    last->references++;
    return last;
}
