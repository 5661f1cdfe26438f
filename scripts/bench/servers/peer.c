#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_event(struct ev_loop *loop, ev_io *io, int events);

void peer_new(int fd, SSL *tls, const struct service *service)
{
    struct peer *peer = calloc(1, sizeof *peer);

    if (!peer)
        abort();
    peer->service = service;
    peer->tls = tls;
    ev_io_init(&peer->io, on_event, fd, EV_READ);
    ev_io_start(EV_DEFAULT_UC_ &peer->io);
}

/* A peer that said that it ends is told so too (RFC 8446, 6.1). */
void peer_close(struct peer *peer)
{
    ev_io_stop(EV_DEFAULT_UC_ &peer->io);
    if (peer->tls && (SSL_get_shutdown(peer->tls) & SSL_RECEIVED_SHUTDOWN))
        SSL_shutdown(peer->tls);
    SSL_free(peer->tls);
    close(peer->io.fd);
    free(peer->unsent);
    free(peer->held);
    free(peer->state);
    free(peer);
}

void peer_wait(struct peer *peer, int events)
{
    if ((peer->io.events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(EV_DEFAULT_UC_ &peer->io);
    ev_io_set(&peer->io, peer->io.fd, events);
    ev_io_start(EV_DEFAULT_UC_ &peer->io);
}

/* Sending what is left comes first; then input is looked at again. */
static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
    struct peer *peer = (struct peer *)io;

    (void)loop, (void)events;
    if (peer->unsent) {
        char *unsent = peer->unsent;
        uint32_t done = peer->unsent_done;
        uint32_t size = peer->unsent_size;

        peer->unsent = NULL;
        int error = peer_send(peer, unsent + done, size - done);
        free(unsent);
        if (error < 0) {
            peer_close(peer);
            return;
        }
        if (peer->unsent)
            return;
        peer_wait(peer, EV_READ);
    }
    if ((peer->io.events & EV_WRITE) && peer->service->writable)
        peer->service->writable(peer);
    else
        peer->service->readable(peer);
}

static ssize_t tls_result(struct peer *peer, int result)
{
    if (result > 0)
        return result;
    int error = SSL_get_error(peer->tls, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0
                                                                         : -1;
}

ssize_t peer_receive(struct peer *peer, void *data, size_t size)
{
    if (peer->tls)
        return tls_result(peer, SSL_read(peer->tls, data, (int)size));

    ssize_t got = recv(peer->io.fd, data, size, 0);
    if (got > 0)
        return got;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

ssize_t peer_transmit(struct peer *peer, const void *data, size_t size)
{
    if (peer->tls)
        return tls_result(peer, SSL_write(peer->tls, data, (int)size));

    ssize_t sent = send(peer->io.fd, data, size, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

bool peer_has_more(const struct peer *peer)
{
    return peer->tls && SSL_has_pending(peer->tls);
}

int peer_send(struct peer *peer, const void *data, size_t size)
{
    ssize_t sent = peer_transmit(peer, data, size);

    if (sent < 0)
        return -1;
    if ((size_t)sent == size)
        return 0;
    size -= (size_t)sent;
    peer->unsent = malloc(size);
    if (!peer->unsent)
        abort();
    memcpy(peer->unsent, (const char *)data + sent, size);
    peer->unsent_size = (uint32_t)size;
    peer->unsent_done = 0;
    peer_wait(peer, EV_WRITE);
    return 0;
}

/* Keeps the beginning of a message for the next event. */
static void hold(struct peer *peer, const char *data, size_t size)
{
    free(peer->held);
    peer->held = NULL;
    peer->held_size = (uint32_t)size;
    if (size == 0)
        return;
    peer->held = malloc(size);
    if (!peer->held)
        abort();
    memcpy(peer->held, data, size);
}

void peer_echo(struct peer *peer, peer_split *split)
{
    static char arrival[PEER_ARRIVAL];

    do {
        size_t size = peer->held_size;

        if (size > 0)
            memcpy(arrival, peer->held, size);
        ssize_t got = peer_receive(peer, arrival + size, PEER_CHUNK);
        if (got == 0)
            return;
        if (got < 0) {
            peer_close(peer);
            return;
        }
        size += (size_t)got;
        size_t whole = split(arrival, size);
        if (whole < size || peer->held)
            hold(peer, arrival + whole, size - whole);
        if (peer->held_size > PEER_CHUNK ||
            (whole > 0 && peer_send(peer, arrival, whole) < 0)) {
            peer_close(peer);
            return;
        }
    } while (!peer->unsent && peer_has_more(peer));
}
