#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "io/tls_internal.h"
#include "io/tls_words.h"

/* What may pile up for a descriptor that takes nothing, before reading waits:
 * answers to KeyUpdate and the like, not what was written. */
#define UNSENT_MOST 65536

static struct tls *tls_of(const struct transport *transport)
{
    return (struct tls *) transport;
}

/* --- what OpenSSL says ---------------------------------------------------- */

static void keep_reason(struct tls *tls, char *words)
{
    free(tls->reason);
    tls->reason = words;
}

static bool is_verification(unsigned long error)
{
    return ERR_GET_LIB(error) == ERR_LIB_SSL &&
           ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

/* A server that has no certificate of its own, but only those of on_sni. */
static char *unserved_words(const struct tls *tls)
{
    if (!tls->name)
        return memory_format("no certificate for a client that names no "
                             "server");
    char *name = tls_printable(tls->name);
    char *words = memory_format("on_sni gave no context for %s", name);
    free(name);
    return words;
}

static bool is_unserved(const struct tls *tls, unsigned long error)
{
    int reason = ERR_GET_REASON(error);
    return tls->question == TLS_REFUSED ||
           (tls->server && !tls_context_serves(tls->context) &&
            (reason == SSL_R_NO_SHARED_CIPHER || /* of TLS 1.2 and 1.3: */
             reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM));
}

/* The first error in the queue is the cause of the others. */
static ssize_t openssl_failed(struct tls *tls)
{
    unsigned long error = ERR_peek_error();
    const char *ocsp = tls_ocsp_fault(tls->ssl);
    if (ocsp)
        keep_reason(tls, memory_format("%s", ocsp));
    else if (is_unserved(tls, error))
        keep_reason(tls, unserved_words(tls));
    else if (is_verification(error) && tls->verify_words)
        keep_reason(tls, memory_format("%s", tls->verify_words));
    else
        keep_reason(tls, tls_words(error));
    ERR_clear_error();
    tls->broken = true;
    return transport_fail(&tls->transport, ERROR_TLS);
}

static ssize_t truncated(struct tls *tls)
{
    if (!tls->established)
        keep_reason(tls, memory_format("the peer closed the connection "
                                       "during the TLS handshake"));
    return transport_fail(&tls->transport, ERROR_TRUNCATED);
}

/* OpenSSL waits for more from the descriptor, which may have nothing more to
 * give. */
static ssize_t starved(struct tls *tls)
{
    if (tls->foreign) {
        keep_reason(tls, memory_format("the peer does not speak TLS"));
        tls->broken = true;
        return transport_fail(&tls->transport, ERROR_TLS);
    }
    if (tls->read_error)
        return transport_fail(&tls->transport, tls->read_error);
    if (tls->eof)
        return truncated(tls);
    if (tls->write_error && !tls->established)
        return transport_fail(&tls->transport, tls->write_error);
    return IO_WANT_READ;
}

/* The one place that maps OpenSSL's answers to a transport's. A close_notify
 * that comes before the handshake is done is no end: nobody was verified. */
static ssize_t answer_of(struct tls *tls, int result)
{
    if (tls->starved) /* asking takes OpenSSL five hundred instructions */
        return starved(tls);
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_ZERO_RETURN:
        return tls->established ? IO_END : truncated(tls);
    case SSL_ERROR_WANT_READ:
        return starved(tls);
    case SSL_ERROR_WANT_WRITE:
        return IO_WANT_WRITE;
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        return IO_WANT_OWNER;
    default:
        return openssl_failed(tls);
    }
}

/* Clearing a queue that is empty takes OpenSSL a thousand instructions. */
static void clear_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static void begin(struct tls *tls, size_t limit)
{
    clear_errors();
    tls->transport.drained = false;
    tls_bio_begin(tls, limit);
}

/* Does the next read have an answer without the descriptor's help? */
static bool has_answer(const struct tls *tls)
{
    return buffer_length(&tls->input) > 0 || SSL_pending(tls->ssl) > 0 ||
           tls->eof || tls->read_error || tls->broken ||
           (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN);
}

static void end(struct tls *tls)
{
    struct transport *transport = &tls->transport;
    tls_bio_end(tls);
    transport->held = tls->established && has_answer(tls);
    if (transport->held)
        transport->drained = false;
}

/* --- reading -------------------------------------------------------------- */

