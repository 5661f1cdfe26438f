/* What streams are called, and what their messages say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "lua/lua_stream.h"

const char *lua_stream_target(const struct lua_stream *box, char *text,
                              size_t size)
{
    const char *peer = lua_stream_peer(box);
    if (peer)
        return peer;
    snprintf(text, size, "stream #%u", box->stream->id);
    return text;
}

void lua_stream_operation_target(struct operation *op, char *text, size_t size)
{
    const char *target = lua_stream_target(op->object, text, size);
    if (target != text)
        snprintf(text, size, "%s", target);
}

const char *lua_stream_phase(const struct stream *stream)
{
    switch (stream->phase) {
    case STREAM_IDLE:
        return "unconnected";
    case STREAM_CONNECTING:
        return "connecting";
    case STREAM_HANDSHAKE:
        return "handshaking";
    case STREAM_OPEN:
        break;
    case STREAM_FLUSHING:
    case STREAM_ENDING:
    case STREAM_DRAINING:
        return "closing";
    case STREAM_CLOSED:
        return "closed";
    }
    return stream->input_error == ERROR_EOF ? "peer ended" : "open";
}

void lua_stream_describe(struct stream *stream, char *text, size_t size)
{
    const struct lua_stream *box = stream_owner(stream);
    const char *peer = box ? lua_stream_peer(box) : NULL;
    snprintf(text, size, "stream #%u (%s%s%s, %s)", stream->id,
             stream->transport->class->name, peer ? " " : "", peer ? peer : "",
             lua_stream_phase(stream));
}

/* ": its length is 1195725856", for who expected another prefix. */
static void describe_frame(struct stream *stream, const char *name, char *text,
                           size_t size)
{
    uint64_t length;
    text[0] = '\0';
    if (strcmp(name, "read_frame") == 0 && stream->match.kind == MATCH_FRAME &&
        match_frame_length(&stream->match, buffer_data(&stream->input),
                           buffer_length(&stream->input), &length))
        snprintf(text, size, ": its length is %llu",
                 (unsigned long long) length);
}

char *lua_stream_message(struct lua_stream *box, const char *name, int error)
{
    char text[32], frame[48];
    struct stream *stream = box->stream;
    size_t left = buffer_length(&stream->input);
    const char *target = lua_stream_target(box, text, sizeof text);
    describe_frame(stream, name, frame, sizeof frame);
    if (error == ERROR_EOF && left > 0)
        return memory_format("%s %s: %s (%zu bytes stay in the buffer)", name,
                             target, error_text(error), left);
    if (error == EMSGSIZE)
        return memory_format("%s %s: it is longer than max (%zu bytes)%s", name,
                             target, stream->match.max, frame);
    bool writes = strcmp(name, "write") == 0 || strcmp(name, "send_file") == 0;
    if (error == ENOBUFS && writes)
        return memory_format(
            "%s %s: it does not fit into "
            "max_write_buffer_size (%llu bytes)",
            name, target,
            (unsigned long long) stream->kind->options.max_write_buffer_size);
    if (error == ENOBUFS)
        return memory_format("%s %s: it does not fit into max_buffer_size "
                             "(%zu bytes)%s",
                             name, target,
                             stream->kind->options.max_buffer_size, frame);
    return memory_join(name, " ", target, ": ", stream_reason(stream, error),
                       NULL);
}

int lua_stream_call_fail(lua_State *L, struct call *call,
                         struct lua_stream *box, int error)
{
    char *message = lua_stream_message(box, call->name, error);
    lua_pushstring(L, message);
    free(message);
    message = (char *) lua_tostring(L, -1);
    return call_fail(L, call, error, message);
}
