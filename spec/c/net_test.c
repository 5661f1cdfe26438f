/* Addresses and listening sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "io/net.h"

static bool parse(struct net_target *target, const char *text,
                  const char **expected)
{
    *expected = NULL;
    return net_parse(target, text, strlen(text), expected);
}

/* Parses `text`, which must be numeric or local, and writes it again. */
static void check_text(const char *text, const char *again)
{
    struct net_target target;
    const char *expected;
    char back[NET_TEXT];
    bool parsed = parse(&target, text, &expected);
    CHECK(parsed && target.numeric);
    net_format(&target.address, back, sizeof back);
    if (parsed && strcmp(back, again) != 0) {
        fprintf(stderr, "%s: %s, not %s\n", text, back, again);
        failures++;
    }
}

static void check_refused(const char *text, const char *word)
{
    struct net_target target;
    const char *expected;
    bool parsed = parse(&target, text, &expected);
    if (parsed || !strstr(expected, word)) {
        fprintf(stderr, "%s: refused? %s\n", text, parsed ? "no" : expected);
        failures++;
    }
}

static void test_numeric(void)
{
    check_text("127.0.0.1:80", "127.0.0.1:80");
    check_text("tcp://127.0.0.1:80", "127.0.0.1:80");
    check_text("tls://127.0.0.1:443", "127.0.0.1:443");
    check_text("127.0.0.1:0", "127.0.0.1:0");
    check_text("127.0.0.1:65535", "127.0.0.1:65535");
    check_text("[::1]:80", "[::1]:80");
    check_text("[2001:DB8:0::1]:80", "[2001:db8::1]:80");
    check_text("[::ffff:127.0.0.1]:80", "127.0.0.1:80");
    check_text("[fe80::1%lo]:80", "[fe80::1%lo]:80");
    check_text(":8080", "[::]:8080");
    check_text("127.0.0.1:http", "127.0.0.1:80");
    check_text("unix:/tmp/x", "unix:/tmp/x");
    check_text("unix:relative", "unix:relative");
    check_text("tls://unix:/tmp/x", "unix:/tmp/x");
#ifdef __linux__
    check_text("unix:@name", "unix:@name");
#endif
}

static void test_targets(void)
{
    struct net_target target;
    const char *expected;
    CHECK(parse(&target, "localhost:80", &expected));
    CHECK(target.kind == TARGET_HOST && !target.numeric && !target.tls);
    CHECK(strcmp(target.host, "localhost") == 0);
    CHECK(strcmp(target.port, "80") == 0);
    CHECK(parse(&target, "tls://example.com:https", &expected));
    CHECK(target.tls && strcmp(target.port, "443") == 0);
    CHECK(parse(&target, ":80", &expected) && target.host[0] == '\0');
    CHECK(parse(&target, "fd:3", &expected));
    CHECK(target.kind == TARGET_FD && target.fd == 3);
    CHECK(parse(&target, "unix:/tmp/x", &expected));
    CHECK(target.kind == TARGET_LOCAL);
#ifdef __linux__
    CHECK(net_parse(&target, "unix:@a\0b", 9, &expected));
    char text[NET_TEXT];
    net_format(&target.address, text, sizeof text);
    CHECK(strcmp(text, "unix:@a@b") == 0);
#endif
    CHECK(!net_parse(&target, "unix:/a\0b", 9, &expected));
    CHECK(!net_parse(&target, "a\0b:80", 6, &expected));
}

static void test_refused(void)
{
    char path[300] = "unix:", host[300];
    check_refused("", "host:port");
    check_refused("localhost", "host:port");
    check_refused("http://localhost:80", "host:port");
    check_refused("local host:80", "host:port");
    check_refused("localhost:", "port");
    check_refused("localhost:65536", "port from 0 to 65535");
    check_refused("localhost:-1", "port");
    check_refused("localhost:99999999999999999999", "port");
    check_refused("localhost:80x", "port");
    check_refused("localhost:no-such-service", "service");
    check_refused("::1:80", "brackets");
    check_refused("::1", "brackets");
    check_refused("[::1]", "[IPv6 address]:port expected");
    check_refused("[::1", "[IPv6 address]:port expected");
    check_refused("[::1]80", "[IPv6 address]:port expected");
    check_refused("[127.0.0.1]:80", "[IPv6 address]:port expected");
    check_refused("[localhost]:80", "[IPv6 address]:port expected");
    check_refused("[fe80::1%nowhere]:80", "[IPv6 address]:port expected");
    check_refused("[]:80", "[IPv6 address]:port expected");
    check_refused("unix:", "path");
    check_refused("unix:@", "name");
    check_refused("fd:", "number");
    check_refused("fd:-1", "number");
    check_refused("fd:3x", "number");
    memset(path + 5, 'x', 108);
    path[5 + 108] = '\0';
    check_refused(path, "unix path");
    memset(host, 'x', 256);
    strcpy(host + 256, ":80");
    check_refused(host, "host name");
}

