/* The trace: a line for each thing that happens on the wire, for people and
 * for grep (doc/reference/tracing.md).
 *
 *   0.000912 #1   > 18 "GET / HTTP/1.0\r\n\r\n"
 *
 * While nobody traces loop->trace is NULL and nothing here does anything;
 * what every connection comes by, or every piece of data, asks that before.
 * Each line is written at once. */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define TRACE_BYTES 512 /* of data in one line, unless told otherwise */

struct datagram;
struct listener;
struct loop;
struct net_address;
struct stream;
struct trace;

/* Traces may go into the file `path`, which is emptied, or to standard error
 * if that is NULL; of data the first `bytes` are shown, times are since this
 * call. False with errno set. */
bool trace_open(struct loop *loop, const char *path, size_t bytes);
/* Turns it on, and off. */
void trace_set(struct loop *loop, bool on);
void trace_free(struct loop *loop);

/* One line about `who` ("#1"): `mark` is '>' for what is sent, '<' for what is
 * received, '*' for all else. */
void trace_note(struct loop *loop, const char *who, char mark,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
void trace_vnote(struct loop *loop, const char *who, char mark,
                 const char *format, va_list arguments);
/* How many of `size` bytes of data a line shows. */
size_t trace_shown(const struct loop *loop, size_t size);
/* One line about the first `size` bytes of a vector, of which those that are
 * shown must be there. `peer`: "to 192.0.2.1:53", or NULL. */
void trace_data(struct loop *loop, const char *who, char mark, const char *peer,
                const struct iovec *vector, size_t size);

/* --- streams -------------------------------------------------------------- */

void trace_stream(const struct stream *stream, char mark, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));
/* "(ECONNRESET: Connection reset by peer)" */
void trace_stream_error(const struct stream *stream, char mark,
                        const char *what, int error);
/* Before it is open: `fd` is to be its descriptor. */
void trace_opened(const struct stream *stream, int fd);
void trace_received(const struct stream *stream, const void *data, size_t size);
void trace_sent(const struct stream *stream, const struct iovec *vector,
                size_t size);
/* `size` bytes of the file `fd` from `offset`. */
void trace_sent_file(const struct stream *stream, int fd, off_t offset,
                     size_t size);
/* The peer's side ended, with ERROR_EOF or an error; ours did, as close does
 * it. */
void trace_input_ended(const struct stream *stream, int error);
void trace_output_ended(const struct stream *stream);
/* A handshake begins. */
void trace_handshake(const struct stream *stream);
/* The descriptor is about to be closed. */
void trace_closed(const struct stream *stream);

/* --- connects, by the id of the stream ------------------------------------ */

void trace_connecting(struct loop *loop, unsigned id,
                      const struct net_address *address);
/* `error` 0: it is not needed any more. */
void trace_not_connected(struct loop *loop, unsigned id,
                         const struct net_address *address, int error);

/* --- listeners and datagram sockets --------------------------------------- */

void trace_listener(const struct listener *listener, const char *event);
void trace_not_accepted(const struct listener *listener, int error);

void trace_datagram(const struct datagram *datagram, const char *event);
/* `error` 0: it was sent, or received (datagram->packet). */
void trace_datagram_sent(const struct datagram *datagram, const void *data,
                         size_t size, const struct net_address *address,
                         int error);
void trace_datagram_received(const struct datagram *datagram, int error);

#endif
