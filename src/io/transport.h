/* Moves bytes between a descriptor and memory: plainly, through TLS, or with
 * faults injected. A transport knows no loop: it says what to wait for.
 *
 * Every call answers with a count of bytes > 0 or one of enum io_answer. */
#ifndef WEIR_TRANSPORT_H
#define WEIR_TRANSPORT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum io_answer {
    IO_END = 0,         /* read: the peer ended; else: done */
    IO_WANT_READ = -1,  /* call again when the descriptor is readable */
    IO_WANT_WRITE = -2, /* … writable */
    IO_FAILED = -3,     /* `error` says why; see base/error.h */
    IO_WANT_OWNER = -4  /* handshake: call again when the owner of the stream
                           has answered a question (a server's on_sni) */
};

struct transport {
    const struct transport_class *class;
    int fd;
    int16_t error;    /* after IO_FAILED */
    uint8_t reset;    /* the lost connection that a write met first */
    bool drained : 1; /* the last read emptied the descriptor: another one now
                         would only say IO_WANT_READ */
    bool drains : 1;  /* plain: a short read means empty (not on terminals) */
    bool held : 1;    /* the next read has an answer although the descriptor
                         may have none: it is here already */
    bool corked : 1;  /* tcp: a file is under way in whole segments */
    bool unsent : 1;  /* bytes are here that the descriptor has not taken:
                         write, with nothing if there is nothing, when it is
                         writable */
};

struct transport_class {
    const char *name; /* "tcp", "unix", "tls", … for tostring */

    ssize_t (*read)(struct transport *, void *data, size_t size);

    /* May write less than all; IO_END when there was nothing to write. After a
     * WANT answer the next call starts with the same bytes, though they may
     * have moved, or be fewer. */
    ssize_t (*write)(struct transport *, const struct iovec *, int count);

    /* sendfile(2) of `size` bytes, the first of the `left` that are to go;
     * it refuses some pairs of descriptors (EINVAL, ENOSYS). NULL where there
     * is none. */
    ssize_t (*send_file)(struct transport *, int fd, off_t *offset, size_t size,
                         uint64_t left);

    /* IO_END when the connection is set up; NULL if there is nothing to do. */
    ssize_t (*handshake)(struct transport *);

    /* Ends our side (FIN, close_notify); IO_END when that is done. */
    ssize_t (*shutdown)(struct transport *);

    /* The words behind ERROR_TLS and the like; NULL: error_text will do. */
    const char *(*reason)(const struct transport *);

    /* Frees the transport, never the descriptor. NULL: nothing to free. */
    void (*free)(struct transport *);
};

/* A write failed. The kernel tells about a lost connection once, to whoever
 * asks first: `reset` keeps it for the reads. EPIPE says nothing about reading,
 * it comes after the peer's FIN, too. */
static inline void transport_note_loss(struct transport *transport, int error)
{
    if (error == ECONNRESET || error == ETIMEDOUT || error == EHOSTUNREACH ||
        error == ENETUNREACH)
        transport->reset = (uint8_t) error;
}

static inline ssize_t transport_fail(struct transport *transport, int error)
{
    transport->error = (int16_t) error;
    return IO_FAILED;
}

#endif