static void test_format(void)
{
    struct net_address address = {.length = 0};
    char text[NET_TEXT], small[8];
    CHECK(net_format(&address, text, sizeof text)[0] == '\0');
    address.length = sizeof(sa_family_t);
    address.as.any.sa_family = AF_UNIX;
    CHECK(strcmp(net_format(&address, text, sizeof text), "unix:") == 0);
    CHECK(net_numeric(&address, "127.0.0.1", "80"));
    CHECK(strlen(net_format(&address, small, sizeof small)) == 7);
    CHECK(!net_numeric(&address, "127.1", "80"));
    CHECK(!net_numeric(&address, "", "80"));
    CHECK(!net_numeric(&address, "127.0.0.1", "65536"));
}

static int listen_text(const char *text)
{
    struct net_target target;
    const char *expected;
    if (!parse(&target, text, &expected)) {
        errno = EINVAL;
        return -1;
    }
    return net_listen(&target.address, 0, false);
}

/* Connects to where `listener` listens, over the family that `host` has. */
static bool reaches(int listener, const char *host)
{
    struct net_address bound, to, peer;
    char port[8];
    if (!net_local_address(listener, &bound))
        return false;
    const struct sockaddr_in *inet = (const void *) &bound.as;
    snprintf(port, sizeof port, "%d", ntohs(inet->sin_port));
    if (!net_numeric(&to, host, port))
        return false;
    int fd = net_socket(to.as.any.sa_family, SOCK_STREAM);
    int error = net_connect(fd, &to), other = -1;
    for (int i = 0; i < 100 && other < 0; i++) {
        other = net_accept(listener, &peer);
        if (other < 0)
            usleep(1000);
    }
    char text[NET_TEXT];
    net_format(&peer, text, sizeof text);
    bool same = strncmp(text + (text[0] == '['), host, strlen(host)) == 0;
    CHECK(other < 0 || (fcntl(other, F_GETFL) & O_NONBLOCK));
    CHECK(other < 0 || (fcntl(other, F_GETFD) & FD_CLOEXEC));
    close(fd);
    close(other);
    return (error == 0 || error == EINPROGRESS) && other >= 0 && same;
}

static void test_listen(void)
{
    struct net_address bound;
    int fd = listen_text(":0");
    CHECK(fd >= 0 && reaches(fd, "127.0.0.1"));
    CHECK(net_local_address(fd, &bound));
    if (bound.as.any.sa_family == AF_INET6)
        CHECK(reaches(fd, "::1"));
    close(fd);
    fd = listen_text("127.0.0.1:0");
    char text[NET_TEXT];
    CHECK(net_local_address(fd, &bound));
    net_format(&bound, text, sizeof text);
    CHECK(listen_text(text) < 0 && errno == EADDRINUSE);
    close(fd);
}

static void test_unix(const char *folder)
{
    char path[64], text[80];
    struct stat info;
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(text, sizeof text, "unix:%s", path);
    int fd = listen_text(text);
    CHECK(fd >= 0);
    CHECK(listen_text(text) < 0 && errno == EADDRINUSE);
    close(fd); /* its file stays: stale */
    CHECK(lstat(path, &info) == 0);
    fd = listen_text(text);
    CHECK(fd >= 0);
    close(fd);
    unlink(path);

    FILE *file = fopen(path, "w");
    CHECK(file && fclose(file) == 0);
    CHECK(listen_text(text) < 0 && errno == EADDRINUSE);
    CHECK(lstat(path, &info) == 0 && S_ISREG(info.st_mode));
    unlink(path);
    snprintf(text, sizeof text, "unix:%s/no/socket", folder);
    CHECK(listen_text(text) < 0 && errno == ENOENT);
}

int main(void)
{
    char folder[] = "/tmp/weir-net-XXXXXX";
    CHECK(mkdtemp(folder));
    test_numeric();
    test_targets();
    test_refused();
    test_format();
    test_listen();
    test_unix(folder);
    CHECK(rmdir(folder) == 0);
    return failures > 0;
}
