/* The TLS transport, both ends over a socket pair whose kernel buffers are
 * small, so that every kind of WANT happens. */
#include "io/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "check.h"
#include "io/tls_internal.h"
#include "io/tls_issue.h"
#include "random.h"

#define TOTAL 3000000 /* bytes each way */

static struct tls_context *server_context[2], *client_context[2];

struct end {
    struct transport *transport;
    size_t sent, received; /* of the pattern */
    bool shut, ended;
};

/* The byte at any place of what is sent: no period that fits a record. */
static char pattern(size_t place)
{
    return (char) (place * 31 + place / 251);
}

static struct tls_context *context(struct tls_settings settings, int version)
{
    struct tls_fault fault = {0};
    settings.min_version = settings.max_version = version;
    struct tls_context *made = tls_context_get(&settings, &fault);
    CHECK(made);
    return made;
}

static void make_contexts(void)
{
    static const struct tls_text name = {"localhost", 9};
    double now = (double) time(NULL);
    struct tls_issue issue = {.names = &name,
                              .name_count = 1,
                              .not_before = now - 100,
                              .not_after = now + 1000,
                              .key = {"ec", 2},
                              .curve = "P-256"};
    struct tls_fault fault;
    char *certificate, *key;
    CHECK(tls_issue(&issue, &certificate, &key, &fault));
    struct tls_text cert = {certificate, strlen(certificate)};
    for (int i = 0; i < 2; i++) {
        server_context[i] = context(
            (struct tls_settings){.cert = cert, .key = {key, strlen(key)}},
            12 + i);
        client_context[i] = context((struct tls_settings){.ca = cert}, 12 + i);
    }
    free(certificate);
    free(key);
}

