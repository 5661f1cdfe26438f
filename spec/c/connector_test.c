/* The connector's order and outcomes. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "event/connector.h"
#include "turn.h"

static const char *text_of(const struct net_address *address)
{
    static char text[NET_TEXT];
    return net_format(address, text, sizeof text);
}

/* A port of 127.0.0.1 where nobody listens. */
static struct net_address refusing(void)
{
    struct net_address address = address_of("127.0.0.1:0");
    int fd = net_listen(&address, 0, false);
    net_local_address(fd, &address);
    close(fd);
    return address;
}

/* "4a 6b 4c": families and names, in and out. */
static void check_order(const char *in, const char *out)
{
    struct net_address addresses[8] = {0}, ordered[8];
    size_t count = (strlen(in) + 1) / 3;
    for (size_t i = 0; i < count; i++) {
        addresses[i].as.any.sa_family = in[3 * i] == '4' ? AF_INET : AF_INET6;
        addresses[i].length = (socklen_t) in[3 * i + 1];
    }
    connector_order(addresses, count, ordered);
    for (size_t i = 0; i < count; i++)
        CHECK((char) ordered[i].length == out[3 * i + 1]);
}

static void test_order(void)
{
    check_order("", "");
    check_order("4a", "4a");
    check_order("4a 4b 4c", "4a 4b 4c");
    check_order("6a 6b 4c 4d", "6a 4c 6b 4d");
    check_order("4a 6b 6c 6d", "4a 6b 6c 6d");
    check_order("4a 4b 4c 6d", "4a 6d 4b 4c");
    check_order("6a 4b 6c 4d 6e", "6a 4b 6c 4d 6e");
    check_order("6a 6b 6c 4d", "6a 4d 6b 6c");
}

static struct {
    int calls, fd, error;
    char message[512];
} outcome;

static void on_done(struct connector *connector, int fd, int error,
                    const char *message)
{
    CHECK(connector_owner(connector) == &outcome);
    outcome.calls++;
    outcome.fd = fd;
    outcome.error = error;
    snprintf(outcome.message, sizeof outcome.message, "%s",
             message ? message : "");
}

static struct connector *start(const char *name,
                               const struct net_address *addresses,
                               size_t count, const struct net_address *source)
{
    memset(&outcome, 0, sizeof outcome);
    outcome.fd = -1;
    struct connector_request request = {
        .name = name, .addresses = addresses, .count = count, .source = source};
    struct connector *connector =
        connector_start(loop, &request, on_done, &outcome);
    CHECK(outcome.calls == 0); /* never inside the call */
    return connector;
}

static void finish(void)
{
    for (int i = 0; i < 1000 && outcome.calls == 0; i++)
        turn();
    CHECK(outcome.calls == 1);
}

static void test_success(void)
{
    struct net_address addresses[3], peer;
    addresses[0] = refusing();
    addresses[1] = address_of("127.0.0.1:0");
    int listener = net_listen(&addresses[1], 0, false);
    net_local_address(listener, &addresses[1]);
    addresses[2] = refusing();
    start("x:1", addresses, 3, NULL);
    finish();
    CHECK(outcome.fd >= 0 && outcome.error == 0);
    CHECK(net_peer_address(outcome.fd, &peer));
    CHECK(memcmp(&peer, &addresses[1], peer.length) == 0);
    close(outcome.fd);
    close(listener);
}

static void test_all_refused(void)
{
    struct net_address addresses[2] = {refusing(), refusing()};
    char expected[512], name[NET_TEXT];
    start("localhost:81", addresses, 2, NULL);
    finish();
    CHECK(outcome.fd < 0 && outcome.error == ECONNREFUSED);
    snprintf(expected, sizeof expected,
             "connect localhost:81: %s: Connection refused; ",
             text_of(&addresses[0]));
    strcat(strcat(expected, text_of(&addresses[1])), ": Connection refused");
    CHECK(strcmp(outcome.message, expected) == 0);

    strcpy(name, text_of(&addresses[0]));
    start(name, addresses, 1, NULL);
    finish();
    snprintf(expected, sizeof expected, "connect %s: Connection refused", name);
    CHECK(strcmp(outcome.message, expected) == 0);
}

/* A listener whose backlog is full lets an attempt hang: the next one starts
 * after 250 ms, wins, and the hanging one is closed. */
