/* Datagrams on the loop, without Lua. */
#include "event/datagram.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#undef NDEBUG
#include <assert.h>

static struct loop *loop;
static int received, sent, last_error;

static const struct udp_options defaults = {.loopback = true};

static void count_received(struct datagram *datagram, int error)
{
    (void) datagram;
    received++;
    last_error = error;
}

static void count_sent(struct datagram_send *send, int error)
{
    (void) send;
    sent++;
    last_error = error;
}

static struct datagram *open_at(const char *host, const char *port)
{
    struct datagram *datagram;
    struct net_address address;
    assert(!host || net_numeric(&address, host, port));
    assert(datagram_open(&datagram, loop, host ? &address : NULL, &defaults) ==
           0);
    datagram->received = count_received;
    return datagram;
}

static struct net_address address_of(const struct datagram *datagram)
{
    struct net_address address;
    assert(net_local_address(datagram->fd, &address));
    return address;
}

static int send_text(struct datagram *from, const char *text,
                     const struct net_address *to)
{
    struct datagram_send *send = NULL;
    int error = datagram_send(from, text, strlen(text), to, &send);
    if (send) {
        send->done = count_sent;
        assert(error == DATAGRAM_WAIT);
    }
    return error;
}

static int receive(struct datagram *datagram, size_t max)
{
    int before = received;
    int error = datagram_receive(datagram, max);
    if (error != DATAGRAM_WAIT)
        return error;
    while (received == before)
        loop_poll(loop);
    return last_error;
}

static void expect_text(struct datagram *datagram, const char *text)
{
    assert(receive(datagram, LOOP_SCRATCH) == 0);
    assert(datagram->packet.size == strlen(text));
    assert(memcmp(loop->scratch, text, strlen(text)) == 0);
    datagram_taken(datagram);
}

static void carries_datagrams(void)
{
    struct datagram *server = open_at("127.0.0.1", "0");
    struct datagram *client = open_at(NULL, NULL);
    struct net_address to = address_of(server);
    char text[NET_TEXT];
    /* The client's socket speaks both families. */
    assert(client->family == AF_INET6 || client->family == AF_INET);
    assert(datagram_receive(server, LOOP_SCRATCH) == DATAGRAM_WAIT);
    assert(send_text(client, "hello", &to) == 0);
    while (received == 0)
        loop_poll(loop);
    assert(last_error == 0 && server->packet.size == 5);
    net_format(&server->packet.from, text, sizeof text);
    assert(strncmp(text, "127.0.0.1:", 10) == 0);
    datagram_taken(server);
    assert(send_text(server, "", &server->packet.from) == 0);
    expect_text(client, "");
    net_format(&client->packet.from, text, sizeof text);
    assert(strncmp(text, "127.0.0.1:", 10) == 0);
    datagram_release(server);
    datagram_release(client);
}

static void tells_of_cut_datagrams(void)
{
    struct datagram *server = open_at("127.0.0.1", "0");
    struct net_address to = address_of(server);
    assert(send_text(server, "too long", &to) == 0);
    assert(send_text(server, "next", &to) == 0);
    assert(receive(server, 7) == EMSGSIZE);
    assert(server->packet.length == 8 && !loop->scratch_busy);
    expect_text(server, "next");
    datagram_release(server);
}

static void tells_of_refusals(void)
{
    struct datagram *server = open_at("127.0.0.1", "0");
    struct datagram *client = open_at(NULL, NULL);
    struct net_address to = address_of(server);
    datagram_release(server);
    assert(udp_connect(client->fd, client->family, &to) == 0);
    assert(datagram_receive(client, LOOP_SCRATCH) == DATAGRAM_WAIT);
    assert(send_text(client, "x", NULL) == 0);
    int before = received;
    while (received == before)
        loop_poll(loop);
    assert(last_error == ECONNREFUSED);
    datagram_release(client);
}

static void closing_tells_the_receiver(void)
{
    struct datagram *server = open_at("127.0.0.1", "0");
    int before = received;
    assert(datagram_receive(server, LOOP_SCRATCH) == DATAGRAM_WAIT);
    datagram_close(server);
    assert(received == before + 1 && last_error == ERROR_CLOSED);
    assert(datagram_receive(server, LOOP_SCRATCH) == ERROR_CLOSED);
    assert(send_text(server, "x", NULL) == ERROR_CLOSED);
    datagram_release(server);
}

static struct datagram *open_local(const char *text)
{
    const char *expected;
    struct net_target target;
    struct datagram *datagram;
    assert(net_parse(&target, text, strlen(text), &expected));
    int error = datagram_open(&datagram, loop, &target.address, &defaults);
    if (error) {
        errno = error;
        return NULL;
    }
    datagram->received = count_received;
    return datagram;
}

/* Unix receivers hold few datagrams: the rest waits here, in order. */
static void queues_what_does_not_fit(bool connected)
{
    struct datagram *server = open_local("unix:@weir-datagram-test");
    struct datagram *client = open_local("unix:@weir-datagram-test-client");
    struct net_address to = address_of(server);
    char text[16];
    int waiting = 0;
    const int count = 100;
    sent = 0;
    if (connected)
        assert(udp_connect(client->fd, client->family, &to) == 0);
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        int error = send_text(client, text, connected ? NULL : &to);
        assert(error == 0 || error == DATAGRAM_WAIT);
        waiting += error == DATAGRAM_WAIT;
    }
    assert(waiting > 0);
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        expect_text(server, text);
    }
    assert(sent == waiting && last_error == 0);
    for (int i = 0; i < count; i++)
        send_text(client, "x", &to);
    waiting = 0;
    datagram_release(client);
    assert(last_error == ERROR_CLOSED && sent > waiting);
    datagram_release(server);
}

static void replaces_stale_paths_only(void)
{
    char path[64], text[80];
    snprintf(path, sizeof path, "/tmp/weir-datagram-test-%d", getpid());
    snprintf(text, sizeof text, "unix:%s", path);
    struct datagram *server = open_local(text);
    assert(server);
    assert(open_local(text) == NULL && errno == EADDRINUSE);
    server->file.inode = 0; /* it dies without removing its file */
    datagram_release(server);
    assert(access(path, F_OK) == 0);
    server = open_local(text);
    assert(server);
    datagram_release(server);
    assert(access(path, F_OK) != 0);
}

static void joins_groups(void)
{
    struct udp_options options = defaults;
    struct net_address any, group;
    struct datagram *server;
    options.interface = if_nametoindex("lo");
    assert(net_numeric(&any, "0.0.0.0", "0"));
    assert(datagram_open(&server, loop, &any, &options) == 0);
    server->received = count_received;
    struct net_address to = address_of(server);
    struct sockaddr_in *bound = (void *) &to.as.storage;
    assert(net_numeric(&group, "239.255.42.42", "0"));
    ((struct sockaddr_in *) (void *) &group.as.storage)->sin_port =
        bound->sin_port;
    assert(udp_member(server->fd, &group, options.interface, true) == 0);
    assert(send_text(server, "all", &group) == 0);
    expect_text(server, "all");
    assert(udp_member(server->fd, &group, options.interface, false) == 0);
    assert(udp_member(server->fd, &group, options.interface, false) ==
           EADDRNOTAVAIL);
    datagram_release(server);
}

int main(void)
{
    loop = loop_new();
    carries_datagrams();
    tells_of_cut_datagrams();
    tells_of_refusals();
    closing_tells_the_receiver();
    queues_what_does_not_fit(true);
    queues_what_does_not_fit(false);
    replaces_stale_paths_only();
    joins_groups();
    loop_free(loop);
    return 0;
}
