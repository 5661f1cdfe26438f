#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

static SSL_CTX *context;

void link_use_tls(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context ||
        !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION))
        fail("OpenSSL does not start");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
}

SSL_CTX *link_context(void)
{
    return context;
}

static struct sockaddr_in loopback(int port, uint32_t host)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr = {htonl(host)}};
}

/* Successive connections come from 127.0.0.1 to 127.0.0.100: one address has
 * too few ports for the handshakes of a run. */
static int dial(int port)
{
    static unsigned turn;
    struct sockaddr_in to = loopback(port, INADDR_LOOPBACK);
    struct sockaddr_in from = loopback(0, INADDR_LOOPBACK + turn++ % 100);
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        fail("bind: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int link_dial(int port)
{
    int fd = dial(port);

    if (fd < 0)
        fail("connect to port %d: %s", port, strerror(errno));
    return fd;
}

void link_adopt(struct link *link, int fd)
{
    link->fd = fd;
    link->tls = NULL;
    if (!context)
        return;
    link->tls = SSL_new(context);
    SSL_set_fd(link->tls, fd);
    SSL_set_connect_state(link->tls);
}

void link_open(struct link *link, int port)
{
    link_adopt(link, link_dial(port));
    if (link->tls && SSL_do_handshake(link->tls) != 1)
        fail("the TLS handshake failed");
}

void link_unblock(struct link *link)
{
    fcntl(link->fd, F_SETFL, O_NONBLOCK);
}

void link_close(struct link *link)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    SSL_free(link->tls);
    setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(link->fd);
}

void link_finish(struct link *link)
{
    if (link->tls)
        SSL_shutdown(link->tls);
    SSL_free(link->tls);
    close(link->fd);
}

static size_t tls_result(struct link *link, int result, const char *what)
{
    if (result > 0)
        return (size_t)result;
    int error = SSL_get_error(link->tls, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        fail("%s over TLS: error %d", what, error);
    return 0;
}

size_t link_receive(struct link *link, void *data, size_t size)
{
    if (link->tls)
        return tls_result(link, SSL_read(link->tls, data, (int)size),
                          "receiving");
    ssize_t got = recv(link->fd, data, size, 0);
    if (got == 0)
        fail("the server closed the connection");
    if (got < 0 && errno != EAGAIN)
        fail("recv: %s", strerror(errno));
    return got < 0 ? 0 : (size_t)got;
}

size_t link_send(struct link *link, const void *data, size_t size)
{
    if (link->tls)
        return tls_result(link, SSL_write(link->tls, data, (int)size),
                          "sending");
    ssize_t sent = send(link->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        fail("send: %s", strerror(errno));
    return sent < 0 ? 0 : (size_t)sent;
}

/* A link that blocks does so for as long as dial says. */
static size_t in_time(size_t moved)
{
    if (moved == 0)
        fail("the server says nothing for 10 seconds");
    return moved;
}

void link_receive_all(struct link *link, void *data, size_t size)
{
    for (size_t have = 0; have < size;)
        have += in_time(link_receive(link, (char *)data + have, size - have));
}

void link_send_all(struct link *link, const void *data, size_t size)
{
    for (size_t done = 0; done < size;)
        done += in_time(link_send(link, (const char *)data + done,
                                  size - done));
}

void link_await(int port)
{
    int64_t end = measure_now() + 10 * (int64_t)1000000000;
    int fd;

    while ((fd = dial(port)) < 0) {
        if (measure_now() > end)
            fail("nobody listens on port %d", port);
        usleep(2000);
    }
    close(fd);
}

int link_listen(int *port)
{
    struct sockaddr_in address = loopback(0, INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&address, size) < 0 ||
        listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        fail("listen: %s", strerror(errno));
    *port = ntohs(address.sin_port);
    return fd;
}
