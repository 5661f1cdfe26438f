/* The plain transport on sockets, pipes and files. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "io/net.h"
#include "io/plain.h"

static ssize_t put(struct transport *transport, const char *data)
{
    struct iovec vector[2] = {{(void *) data, 1},
                              {(void *) (data + 1), strlen(data) - 1}};
    return transport->class->write(transport, vector, 2);
}

static void test_plain_pair(void)
{
    int pair[2];
    char data[64];
    struct transport a, b;
    CHECK(net_pair(pair) == 0);
    plain_init(&a, pair[0]);
    plain_init(&b, pair[1]);
    CHECK(strcmp(a.class->name, "unix") == 0);
    CHECK(b.class->read(&b, data, sizeof data) == IO_WANT_READ && b.drained);
    CHECK(put(&a, "hello") == 5);
    CHECK(b.class->read(&b, data, 5) == 5 && !b.drained);
    CHECK(put(&a, "hello") == 5);
    CHECK(b.class->read(&b, data, sizeof data) == 5 && b.drained);
    CHECK(a.class->shutdown(&a) == IO_END);
    CHECK(b.class->read(&b, data, sizeof data) == IO_END);
    close(pair[0]);
    CHECK(put(&b, "x") < 0 || put(&b, "y") == IO_FAILED);
    CHECK(b.error == EPIPE);
    CHECK(b.class->read(&b, data, sizeof data) == IO_END);
    close(pair[1]);
}

/* A connected TCP pair. */
static void connect_pair(int pair[2])
{
    struct net_address address, peer;
    CHECK(net_numeric(&address, "127.0.0.1", "0"));
    int listener = net_listen(&address, 0, false);
    CHECK(listener >= 0 && net_local_address(listener, &address));
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(net_connect(pair[0], &address) == 0);
    pair[1] = net_accept(listener, &peer);
    net_set_nonblocking(pair[0], true);
    close(listener);
}

static void test_reset_met_by_write(void)
{
    int pair[2];
    char data[8];
    struct transport transport;
    connect_pair(pair);
    plain_init(&transport, pair[1]);
    CHECK(strcmp(transport.class->name, "tcp") == 0);
    net_abort(pair[0]);
    usleep(20000); /* the reset is on its way through loopback */
    CHECK(put(&transport, "hello") == IO_FAILED);
    CHECK(transport.error == ECONNRESET || transport.error == EPIPE);
    bool reset = transport.error == ECONNRESET;
    ssize_t answer = transport.class->read(&transport, data, sizeof data);
    CHECK(!reset || (answer == IO_FAILED && transport.error == ECONNRESET));
    close(pair[1]);
}

static void test_pipes(void)
{
    int ends[2];
    char data[64];
    struct transport from, to;
    CHECK(pipe(ends) == 0);
    plain_init_shared(&from, ends[0]); /* both ends block */
    plain_init_shared(&to, ends[1]);
    CHECK(strcmp(from.class->name, "pipe") == 0);
    CHECK(from.class->read(&from, data, sizeof data) == IO_WANT_READ);
    CHECK(put(&to, "hello") == 5);
    CHECK(from.class->read(&from, data, sizeof data) == 5);
    size_t size = 1 << 20, sent = 0;
    char *big = calloc(1, size);
    struct iovec vector = {big, size};
    ssize_t count = to.class->write(&to, &vector, 1);
    for (; count > 0; count = to.class->write(&to, &vector, 1)) {
        sent += (size_t) count;
        vector.iov_len = size - sent;
    }
    CHECK(count == IO_WANT_WRITE && sent > 0 && sent < size);
    free(big);
    CHECK(to.class->shutdown(&to) == IO_FAILED && to.error == ENOTSOCK);
    CHECK((fcntl(ends[0], F_GETFL) & O_NONBLOCK) == 0);
    close(ends[0]);
    CHECK(put(&to, "hello") == IO_FAILED && to.error == EPIPE);
    close(ends[1]);
}

