/* What the lines of the trace say. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/datagram.h"
#include "event/listener.h"
#include "event/stream.h"
#include "event/trace.h"

enum { NAME = 16 }; /* room for what a line is about */

static const char *name_of(unsigned id, char *name)
{
    snprintf(name, NAME, "#%u", id);
    return name;
}

/* --- streams -------------------------------------------------------------- */

void trace_stream(const struct stream *stream, char mark, const char *format,
                  ...)
{
    char name[NAME];
    va_list arguments;
    va_start(arguments, format);
    trace_vnote(stream_loop(stream), name_of(stream->id, name), mark, format,
                arguments);
    va_end(arguments);
}

void trace_stream_error(const struct stream *stream, char mark,
                        const char *what, int error)
{
    trace_stream(stream, mark, "%s (%s: %s)", what, error_code(error),
                 stream_reason(stream, error));
}

void trace_opened(const struct stream *stream, int fd)
{
    struct net_address address;
    char local[NET_TEXT] = "", peer[NET_TEXT] = "";
    if (!stream_loop(stream)->trace)
        return;
    if (net_local_address(fd, &address))
        net_format(&address, local, sizeof local);
    if (net_peer_address(fd, &address))
        net_format(&address, peer, sizeof peer);
    if (stream->kind->options.listener)
        trace_stream(stream, '*', "accepted %s <- %s", local, peer);
    else if (stream->phase == STREAM_CONNECTING)
        trace_stream(stream, '*', "connected %s -> %s", local, peer);
    else if (peer[0] && strcmp(peer, "unix:") != 0)
        trace_stream(stream, '*', "opened fd %d (%s -> %s)", fd, local, peer);
    else
        trace_stream(stream, '*', "opened fd %d (%s)", fd,
                     stream->transport->class->name);
}

void trace_received(const struct stream *stream, const void *data, size_t size)
{
    char name[NAME];
    struct iovec vector = {(void *) data, size};
    trace_data(stream_loop(stream), name_of(stream->id, name), '<', NULL,
               &vector, size);
}

void trace_sent(const struct stream *stream, const struct iovec *vector,
                size_t size)
{
    char name[NAME];
    trace_data(stream_loop(stream), name_of(stream->id, name), '>', NULL,
               vector, size);
}

/* The kernel took the bytes from the file; here they are read once more. */
void trace_sent_file(const struct stream *stream, int fd, off_t offset,
                     size_t size)
{
    size_t shown = trace_shown(stream_loop(stream), size);
    char *data = memory_new(shown);
    struct iovec vector = {data, shown};
    if (pread(fd, data, shown, offset) == (ssize_t) shown)
        trace_sent(stream, &vector, size);
    else
        trace_stream(stream, '>', "%zu (of a file that has changed)", size);
    free(data);
}

/* What the peer sees of an end, and we of its. */
static const char *end_of(const struct stream *stream)
{
    const char *kind = stream->transport->class->name;
    if (strcmp(kind, "tcp") == 0 || stream->phase == STREAM_DRAINING)
        return "end (FIN)";
    return strcmp(kind, "tls") == 0 ? "end (close_notify)" : "end";
}

void trace_handshake(const struct stream *stream)
{
    trace_stream(stream, '*', "%s handshake begins",
                 stream->transport->class->name);
}

void trace_input_ended(const struct stream *stream, int error)
{
    if (error == ERROR_EOF)
        trace_stream(stream, '<', "%s", end_of(stream));
    else
        trace_stream_error(stream, '<', "error", error);
}

void trace_output_ended(const struct stream *stream)
{
    trace_stream(stream, '>', "%s", end_of(stream));
}

void trace_closed(const struct stream *stream)
{
    const char *what = stream->reset ? "aborted" : "closed";
    if (stream->over_error)
        trace_stream_error(stream, '*', what, stream->over_error);
    else
        trace_stream(stream, '*', "%s", what);
}

/* --- connects ------------------------------------------------------------- */

void trace_connecting(struct loop *loop, unsigned id,
                      const struct net_address *address)
{
    char name[NAME], text[NET_TEXT];
    trace_note(loop, name_of(id, name), '*', "connecting to %s",
               net_format(address, text, sizeof text));
}

void trace_not_connected(struct loop *loop, unsigned id,
                         const struct net_address *address, int error)
{
    char name[NAME], text[NET_TEXT];
    net_format(address, text, sizeof text);
    if (error)
        trace_note(loop, name_of(id, name), '*', "not connected to %s (%s: %s)",
                   text, error_code(error), error_text(error));
    else
        trace_note(loop, name_of(id, name), '*',
                   "not connected to %s (given up)", text);
}

/* --- listeners ------------------------------------------------------------ */

void trace_listener(const struct listener *listener, const char *event)
{
    char text[NET_TEXT];
    trace_note(listener->loop, "-", '*', "%s %s", event,
               net_format(&listener->address, text, sizeof text));
}

void trace_not_accepted(const struct listener *listener, int error)
{
    char text[NET_TEXT];
    trace_note(listener->loop, "-", '*', "nobody accepted on %s (%s: %s)",
               net_format(&listener->address, text, sizeof text),
               error_code(error), error_text(error));
}

/* --- datagram sockets ----------------------------------------------------- */

static const char *datagram_name(const struct datagram *datagram, char *name)
{
    snprintf(name, NAME, "udp%u", datagram->id);
    return name;
}

void trace_datagram(const struct datagram *datagram, const char *event)
{
    struct net_address address;
    char name[NAME], local[NET_TEXT] = "", peer[NET_TEXT] = "";
    if (!datagram->loop->trace)
        return;
    if (net_local_address(datagram->fd, &address))
        net_format(&address, local, sizeof local);
    if (net_peer_address(datagram->fd, &address))
        net_format(&address, peer, sizeof peer);
    trace_note(datagram->loop, datagram_name(datagram, name), '*', "%s %s%s%s",
               event, local, peer[0] ? " -> " : "", peer);
}

static void datagram_data(const struct datagram *datagram, char mark,
                          const struct net_address *address, const void *data,
                          size_t size)
{
    char name[NAME], text[NET_TEXT], peer[NET_TEXT + 8];
    struct iovec vector = {(void *) data, size};
    net_format(address, text, sizeof text);
    snprintf(peer, sizeof peer, "%s %s", mark == '>' ? "to" : "from", text);
    trace_data(datagram->loop, datagram_name(datagram, name), mark,
               text[0] ? peer : NULL, &vector, size);
}

static void datagram_error(const struct datagram *datagram, char mark,
                           int error)
{
    char name[NAME];
    trace_note(datagram->loop, datagram_name(datagram, name), mark,
               "error (%s: %s)", error_code(error), error_text(error));
}

void trace_datagram_sent(const struct datagram *datagram, const void *data,
                         size_t size, const struct net_address *address,
                         int error)
{
    struct net_address peer = {0};
    if (!datagram->loop->trace)
        return;
    if (!address && net_peer_address(datagram->fd, &peer))
        address = &peer;
    if (error)
        datagram_error(datagram, '>', error);
    else
        datagram_data(datagram, '>', address ? address : &peer, data, size);
}

void trace_datagram_received(const struct datagram *datagram, int error)
{
    if (!datagram->loop->trace)
        return;
    if (error)
        datagram_error(datagram, '<', error);
    else
        datagram_data(datagram, '<', &datagram->packet.from,
                      datagram->loop->scratch, datagram->packet.size);
}
