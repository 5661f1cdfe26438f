/* The network that all is measured in: a namespace of its own, so that what
 * TCP costs depends neither on the machine's settings nor on what was sent
 * before. (With BBR, sending is paced by timers, and now and then nearly
 * stops; buffers that grow with use have every connection begin slowly.) */
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"
#include "workload.h"

static const struct {
    const char *name, *value;
} settings[] = {
    {"tcp_congestion_control", "reno"},
    {"tcp_moderate_rcvbuf", "0"},
    {"tcp_slow_start_after_idle", "0"},
    {"tcp_rmem", "4096 268435456 268435456"},
    {"tcp_wmem", "4096 268435456 268435456"},
};

static void set(const char *name, const char *value)
{
    char path[128];

    snprintf(path, sizeof path, "/proc/sys/net/ipv4/%s", name);
    FILE *file = fopen(path, "w");
    if (!file)
        fail("cannot open %s", path);
    fputs(value, file);
    if (fclose(file) != 0)
        fail("cannot write %s to %s", value, path);
}

void network_run(const struct workload_options *options)
{
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback) < 0)
        fail("no loopback interface");
    close(fd);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        set(settings[i].name, settings[i].value);
    execvp(options->command[0], options->command);
    fail("cannot start %s", options->command[0]);
}
