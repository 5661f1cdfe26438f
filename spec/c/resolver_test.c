/* The resolver, as far as no server is needed, and a server that is mute. */
#include <ares.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "check.h"
#include "event/resolver.h"
#include "turn.h"

static struct {
    int calls, error;
    char text[256]; /* the addresses, separated by spaces */
} outcome;

static void on_found(void *owner, int error,
                     const struct net_address *addresses, size_t count)
{
    char text[NET_TEXT];
    CHECK(owner == &outcome);
    CHECK(error != 0 || count > 0);
    outcome.calls++;
    outcome.error = error;
    for (size_t i = 0; i < count; i++) {
        net_format(&addresses[i], text, sizeof text);
        strcat(strcat(outcome.text, i ? " " : ""), text);
    }
}

static void on_answered(void *owner, int error, const unsigned char *message,
                        size_t size)
{
    CHECK(owner == &outcome && !message && size == 0);
    outcome.calls++;
    outcome.error = error;
}

static void finish(void)
{
    CHECK(outcome.calls == 0); /* never inside the call */
    for (int i = 0; i < 1000 && outcome.calls == 0; i++)
        turn();
    CHECK(outcome.calls == 1);
}

static struct resolver_query *look_up(const char *servers, const char *host,
                                      int family)
{
    int error;
    struct resolver *resolver = resolver_get(loop, servers, &error);
    CHECK(resolver && error == 0);
    memset(&outcome, 0, sizeof outcome);
    return resolver_lookup(resolver, host, "80", family, on_found, &outcome);
}

static void test_numeric(void)
{
    look_up(NULL, "127.0.0.1", AF_UNSPEC);
    finish();
    CHECK(strcmp(outcome.text, "127.0.0.1:80") == 0);
    look_up(NULL, "::1", AF_INET6);
    finish();
    CHECK(strcmp(outcome.text, "[::1]:80") == 0);
    look_up(NULL, "::1", AF_INET);
    finish();
    CHECK(outcome.error == ERROR_RESOLVE - ARES_ENODATA);
}

static void test_localhost(void)
{
    static const char *const names[] = {"localhost", "localhost.", "LocalHost",
                                        "a.b.localhost", "a.localhost."};
    /* No server answers at port 1. */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        look_up("127.0.0.1:1", names[i], AF_INET);
        finish();
        CHECK(strcmp(outcome.text, "127.0.0.1:80") == 0);
    }
    look_up("127.0.0.1:1", "notlocalhost.example", AF_INET);
    finish();
    CHECK(outcome.error < ERROR_RESOLVE);
}

static void test_servers(void)
{
    int error;
    CHECK(!resolver_get(loop, "nonsense", &error) && error == EINVAL);
    CHECK(!resolver_get(loop, "", &error) && error == EINVAL);
    struct resolver *resolver = resolver_get(loop, NULL, &error);
    CHECK(resolver == resolver_get(loop, NULL, &error));
    setenv("WEIR_NAMESERVERS", "127.0.0.1:1", 1);
    CHECK(resolver != resolver_get(loop, NULL, &error));
    unsetenv("WEIR_NAMESERVERS");
}

/* A socket that takes questions and never answers. */
static void test_cancel(void)
{
    char servers[NET_TEXT];
    struct net_address address = address_of("127.0.0.1:0");
    int fd = net_socket(AF_INET, SOCK_DGRAM), error;
    CHECK(bind(fd, &address.as.any, address.length) == 0);
    CHECK(net_local_address(fd, &address));
    net_format(&address, servers, sizeof servers);
    resolver_cancel(look_up(servers, "example.com", AF_UNSPEC));
    resolver_cancel(look_up(servers, "127.0.0.1", AF_UNSPEC));
    struct resolver_query *query =
        resolver_query(resolver_get(loop, servers, &error), "example.com", 15,
                       on_answered, &outcome);
    for (int i = 0; i < 3; i++) {
        loop_stay_awake(loop);
        turn();
    }
    resolver_cancel(query);
    CHECK(outcome.calls == 0);
    look_up(servers, "example.com", AF_UNSPEC); /* ended by free_all */
    close(fd);
}

int main(void)
{
    loop = loop_new();
    test_numeric();
    test_localhost();
    test_servers();
    test_cancel();
    resolver_free_all();
    CHECK(outcome.calls == 0);
    loop_free(loop);
    return failures > 0;
}