static void make_small(int fd)
{
    int size = 4608;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void open_pair(struct end *client, struct end *server, int version)
{
    struct tls_peer to = {.name = "localhost"}, from = {0};
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    make_small(fds[0]);
    make_small(fds[1]);
    *client = (struct end){
        .transport = tls_client(client_context[version], fds[0], &to)};
    *server = (struct end){
        .transport = tls_server(server_context[version], fds[1], &from)};
}

static void close_end(struct end *end)
{
    close(end->transport->fd);
    end->transport->class->free(end->transport);
}

static void flush(struct end *end)
{
    struct iovec nothing = {NULL, 0};
    end->transport->class->write(end->transport, &nothing, 0);
}

/* The last that a handshake has to say leaves as other bytes do. */
static ssize_t shake(struct end *end)
{
    ssize_t answer = end->transport->class->handshake(end->transport);
    if (answer == IO_END)
        flush(end);
    return answer;
}

/* True once both are done. */
static bool shake_hands(struct end *client, struct end *server)
{
    ssize_t a = IO_WANT_READ, b = IO_WANT_READ;
    for (int i = 0; i < 100 && (a != IO_END || b != IO_END); i++) {
        if (a != IO_END)
            a = shake(client);
        if (b != IO_END)
            b = shake(server);
    }
    return a == IO_END && b == IO_END;
}

/* --- steps ---------------------------------------------------------------- */

static void send_some(struct end *end)
{
    static char data[70000];
    struct transport *transport = end->transport;
    size_t size = random_below(sizeof data) + 1;
    size_t left = TOTAL - end->sent;
    size = size < left ? size : left;
    for (size_t i = 0; i < size; i++)
        data[i] = pattern(end->sent + i);
    size_t cut = size / (random_below(4) + 1);
    struct iovec vector[2] = {{data, cut}, {data + cut, size - cut}};
    ssize_t count = transport->class->write(transport, vector, 2);
    CHECK(count <= (ssize_t) size && count != IO_FAILED);
    if (count > 0)
        end->sent += (size_t) count;
}

static void receive_some(struct end *end)
{
    static char data[70000];
    struct transport *transport = end->transport;
    size_t size = random_below(sizeof data) + 1;
    ssize_t count = transport->class->read(transport, data, size);
    CHECK(count != IO_FAILED);
    if (count == IO_END)
        end->ended = true;
    for (ssize_t i = 0; i < count; i++)
        if (data[i] != pattern(end->received + (size_t) i)) {
            CHECK(!"what was sent has arrived");
            break;
        }
    if (count > 0)
        end->received += (size_t) count;
}

static void end_output(struct end *end)
{
    ssize_t answer = end->transport->class->shutdown(end->transport);
    CHECK(answer == IO_END || answer == IO_WANT_WRITE);
    end->shut = answer == IO_END;
}

/* A KeyUpdate that asks for one back: a read will have to write. */
static void update_keys(struct end *end)
{
    struct tls *tls = (struct tls *) end->transport;
    if (SSL_version(tls->ssl) != TLS1_3_VERSION || tls->accepted > 0)
        return;
    tls_bio_begin(tls, 0);
    CHECK(SSL_key_update(tls->ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
    CHECK(SSL_do_handshake(tls->ssl) == 1);
    tls_bio_end(tls);
}

static void step(struct end *end, bool updates)
{
    if (updates && !end->shut && random_below(20) == 0)
        update_keys(end);
    if (random_below(2) == 0)
        receive_some(end);
    else if (end->sent < TOTAL)
        send_some(end);
    else if (!end->shut)
        end_output(end);
}

/* --- what is tested ------------------------------------------------------- */

static void test_both_ways(int version, bool updates)
{
    struct end client, server;
    open_pair(&client, &server, version);
    CHECK(shake_hands(&client, &server));
    for (long i = 0; i < 4000000; i++) {
        if (client.ended && server.ended && client.shut && server.shut)
            break;
        step(random_below(2) ? &client : &server, updates);
    }
    CHECK(client.received == TOTAL && server.received == TOTAL);
    CHECK(client.ended && server.ended);
    CHECK(!client.transport->unsent && !server.transport->unsent);
    CHECK(buffer_length(&((struct tls *) client.transport)->input) == 0);
    close_end(&client);
    close_end(&server);
}

/* One end does nothing but ask for new keys, the other nothing but read. */
static void test_flood(void)
{
    struct end client, server;
    char data[100];
    open_pair(&client, &server, 1);
    CHECK(shake_hands(&client, &server));
    ssize_t answer = IO_WANT_READ;
    for (int i = 0; i < 200000 && answer == IO_WANT_READ; i++) {
        update_keys(&client);
        flush(&client);
        answer =
            server.transport->class->read(server.transport, data, sizeof data);
    }
    CHECK(answer == IO_WANT_WRITE);
    struct tls *tls = (struct tls *) server.transport;
    CHECK(buffer_length(&tls->output) < 100000);
    close_end(&client);
    close_end(&server);
}

static void exchange(struct end *from, struct end *to, const char *text)
{
    char data[100];
    struct iovec vector = {(char *) text, strlen(text)};
    CHECK(from->transport->class->write(from->transport, &vector, 1) ==
          (ssize_t) strlen(text));
    ssize_t count =
        to->transport->class->read(to->transport, data, sizeof data);
    CHECK(count == (ssize_t) strlen(text));
    CHECK(count > 0 && memcmp(data, text, (size_t) count) == 0);
}

/* The bytes of a hello in any pieces; those that came before, with it. */
static void test_cut_handshake(int version)
{
    for (int cut = 0; cut < 600; cut += 7) {
        struct end client, server;
        char hello[4096];
        open_pair(&client, &server, version);
        CHECK(shake(&client) == IO_WANT_READ);
        int fd = server.transport->fd;
        ssize_t size = recv(fd, hello, (size_t) cut, MSG_DONTWAIT);
        server.transport->class->free(server.transport);
        struct tls_peer peer = {.read = hello,
                                .read_size = size > 0 ? (size_t) size : 0};
        server.transport = tls_server(server_context[version], fd, &peer);
        CHECK(shake_hands(&client, &server));
        exchange(&client, &server, "question");
        exchange(&server, &client, "answer");
        close_end(&client);
        close_end(&server);
    }
}

static ssize_t read_byte(struct end *end)
{
    char byte;
    return end->transport->class->read(end->transport, &byte, 1);
}

/* What is held here needs no descriptor (R33), to the very end. */
static void test_held(int version)
{
    struct end client, server;
    open_pair(&client, &server, version);
    CHECK(shake_hands(&client, &server));
    CHECK(read_byte(&client) == IO_WANT_READ);
    CHECK(client.transport->drained && !client.transport->held);
    struct iovec vector = {(char *) "abc", 3};
    server.transport->class->write(server.transport, &vector, 1);
    CHECK(server.transport->class->shutdown(server.transport) == IO_END);
    CHECK(read_byte(&client) == 1);
    CHECK(client.transport->held && !client.transport->drained);
    CHECK(read_byte(&client) == 1);
    CHECK(client.transport->held);
    CHECK(read_byte(&client) == 1);
    CHECK(client.transport->held && !client.transport->drained);
    CHECK(read_byte(&client) == IO_END);
    /* Ours goes on. */
    exchange(&client, &server, "late");
    close_end(&client);
    close_end(&server);
}

/* Asked again because the descriptor takes nothing, it reads nothing: what
 * the peer says meanwhile is still to be read. */
static void test_shutdown_waits(int version)
{
    struct end client, server;
    open_pair(&client, &server, version);
    CHECK(shake_hands(&client, &server));
    while (!client.transport->unsent)
        send_some(&client);
    end_output(&client);
    CHECK(!client.shut);
    struct iovec vector = {(char *) "late", 4};
    CHECK(server.transport->class->write(server.transport, &vector, 1) == 4);
    end_output(&client);
    char data[100];
    CHECK(client.transport->class->read(client.transport, data, 100) == 4);
    for (int i = 0; i < 100 && !(client.shut && server.ended); i++) {
        receive_some(&server);
        end_output(&client);
    }
    CHECK(client.shut && server.ended);
    close_end(&client);
    close_end(&server);
}

/* Cut off without close_notify: what came can be read, and writing goes on. */
static void test_truncated(int version)
{
    struct end client, server;
    open_pair(&client, &server, version);
    CHECK(shake_hands(&client, &server));
    struct iovec vector = {(char *) "ab", 2};
    server.transport->class->write(server.transport, &vector, 1);
    shutdown(server.transport->fd, SHUT_WR);
    CHECK(read_byte(&client) == 1);
    CHECK(read_byte(&client) == 1);
    CHECK(read_byte(&client) == IO_FAILED);
    CHECK(client.transport->error == ERROR_TRUNCATED);
    exchange(&client, &server, "late");
    close_end(&client);
    close_end(&server);
}

/* Before the handshake there is no close_notify to send. */
static void test_shutdown_early(int version)
{
    struct end client, server;
    open_pair(&client, &server, version);
    CHECK(client.transport->class->shutdown(client.transport) == IO_FAILED);
    CHECK(client.transport->error == ENOTCONN);
    close_end(&client);
    close_end(&server);
}

int main(void)
{
    make_contexts();
    for (int version = 0; version < 2; version++) {
        test_both_ways(version, false);
        test_cut_handshake(version);
        test_held(version);
        test_truncated(version);
        test_shutdown_waits(version);
        test_shutdown_early(version);
    }
    test_both_ways(1, true);
    test_flood();
    for (int i = 0; i < 2; i++) {
        tls_context_release(server_context[i]);
        tls_context_release(client_context[i]);
    }
    return failures > 0;
}
