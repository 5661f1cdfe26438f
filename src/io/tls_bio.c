/* How records get from the descriptor to OpenSSL and back.
 *
 * All connections share two blocks of memory: what one system call has
 * brought, and what the next one is to send. They are in use only between
 * tls_bio_begin and tls_bio_end; what is left in them then moves to the
 * connection's own buffers, which are empty nearly always. OpenSSL reads no
 * further than the record it is at, so nothing is left behind in it.
 *
 * OpenSSL is never told of an error or an end below it, because it takes
 * either as the end of both directions: it is told to try again later, and
 * tls.c looks at tls->eof, ->read_error and ->write_error. */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "io/tls_internal.h"

/* Per record of 16 KiB: header, type, tag; TLS 1.2's may need more, and then
 * the next system call brings the rest. */
#define OVERHEAD 32

#define SHARED(size) ((size) + ((size) / TLS_RECORD + 1) * OVERHEAD)

static struct {
    size_t start, end;
    char data[SHARED(65536)];
} received;

static struct {
    size_t length;
    char data[SHARED(TLS_GATHER)];
} gathered;

/* --- reading -------------------------------------------------------------- */

/* Sockets may be shared with other processes, whose blocking flag they have;
 * and a broken one is no reason for a signal. What is no socket says so. */
static bool is_socket(struct tls *tls, ssize_t result)
{
    if (result < 0 && errno == ENOTSOCK)
        tls->socketless = true;
    return !tls->socketless;
}

static ssize_t take_in(struct tls *tls, void *data, size_t size)
{
    int fd = tls->transport.fd;
    ssize_t got = -1;
    if (!tls->socketless)
        got = recv(fd, data, size, MSG_DONTWAIT);
    return is_socket(tls, got) ? got : read(fd, data, size);
}

static ssize_t put_out(struct tls *tls, const void *data, size_t size)
{
    int fd = tls->transport.fd;
    ssize_t sent = -1;
    if (!tls->socketless)
        sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return is_socket(tls, sent) ? sent : write(fd, data, size);
}

/* One system call; true if it brought something. */
static bool receive(struct tls *tls, size_t asked)
{
    struct transport *transport = &tls->transport;
    if (tls->eof || tls->read_error || transport->drained)
        return false;
    size_t size = SHARED(tls->limit);
    if (size < asked)
        size = asked;
    if (size > sizeof received.data)
        size = sizeof received.data;
    ssize_t got;
    do
        got = take_in(tls, received.data, size);
    while (got < 0 && errno == EINTR);
    transport->drained = got < (ssize_t) size;
    received.start = 0;
    received.end = got > 0 ? (size_t) got : 0;
    if (got == 0 && transport->reset)
        tls->read_error = transport->reset;
    else if (got == 0)
        tls->eof = true;
    else if (got < 0 && !error_would_block(errno))
        tls->read_error = errno;
    return got > 0;
}

/* OpenSSL looks at what came when it is as long as a record's header, which a
 * peer that speaks something else may never send. A record begins with 20 to
 * 23 (RFC 8446, 5.1), SSLv2's hello with its highest bit set. */
static void greet(struct tls *tls, unsigned char first)
{
    tls->greeted = true;
    tls->foreign = (first < 20 || first > 23) && first < 0x80;
}

static int bio_read(BIO *bio, char *data, int size)
{
    struct tls *tls = BIO_get_data(bio);
    size_t wanted = size > 0 ? (size_t) size : 0;
    BIO_clear_retry_flags(bio);
    tls->starved = false;
    size_t there = buffer_length(&tls->input);
    if (there > 0) {
        wanted = wanted < there ? wanted : there;
        memcpy(data, buffer_data(&tls->input), wanted);
        if (!tls->greeted && wanted > 0)
            greet(tls, (unsigned char) data[0]);
        buffer_consume(&tls->input, wanted);
        return (int) wanted;
    }
    if (received.start == received.end && !receive(tls, wanted)) {
        BIO_set_retry_read(bio);
        tls->starved = true;
        return -1;
    }
    there = received.end - received.start;
    wanted = wanted < there ? wanted : there;
    memcpy(data, received.data + received.start, wanted);
    if (!tls->greeted && wanted > 0)
        greet(tls, (unsigned char) data[0]);
    received.start += wanted;
    return (int) wanted;
}

/* --- writing -------------------------------------------------------------- */

/* What was written waits for the descriptor. */
static void keep(struct tls *tls)
{
    buffer_append(&tls->output, gathered.data, gathered.length);
    gathered.length = 0;
    tls->transport.unsent = buffer_length(&tls->output) > 0;
}

/* It always takes everything. */
static int bio_write(BIO *bio, const char *data, int size)
{
    struct tls *tls = BIO_get_data(bio);
    size_t length = size > 0 ? (size_t) size : 0;
    if (length > sizeof gathered.data - gathered.length)
        keep(tls);
    if (length > sizeof gathered.data) {
        buffer_append(&tls->output, data, length);
        return size;
    }
    memcpy(gathered.data + gathered.length, data, length);
    gathered.length += length;
    return size;
}

/* What the descriptor took of it. */
static size_t send_bytes(struct tls *tls, const char *data, size_t size)
{
    size_t done = 0;
    while (done < size && !tls->write_error) {
        ssize_t sent = put_out(tls, data + done, size - done);
        if (sent >= 0) {
            done += (size_t) sent;
            /* The rest would not fit either. */
            if (sent == 0 || done < size)
                break;
        } else if (error_would_block(errno)) {
            break;
        } else if (errno != EINTR) {
            tls->write_error = errno;
            transport_note_loss(&tls->transport, errno);
        }
    }
    return done;
}

void tls_bio_send(struct tls *tls)
{
    if (buffer_length(&tls->output) > 0) {
        keep(tls);
        size_t sent = send_bytes(tls, buffer_data(&tls->output),
                                 buffer_length(&tls->output));
        if (sent > 0)
            buffer_consume(&tls->output, sent);
    } else if (gathered.length > 0) {
        size_t sent = send_bytes(tls, gathered.data, gathered.length);
        buffer_append(&tls->output, gathered.data + sent,
                      gathered.length - sent);
        gathered.length = 0;
    }
    if (tls->write_error)
        buffer_free(&tls->output);
    tls->transport.unsent = buffer_length(&tls->output) > 0;
}

void *tls_made(void *object)
{
    if (object)
        return object;
    fputs("weir: OpenSSL is out of memory\n", stderr);
    abort();
}

void tls_must(int done)
{
    static char nothing;
    tls_made(done == 1 ? &nothing : NULL);
}

/* --- the BIO -------------------------------------------------------------- */

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void) bio, (void) number, (void) pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static BIO_METHOD *method(void)
{
    static BIO_METHOD *made;
    if (made)
        return made;
    made = tls_made(
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir"));
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
}

struct tls *tls_of_ssl(const SSL *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}

BIO *tls_bio_new(struct tls *tls)
{
    BIO *bio = tls_made(BIO_new(method()));
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

void tls_bio_begin(struct tls *tls, size_t limit)
{
    tls->limit = limit;
    tls->starved = false;
    received.start = received.end = gathered.length = 0;
}

void tls_bio_discard(void)
{
    gathered.length = 0;
}

bool tls_bio_more(const struct tls *tls)
{
    return received.start < received.end || buffer_length(&tls->input) > 0;
}

bool tls_bio_written(void)
{
    return gathered.length > 0;
}

void tls_bio_end(struct tls *tls)
{
    buffer_append(&tls->input, received.data + received.start,
                  received.end - received.start);
    received.start = received.end = 0;
    keep(tls);
}
