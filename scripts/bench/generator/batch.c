#include "batch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* As much as the socket's buffers take, the other end being still. */
static size_t fill(int fd, const char *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t sent = send(fd, data + done, size - done,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            fail("send: %s", strerror(errno));
        done += (size_t)sent;
    }
    return done;
}

static void send_plain(int fd, struct measure *measure, const char *data,
                       size_t size)
{
    struct link link = {.fd = fd};

    kill(measure->server, SIGSTOP);
    size_t done = fill(fd, data, size);
    kill(measure->server, SIGCONT);
    link_send_all(&link, data + done, size - done);
    measure->batches++;
    measure->torn += done < size;
}

/* The records of a batch are kept in memory that has grown once. */
static void send_encrypted(struct link *link, struct measure *measure,
                           const char *data, size_t size)
{
    static BIO *memory;
    BIO *socket = SSL_get_wbio(link->tls);
    char *records;

    if (!memory)
        memory = BIO_new(BIO_s_mem());
    BIO_up_ref(memory);
    BIO_up_ref(socket);
    SSL_set0_wbio(link->tls, memory);
    link_send_all(link, data, size);
    long length = BIO_get_mem_data(memory, &records);
    send_plain(link->fd, measure, records, (size_t)length);
    SSL_set0_wbio(link->tls, socket);
    (void)BIO_reset(memory);
}

void batch_send(struct link *link, struct measure *measure, const void *data,
                size_t size)
{
    if (link->tls)
        send_encrypted(link, measure, data, size);
    else
        send_plain(link->fd, measure, data, size);
}

static void set_low_water(struct link *link, size_t size)
{
    int least = (int)size;

    setsockopt(link->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

void batch_expect(struct link *link, size_t size)
{
    set_low_water(link, size);
}

void batch_await(struct link *link, struct measure *measure, size_t size)
{
    struct pollfd polled = {.fd = link->fd, .events = POLLIN};
    int there;

    if (poll(&polled, 1, 10000) <= 0 ||
        ioctl(link->fd, FIONREAD, &there) < 0)
        fail("the server says nothing for 10 seconds");
    set_low_water(link, 1);
    measure->batches++;
    measure->torn += (size_t)there < size;
}