static ssize_t tls_read(struct transport *transport, void *data, size_t size)
{
    struct tls *tls = tls_of(transport);
    size_t have = 0;
    ssize_t answer = IO_WANT_READ;
    if (tls->broken)
        return transport_fail(transport, ERROR_TLS);
    if (buffer_length(&tls->output) > UNSENT_MOST + tls->accepted) {
        transport->held = false;
        return IO_WANT_WRITE;
    }
    begin(tls, size);
    while (have < size) {
        size_t got;
        int result =
            SSL_read_ex(tls->ssl, (char *) data + have, size - have, &got);
        if (result != 1) {
            answer = answer_of(tls, result);
            break;
        }
        have += got;
        if (!tls_bio_more(tls) && SSL_pending(tls->ssl) == 0)
            break;
        tls->limit = size - have;
    }
    if (tls_bio_written())
        tls_bio_send(tls);
    end(tls);
    return have > 0 ? (ssize_t) have : answer;
}

/* --- writing -------------------------------------------------------------- */

/* One record's bytes from `offset` of the vector on: where they are, or
 * gathered from several pieces. */
static size_t gather(const struct iovec *vector, int count, size_t offset,
                     const char **data)
{
    static char record[TLS_RECORD];
    size_t have = 0;
    int i = 0;
    while (i < count && offset >= vector[i].iov_len)
        offset -= vector[i++].iov_len;
    if (i == count)
        return 0;
    *data = (const char *) vector[i].iov_base + offset;
    size_t length = vector[i].iov_len - offset;
    if (length >= TLS_RECORD || i == count - 1)
        return length < TLS_RECORD ? length : TLS_RECORD;
    for (; i < count && have < TLS_RECORD; i++, offset = 0) {
        size_t piece = vector[i].iov_len - offset;
        if (piece > TLS_RECORD - have)
            piece = TLS_RECORD - have;
        memcpy(record + have, (char *) vector[i].iov_base + offset, piece);
        have += piece;
    }
    *data = record;
    return have;
}

/* Makes records of what is in the vector, as many as leave at once: how many
 * bytes are in them; `*answer` says why there are no more. */
static size_t encrypt(struct tls *tls, const struct iovec *vector, int count,
                      ssize_t *answer)
{
    size_t done = 0;
    while (done < TLS_GATHER) {
        const char *data = NULL;
        size_t size = gather(vector, count, done, &data), written;
        if (size == 0)
            break;
        int result = SSL_write_ex(tls->ssl, data, size, &written);
        if (result != 1) {
            *answer = answer_of(tls, result);
            break;
        }
        done += written;
    }
    return done;
}

static size_t vector_length(const struct iovec *vector, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += vector[i].iov_len;
    return total;
}

/* Bytes count as written when their records have left, as the first ones of
 * the call after the one that took them: see transport.h on WANT. */
static ssize_t take_accepted(struct tls *tls, size_t total)
{
    size_t done = tls->accepted < total ? tls->accepted : total;
    tls->accepted -= done;
    return (ssize_t) done;
}

static ssize_t tls_write(struct transport *transport,
                         const struct iovec *vector, int count)
{
    struct tls *tls = tls_of(transport);
    size_t total = vector_length(vector, count);
    ssize_t answer = IO_WANT_WRITE;
    if (transport->unsent)
        tls_bio_send(tls);
    if (tls->write_error && total > 0)
        return transport_fail(transport, tls->write_error);
    if (transport->unsent)
        return IO_WANT_WRITE;
    if (total == 0 || tls->accepted > 0)
        return take_accepted(tls, total);
    if (tls->broken)
        return transport_fail(transport, ERROR_TLS);
    bool drained = transport->drained;
    begin(tls, 0);
    tls->accepted = encrypt(tls, vector, count, &answer);
    tls_bio_send(tls);
    end(tls);
    transport->drained = drained && !transport->held;
    if (tls->write_error)
        return transport_fail(transport, tls->write_error);
    if (tls->accepted == 0 || transport->unsent)
        return answer;
    return take_accepted(tls, total);
}

/* --- beginning and ending ------------------------------------------------- */

/* An alert or a hello that could not leave goes first. */
static ssize_t send_before(struct tls *tls)
{
    if (!tls->transport.unsent)
        return IO_END;
    tls_bio_send(tls);
    return tls->transport.unsent ? IO_WANT_WRITE : IO_END;
}

static ssize_t check_peer(struct tls *tls)
{
    if (tls->server || tls_peer_accepted(tls)) {
        tls->established = true;
        return IO_END;
    }
    /* Our Finished stays here: it would tell the server that all is well. */
    tls_bio_discard();
    keep_reason(tls, memory_format("%s", tls->verify_words));
    tls->broken = true;
    return transport_fail(&tls->transport, ERROR_TLS);
}

static ssize_t tls_handshake(struct transport *transport)
{
    struct tls *tls = tls_of(transport);
    if (send_before(tls) != IO_END)
        return IO_WANT_WRITE;
    begin(tls, TLS_RECORD);
    int result = SSL_do_handshake(tls->ssl);
    ssize_t answer = result == 1 ? check_peer(tls) : answer_of(tls, result);
    /* What follows the handshake (tickets) may leave with what is written
     * next. */
    if (answer != IO_END)
        tls_bio_send(tls);
    end(tls);
    if (answer == IO_WANT_READ && transport->unsent)
        return IO_WANT_WRITE;
    return answer;
}

