/* Forwards bytes between two connections, 64 KiB at a time each way; what
 * one side does not take holds the other back. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services.h"

struct proxy;

/* One direction. */
struct pipe {
    ev_io reader, writer;
    struct proxy *proxy;
    size_t size, done;
    bool ended;
    char data[PEER_CHUNK];
};

struct proxy {
    struct pipe there, back;
};

static void proxy_close(struct proxy *proxy)
{
    struct pipe *pipes[] = {&proxy->there, &proxy->back};

    for (int i = 0; i < 2; i++) {
        ev_io_stop(EV_DEFAULT_UC_ &pipes[i]->reader);
        ev_io_stop(EV_DEFAULT_UC_ &pipes[i]->writer);
    }
    close(proxy->there.reader.fd);
    close(proxy->back.reader.fd);
    free(proxy);
}

/* False: the proxy is gone. */
static bool pipe_drain(struct pipe *pipe)
{
    ssize_t sent = send(pipe->writer.fd, pipe->data + pipe->done,
                        pipe->size - pipe->done, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN) {
        proxy_close(pipe->proxy);
        return false;
    }
    pipe->done += sent > 0 ? (size_t)sent : 0;
    if (pipe->done < pipe->size) {
        ev_io_stop(EV_DEFAULT_UC_ &pipe->reader);
        ev_io_start(EV_DEFAULT_UC_ &pipe->writer);
    }
    return true;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    struct pipe *pipe = io->data;
    ssize_t got = recv(io->fd, pipe->data, sizeof pipe->data, 0);

    (void)events;
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        ev_io_stop(loop, io);
        pipe->ended = true;
        shutdown(pipe->writer.fd, SHUT_WR);
        if (got < 0 || (pipe->proxy->there.ended && pipe->proxy->back.ended))
            proxy_close(pipe->proxy);
        return;
    }
    pipe->size = (size_t)got;
    pipe->done = 0;
    pipe_drain(pipe);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
    struct pipe *pipe = io->data;

    (void)events;
    if (!pipe_drain(pipe) || pipe->done < pipe->size)
        return;
    ev_io_stop(loop, io);
    ev_io_start(loop, &pipe->reader);
}

static void pipe_start(struct pipe *pipe, struct proxy *proxy, int from,
                       int to)
{
    pipe->proxy = proxy;
    pipe->reader.data = pipe->writer.data = pipe;
    ev_io_init(&pipe->reader, on_readable, from, EV_READ);
    ev_io_init(&pipe->writer, on_writable, to, EV_WRITE);
    ev_io_start(EV_DEFAULT_UC_ &pipe->reader);
}

void proxy_new(int fd, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct proxy *proxy = calloc(1, sizeof *proxy);

    if (!proxy || upstream < 0 ||
        (connect(upstream, (struct sockaddr *)&address, sizeof address) < 0 &&
         errno != EINPROGRESS))
        abort();
    pipe_start(&proxy->there, proxy, fd, upstream);
    pipe_start(&proxy->back, proxy, upstream, fd);
}