static void test_shared_sockets(void)
{
    int pair[2];
    char data[8];
    struct transport a, b;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    plain_init_shared(&a, pair[0]);
    plain_init_shared(&b, pair[1]);
    CHECK(b.class->read(&b, data, sizeof data) == IO_WANT_READ);
    CHECK(put(&a, "hello") == 5);
    CHECK(b.class->read(&b, data, sizeof data) == 5);
    CHECK(!b.class->send_file);
    close(pair[0]);
    CHECK(b.class->read(&b, data, sizeof data) == IO_END);
    close(pair[1]);
}

static void test_send_file(const char *folder)
{
    int pair[2];
    char path[64], data[16];
    struct transport a;
    snprintf(path, sizeof path, "%s/file", folder);
    int file = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(write(file, "0123456789", 10) == 10);
    CHECK(net_pair(pair) == 0);
    plain_init(&a, pair[0]);
    if (a.class->send_file) {
        off_t offset = 2;
        CHECK(a.class->send_file(&a, file, &offset, 5, 5) == 5);
        CHECK(offset == 7);
        CHECK(read(pair[1], data, sizeof data) == 5);
        CHECK(memcmp(data, "23456", 5) == 0);
        offset = 10;
        CHECK(a.class->send_file(&a, file, &offset, 5, 5) == IO_END);
    }
    struct transport plain;
    plain_init(&plain, file);
    CHECK(strcmp(plain.class->name, "file") == 0);
    CHECK(lseek(file, 0, SEEK_SET) == 0);
    CHECK(plain.class->read(&plain, data, 4) == 4 && !plain.drained);
    close(file);
    close(pair[0]);
    close(pair[1]);
    unlink(path);
}

#ifdef __linux__
static bool is_corked(int fd)
{
    int on = -1;
    socklen_t size = sizeof on;
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, &size) == 0);
    return on == 1;
}

/* Sends `size` of the `left` bytes from `offset` on; reads what has left. */
static ssize_t send_part(struct transport *a, int peer, int file, off_t offset,
                         size_t size, uint64_t left)
{
    char data[4096];
    ssize_t sent = a->class->send_file(a, file, &offset, size, left);
    for (ssize_t got = 0; got < sent && !a->corked;) {
        ssize_t more = read(peer, data, sizeof data);
        CHECK(more > 0);
        got += more;
    }
    return sent;
}

static void test_long_file(const char *folder)
{
    enum { SIZE = 100000, HALF = SIZE / 2 };
    int pair[2];
    char path[64];
    struct transport a;
    snprintf(path, sizeof path, "%s/long", folder);
    int file = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(ftruncate(file, SIZE) == 0);
    connect_pair(pair);
    plain_init(&a, pair[0]);
    CHECK(send_part(&a, pair[1], file, 0, 10, 10) == 10 && !is_corked(pair[0]));
    CHECK(send_part(&a, pair[1], file, 0, HALF, SIZE) == HALF);
    CHECK(is_corked(pair[0]));
    CHECK(send_part(&a, pair[1], file, HALF, HALF, HALF) == HALF);
    CHECK(!is_corked(pair[0]));
    CHECK(send_part(&a, pair[1], file, HALF, HALF, SIZE) == HALF);
    CHECK(is_corked(pair[0]));
    CHECK(send_part(&a, pair[1], file, SIZE, HALF, HALF) == IO_END);
    CHECK(!is_corked(pair[0]));
    close(file);
    close(pair[0]);
    close(pair[1]);
    unlink(path);
}
#else
static void test_long_file(const char *folder)
{
    (void) folder;
}
#endif

int main(void)
{
    char folder[] = "/tmp/weir-plain-XXXXXX";
    signal(SIGPIPE, SIG_IGN);
    CHECK(mkdtemp(folder));
    test_plain_pair();
    test_reset_met_by_write();
    test_pipes();
    test_shared_sockets();
    test_send_file(folder);
    test_long_file(folder);
    CHECK(rmdir(folder) == 0);
    return failures > 0;
}