static ssize_t tls_shutdown(struct transport *transport)
{
    struct tls *tls = tls_of(transport);
    bool drained = transport->drained;
    if (tls->established && !tls->broken &&
        !(SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)) {
        begin(tls, 0);
        if (SSL_shutdown(tls->ssl) < 0)
            ERR_clear_error();
        end(tls);
        transport->drained = drained && !transport->held;
    }
    send_before(tls);
    if (tls->write_error)
        return transport_fail(transport, tls->write_error);
    if (transport->unsent)
        return IO_WANT_WRITE;
    if (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)
        return IO_END;
    return transport_fail(transport, ENOTCONN); /* there is nothing to end */
}

static const char *tls_reason_of(const struct transport *transport)
{
    const struct tls *tls = tls_of(transport);
    bool ours =
        transport->error == ERROR_TLS || transport->error == ERROR_TRUNCATED;
    return ours ? tls->reason : NULL;
}

static void tls_free(struct transport *transport)
{
    struct tls *tls = tls_of(transport);
    SSL_free(tls->ssl);
    tls_context_release(tls->context);
    buffer_free(&tls->input);
    buffer_free(&tls->output);
    free(tls->reason);
    free(tls->verify_words);
    free(tls->name);
    free(tls->session_key);
    free(tls);
}

static const struct transport_class tls_class = {
    .name = "tls",
    .read = tls_read,
    .write = tls_write,
    .handshake = tls_handshake,
    .shutdown = tls_shutdown,
    .reason = tls_reason_of,
    .free = tls_free,
};

/* --- making one ----------------------------------------------------------- */

static char *copy_string(const char *string)
{
    return string ? memory_copy(string, strlen(string)) : NULL;
}

static struct tls *make(struct tls_context *context, int fd, bool server,
                        const struct tls_peer *peer)
{
    struct tls *tls = memory_new(sizeof *tls);
    tls->transport.class = &tls_class;
    tls->transport.fd = fd;
    tls->context = tls_context_retain(context);
    tls->server = server;
    tls->ssl = tls_made(SSL_new(context->ctx));
    BIO *bio = tls_bio_new(tls);
    SSL_set_bio(tls->ssl, bio, bio);
    buffer_append(&tls->input, peer->read, peer->read_size);
    tls->name = copy_string(peer->name);
    tls->session_key = copy_string(peer->session_key);
    return tls;
}

struct transport *tls_server(struct tls_context *context, int fd,
                             const struct tls_peer *peer)
{
    struct tls *tls = make(context, fd, true, peer);
    if (context->verify > TLS_VERIFY_NONE)
        tls_context_trust(context);
    tls_peer_setup(tls, context);
    SSL_set_accept_state(tls->ssl);
    return &tls->transport;
}

struct transport *tls_client(struct tls_context *context, int fd,
                             const struct tls_peer *peer)
{
    struct tls *tls = make(context, fd, false, peer);
    tls_context_trust(context);
    tls_peer_setup(tls, context);
    SSL_SESSION *session = tls_session_take(context, tls->session_key);
    if (session) {
        SSL_set_session(tls->ssl, session);
        SSL_SESSION_free(session);
    }
    clear_errors();
    SSL_set_connect_state(tls->ssl);
    return &tls->transport;
}

bool tls_is(const struct transport *transport)
{
    return transport->class == &tls_class;
}

/* --- a server's question -------------------------------------------------- */

const char *tls_asked_name(const struct transport *transport)
{
    return tls_of(transport)->name;
}

void tls_answer(struct transport *transport, struct tls_context *context,
                bool refuse)
{
    struct tls *tls = tls_of(transport);
    if (!tls_context_serves(context ? context : tls->context))
        refuse = true;
    tls->question = refuse ? TLS_REFUSED : TLS_ANSWERED;
    if (refuse || !context || context == tls->context)
        return;
    if (context->verify > TLS_VERIFY_NONE)
        tls_context_trust(context);
    SSL_set_SSL_CTX(tls->ssl, context->ctx);
    X509_VERIFY_PARAM_set1(SSL_get0_param(tls->ssl),
                           SSL_CTX_get0_param(context->ctx));
    tls_peer_setup(tls, context);
    SSL_set_min_proto_version(
        tls->ssl, (int) SSL_CTX_get_min_proto_version(context->ctx));
    SSL_set_max_proto_version(
        tls->ssl, (int) SSL_CTX_get_max_proto_version(context->ctx));
    tls_context_retain(context);
    tls_context_release(tls->context);
    tls->context = context;
}
