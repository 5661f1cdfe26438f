/* The bare C server: `server SERVICE PORT [FILE | UPSTREAM]`, with BENCH_CERT
 * and BENCH_KEY in the environment for TLS. It listens on 127.0.0.1. PORT may
 * be fd:N, a socket that listens already. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "services.h"

static const struct service *const services[] = {
    &lines_service, &frames_service, &bulk_service,
    &until_service, &source_service, &file_service,
};

static const struct service *service; /* NULL: the proxy */
static SSL_CTX *context;              /* NULL: plain */
static int upstream;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
    int on = 1, fd;

    (void)loop, (void)events;
    while ((fd = accept4(io->fd, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        SSL *tls = NULL;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!service) {
            proxy_new(fd, upstream);
            continue;
        }
        if (context) {
            tls = SSL_new(context);
            SSL_set_fd(tls, fd);
            SSL_set_accept_state(tls);
        }
        peer_new(fd, tls, service);
    }
}

static int listen_on(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1;

    if (strncmp(port, "fd:", 3) == 0) {
        int given = atoi(port + 3);
        fcntl(given, F_SETFL, O_NONBLOCK);
        return given;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        die(port);
    return fd;
}

static void make_context(const char *cert, const char *key)
{
    context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_use_certificate_file(context, cert,
                                                 SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        die(cert);
    SSL_CTX_set_read_ahead(context, 1); /* else each record takes two reads */
    SSL_CTX_set_session_id_context(context, (const void *)"bench", 5);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: server SERVICE PORT [FILE | UPSTREAM]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i]->name, argv[1]) == 0)
            service = services[i];
    if (service == &source_service && argc > 3)
        source_open(argv[3]);
    if (service == &file_service && argc > 3)
        file_open(argv[3]);
    if (!service)
        upstream = atoi(argv[argc - 1]);
    if (getenv("BENCH_CERT"))
        make_context(getenv("BENCH_CERT"), getenv("BENCH_KEY"));
    signal(SIGPIPE, SIG_IGN);

    struct ev_loop *loop = ev_default_loop(0);
    ev_io acceptor;
    ev_io_init(&acceptor, on_connection, listen_on(argv[2]), EV_READ);
    ev_io_start(loop, &acceptor);
    ev_run(loop, 0);
    return 0;
}
