/* What lua/weir/fast.lua calls through the FFI: reads that the buffer already
 * satisfies, and short writes. Compiled by LuaJIT these cost a function call;
 * through Lua's C API they cost several times what they do.
 *
 * Nothing here may touch Lua, for compiled code is in the middle of something,
 * or call anything that might. So each does all of its work or, at the least
 * doubt, none of it, and then the method proper is called: that one checks,
 * raises, waits and yields. */
#include <limits.h>

#include "base/export.h"
#include "lua/lua_pattern.h"
#include "lua/lua_stream.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

/* The structs are known to lua/weir/fast.lua too. */
struct weir_piece {
    const char *data;
    size_t size;
};

struct weir_fast {
    const char *data; /* what was taken; good until the next is */
    int coroutines;   /* of the script's own that run, one inside the other */
    struct weir_piece pieces[8]; /* to be put */
};

WEIR_EXPORT struct weir_fast weir_fast;

WEIR_EXPORT int weir_take_until(struct lua_stream *box, const char *delimiter,
                                bool exclusive, bool called_back);
WEIR_EXPORT int weir_take_bytes(struct lua_stream *box, double count,
                                bool called_back);
WEIR_EXPORT int weir_take_frame(struct lua_stream *box, int prefix,
                                bool called_back);
WEIR_EXPORT bool weir_put(struct lua_stream *box, const char *data,
                          size_t size);
WEIR_EXPORT bool weir_put_pieces(struct lua_stream *box, int count);

/* The stream, if the running task may have an operation on it completed
 * without more ado. Where it could not wait (a finalizer, a hook) the method
 * proper says what may be done. */
static struct stream *stream_at_hand(const struct lua_stream *box)
{
    const struct task *task = scheduler.current;
    if (!task || weir_fast.coroutines > 0 || !lua_isyieldable(task->L))
        return NULL;
    return box->stream;
}

/* One more operation of the running task completes at once; false if it must
 * yield first (R3). */
static bool may_complete(void)
{
    return scheduler.current->streak < TASK_STREAK;
}

/* The size of what was taken; −1 if nothing was. */
static int take(const struct lua_stream *box, struct match *match,
                bool called_back)
{
    struct stream *stream = stream_at_hand(box);
    struct match_found found;
    if (!stream || !(called_back || may_complete()))
        return -1;
    match->max = stream->kind->options.max_buffer_size;
    const char *data = stream_take(stream, match, &found);
    if (!data)
        return -1;
    scheduler.current->streak += !called_back;
    weir_fast.data = data + found.start;
    size_t size = found.end - found.start;
    collector_note_string(size);
    return (int) size;
}

int weir_take_until(struct lua_stream *box, const char *delimiter,
                    bool exclusive, bool called_back)
{
    struct pattern *pattern = lua_pattern_recent(delimiter);
    struct match match = {
        .kind = MATCH_UNTIL, .exclusive = exclusive, .pattern = pattern};
    return pattern ? take(box, &match, called_back) : -1;
}

int weir_take_bytes(struct lua_stream *box, double count, bool called_back)
{
    if (!(count >= 0 && count <= INT_MAX))
        return -1;
    struct match match = {.kind = MATCH_COUNT, .count = (size_t) count};
    return (double) match.count == count ? take(box, &match, called_back) : -1;
}

int weir_take_frame(struct lua_stream *box, int prefix, bool called_back)
{
    struct match match = {.kind = MATCH_FRAME,
                          .prefix = (enum match_prefix) prefix};
    return take(box, &match, called_back);
}

static bool put(const struct lua_stream *box, const struct weir_piece *pieces,
                int count)
{
    struct stream *stream = stream_at_hand(box);
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].size;
    if (!stream || !may_complete() || !stream_may_put(stream, size))
        return false;
    for (int i = 0; i < count; i++)
        outqueue_copy(&stream->output, pieces[i].data, pieces[i].size);
    stream_written(stream);
    scheduler.current->streak++;
    return true;
}

bool weir_put(struct lua_stream *box, const char *data, size_t size)
{
    return put(box, &(struct weir_piece){data, size}, 1);
}

bool weir_put_pieces(struct lua_stream *box, int count)
{
    return put(box, weir_fast.pieces, count);
}

/* core.deliver(stream, callback, data): what was taken comes to a callback,
 * later (R2). */
static int deliver(lua_State *L)
{
    const struct lua_stream *box = lua_touserdata(L, 1);
    task_start(L, 1, box->stream, false);
    return 0;
}

void lua_fast_open(lua_State *L)
{
    lua_pushcfunction(L, deliver);
    lua_setfield(L, -3, "deliver");
}
