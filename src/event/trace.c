/* How a line of the trace is made, and where it goes. */
#include "event/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/escape.h"
#include "base/memory.h"
#include "event/loop.h"

struct trace {
    struct loop *loop;
    char *path; /* NULL: standard error */
    int fd;
    double began; /* loop_clock */
    size_t bytes; /* of data that a line shows */
    struct buffer line;
};

/* --- the file ------------------------------------------------------------- */

bool trace_open(struct loop *loop, const char *path, size_t bytes)
{
    int fd = STDERR_FILENO;
    if (path)
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
                  0666);
    if (fd < 0)
        return false;
    struct trace *trace = memory_new(sizeof *trace);
    trace->loop = loop;
    trace->path = path ? memory_copy(path, strlen(path)) : NULL;
    trace->fd = fd;
    trace->began = loop_clock();
    trace->bytes = bytes;
    loop->tracer = trace;
    return true;
}

void trace_set(struct loop *loop, bool on)
{
    loop->trace = on ? loop->tracer : NULL;
}

void trace_free(struct loop *loop)
{
    struct trace *trace = loop->tracer;
    loop->trace = loop->tracer = NULL;
    if (!trace)
        return;
    if (trace->path)
        close(trace->fd);
    free(trace->path);
    free(trace);
}

/* A program is not worth less because its trace has no room. */
static void give_up(struct trace *trace)
{
    trace->loop->trace = NULL;
    if (trace->path)
        fprintf(stderr, "weir: trace %s: %s; it ends here\n", trace->path,
                strerror(errno));
}

/* All of it, also when others who share the descriptor made it
 * non-blocking. */
static void write_line(struct trace *trace)
{
    struct pollfd output = {.fd = trace->fd, .events = POLLOUT};
    while (buffer_length(&trace->line) > 0) {
        ssize_t count = write(trace->fd, buffer_data(&trace->line),
                              buffer_length(&trace->line));
        if (count >= 0) {
            buffer_consume(&trace->line, (size_t) count);
        } else if (errno == EAGAIN) {
            poll(&output, 1, -1);
        } else if (errno != EINTR) {
            give_up(trace);
            buffer_free(&trace->line);
        }
    }
}

/* --- the line ------------------------------------------------------------- */

static void add_text(struct trace *trace, const char *text)
{
    buffer_append(&trace->line, text, strlen(text));
}

static void add_escaped(struct trace *trace, const char *data, size_t size)
{
    char *to = buffer_reserve(&trace->line, size * ESCAPE_MOST), *end = to;
    for (size_t i = 0; i < size; i++)
        end += escape_byte(end, (unsigned char) data[i]);
    buffer_commit(&trace->line, (size_t) (end - to));
}

/* Words may quote what came from outside: it is still one line. */
static void add_words(struct trace *trace, const char *words)
{
    for (; *words; words++) {
        if (*words == '"' || *words == '\\')
            buffer_append(&trace->line, words, 1);
        else
            add_escaped(trace, words, 1);
    }
}

static void begin_line(struct trace *trace, const char *who, char mark)
{
    char head[64];
    snprintf(head, sizeof head, "%10.6f %-4s %c ", loop_clock() - trace->began,
             who, mark);
    add_text(trace, head);
}

static void end_line(struct trace *trace)
{
    add_text(trace, "\n");
    write_line(trace);
}

void trace_vnote(struct loop *loop, const char *who, char mark,
                 const char *format, va_list arguments)
{
    char words[1024];
    if (!loop->trace)
        return;
    vsnprintf(words, sizeof words, format, arguments);
    begin_line(loop->trace, who, mark);
    add_words(loop->trace, words);
    end_line(loop->trace);
}

void trace_note(struct loop *loop, const char *who, char mark,
                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    trace_vnote(loop, who, mark, format, arguments);
    va_end(arguments);
}

size_t trace_shown(const struct loop *loop, size_t size)
{
    return size < loop->trace->bytes ? size : loop->trace->bytes;
}

void trace_data(struct loop *loop, const char *who, char mark, const char *peer,
                const struct iovec *vector, size_t size)
{
    struct trace *trace = loop->trace;
    char words[256];
    if (!trace)
        return;
    size_t left = trace_shown(loop, size);
    begin_line(trace, who, mark);
    snprintf(words, sizeof words, "%zu%s%s \"", size, peer ? " " : "",
             peer ? peer : "");
    add_text(trace, words);
    for (size_t rest = left; rest > 0; vector++) {
        size_t piece = vector->iov_len < rest ? vector->iov_len : rest;
        add_escaped(trace, vector->iov_base, piece);
        rest -= piece;
    }
    add_text(trace, "\"");
    if (left < size) {
        snprintf(words, sizeof words, "... %zu more", size - left);
        add_text(trace, words);
    }
    end_line(trace);
}
