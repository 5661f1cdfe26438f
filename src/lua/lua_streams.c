/* weir.streams: what streams there are, and what goes on with them. */
#include "lua/lua_stream.h"
#include "lua/task_internal.h"

void lua_stream_set_fields(lua_State *L, const struct stream *stream)
{
    size_t length = buffer_length(&stream->input);
    size_t head = length < LUA_STREAM_HEAD ? length : LUA_STREAM_HEAD;
    lua_pushnumber(L, (lua_Number) length);
    lua_setfield(L, -2, "buffered");
    lua_pushlstring(L, head > 0 ? buffer_data(&stream->input) : "", head);
    lua_setfield(L, -2, "head");
    lua_pushnumber(L, (lua_Number) outqueue_length(&stream->output));
    lua_setfield(L, -2, "queued");
}

static void push_stream(lua_State *L, const struct stream *stream)
{
    struct lua_stream *box = stream_owner(stream);
    lua_createtable(L, 0, 10);
    lua_pushinteger(L, (lua_Integer) stream->id);
    lua_setfield(L, -2, "id");
    if (box) {
        lua_pushstring(L, lua_stream_peer(box));
        lua_setfield(L, -2, "peer");
    }
    lua_pushstring(L, stream->transport->class->name);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, lua_stream_phase(stream));
    lua_setfield(L, -2, "state");
    lua_pushboolean(L, stream->reading);
    lua_setfield(L, -2, "reading");
    if (box && box->read) {
        lua_pushstring(L, box->read->class->name);
        lua_setfield(L, -2, "operation");
    }
    lua_stream_set_fields(L, stream);
}

/* weir.streams(): every stream that is not closed, as a list of tables. */
static int weir_streams(lua_State *L)
{
    struct list *streams = &task_loop()->streams;
    int count = 0;
    bool worked = collector_hold();
    lua_newtable(L);
    for (struct list *link = streams->next; link != streams;
         link = link->next) {
        struct stream *stream = list_entry(link, struct stream, link);
        if (stream->phase == STREAM_CLOSED)
            continue;
        push_stream(L, stream);
        lua_rawseti(L, -2, ++count);
    }
    collector_go_on(worked);
    return 1;
}

void lua_streams_open(lua_State *L)
{
    lua_pushcfunction(L, weir_streams);
    lua_setfield(L, -2, "streams");
}