static void test_stagger(void)
{
    struct net_address addresses[2];
    int fillers[8], descriptors = 0;
    addresses[0] = address_of("127.0.0.1:0");
    int full = net_listen(&addresses[0], 1, false);
    net_local_address(full, &addresses[0]);
    for (size_t i = 0; i < 8; i++) {
        fillers[i] = net_socket(AF_INET, SOCK_STREAM);
        net_connect(fillers[i], &addresses[0]);
    }
    addresses[1] = address_of("127.0.0.1:0");
    int listener = net_listen(&addresses[1], 0, false);
    net_local_address(listener, &addresses[1]);
    double before = loop_clock();
    start("x:1", addresses, 2, NULL);
    finish();
    CHECK(outcome.fd >= 0);
    if (loop_clock() - before < 0.2)
        fprintf(stderr, "note: this kernel's backlog does not fill\n");
    for (int fd = 3; fd < 256; fd++)
        descriptors += fcntl(fd, F_GETFD) >= 0;
    close(outcome.fd);
    int after = 0;
    start("x:1", addresses, 2, NULL);
    connector_cancel(start("x:1", addresses, 2, NULL));
    finish();
    for (int fd = 3; fd < 256; fd++)
        after += fcntl(fd, F_GETFD) >= 0;
    CHECK(after == descriptors); /* nothing but the winner is open */
    close(outcome.fd);
    for (size_t i = 0; i < 8; i++)
        close(fillers[i]);
    close(full);
    close(listener);
}

static void test_report(void)
{
    struct net_address address = refusing();
    struct connector *connector = start("x:1", &address, 1, NULL);
    char report[NET_TEXT];
    connector_attempts(connector, report, sizeof report);
    CHECK(strstr(report, "127.0.0.1:") == report);
    connector_cancel(connector);
    for (int i = 0; i < 3; i++)
        loop_stay_awake(loop), turn();
    CHECK(outcome.calls == 0);
}

static void test_source(void)
{
    struct net_address to = address_of("127.0.0.1:0"), peer;
    struct net_address source = address_of("127.0.0.2:0");
    struct net_address none = address_of("8.8.8.8:0");
    struct net_address six = address_of("[::1]:0");
    int listener = net_listen(&to, 0, false);
    net_local_address(listener, &to);
    start("x:1", &to, 1, &source);
    finish();
    CHECK(outcome.fd >= 0 && net_local_address(outcome.fd, &peer));
    CHECK(strncmp(text_of(&peer), "127.0.0.2:", 10) == 0);
    close(outcome.fd);
    start("x:1", &to, 1, &none);
    finish();
    CHECK(outcome.fd < 0 && outcome.error == EADDRNOTAVAIL);
    start("x:1", &to, 1, &six);
    finish();
    CHECK(outcome.fd < 0 && outcome.error == EAFNOSUPPORT);
    close(listener);
}

static void test_unix(const char *folder)
{
    char text[64];
    struct net_address peer;
    snprintf(text, sizeof text, "unix:%s/socket", folder);
    struct net_address address = address_of(text);
    start(text, &address, 1, NULL);
    finish();
    CHECK(outcome.fd < 0 && outcome.error == ENOENT);
    CHECK(strstr(outcome.message, "No such file or directory"));
    int listener = net_listen(&address, 1, false);
    int fds[8], count = 0;
    do { /* until the backlog is full */
        fds[count] = net_socket(AF_UNIX, SOCK_STREAM);
    } while (net_connect(fds[count], &address) == 0 && ++count < 7);
    start(text, &address, 1, NULL);
    for (int i = 0; i < 3; i++)
        turn();
    int other = net_accept(listener, &peer);
    CHECK(other >= 0);
    finish();
    CHECK(outcome.fd >= 0);
    close(outcome.fd);
    close(other);
    for (int i = 0; i <= count; i++)
        close(fds[i]);
    close(listener);
    unlink(address.as.local.sun_path);
}

int main(void)
{
    char folder[] = "/tmp/weir-connector-XXXXXX";
    CHECK(mkdtemp(folder));
    loop = loop_new();
    test_order();
    test_success();
    test_all_refused();
    test_stagger();
    test_report();
    test_source();
    test_unix(folder);
    loop_free(loop);
    CHECK(rmdir(folder) == 0);
    return failures > 0;
}
