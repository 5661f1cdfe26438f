/* The load generator: `generator WORKLOAD key=value… [-- command…]`.
 *
 * It prints one line of key=value pairs, or says on standard error what the
 * server did wrong and ends with 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "measure.h"
#include "workload.h"

static const struct {
    const char *name;
    void (*run)(const struct workload_options *options);
} workloads[] = {
    {"echo", workload_echo},         {"upload", workload_upload},
    {"until", workload_until},       {"download", workload_download},
    {"proxy", workload_proxy},       {"handshake", workload_handshake},
    {"idle", workload_idle},         {"connections", workload_connections},
    {"start", workload_start},       {"serve", workload_serve},
    {"network", network_run},
};

static bool is(const char *key, const char *name)
{
    return strcmp(key, name) == 0;
}

static void set_kind(struct workload_options *options, const char *value)
{
    if (is(value, "frame"))
        options->form.kind = MESSAGE_FRAME;
    else if (is(value, "redis"))
        options->form.kind = MESSAGE_REDIS;
}

static void set_option(struct workload_options *options, const char *key,
                       const char *value)
{
    if (is(key, "port"))
        options->port = atoi(value);
    else if (is(key, "pid"))
        options->pid = atoi(value);
    else if (is(key, "seconds"))
        options->seconds = atof(value);
    else if (is(key, "connections"))
        options->connections = atoi(value);
    else if (is(key, "depth"))
        options->depth = atoi(value);
    else if (is(key, "size"))
        options->form.size = (size_t)atoi(value);
    else if (is(key, "kind"))
        set_kind(options, value);
    else if (is(key, "mib"))
        options->mib = strtoull(value, NULL, 10);
    else if (is(key, "repeat"))
        options->repeat = atoi(value);
    else if (is(key, "file"))
        options->file = value;
    else if (is(key, "http"))
        options->http = value;
    else if (is(key, "upstream"))
        options->upstream = atoi(value);
    else if (is(key, "resume"))
        options->resume = is(value, "yes");
    else if (is(key, "tls"))
        link_use_tls();
    else
        fail("unknown option %s", key);
}

static void print_port(void)
{
    int port;

    link_listen(&port);
    printf("port=%d\n", port);
}

int main(int argc, char **argv)
{
    struct workload_options options = {
        .seconds = 1, .warm_up = 0.1, .connections = 64, .depth = 1,
        .mib = 16, .repeat = 1, .form = {MESSAGE_LINE, 64}};

    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (is(argv[i], "--")) {
            options.command = argv + i + 1;
            break;
        }
        if (!value)
            fail("not key=value: %s", argv[i]);
        *value++ = 0;
        set_option(&options, argv[i], value);
    }
    if (argc > 1 && is(argv[1], "port")) {
        print_port();
        return 0;
    }
    if (argc > 1 && is(argv[1], "await")) {
        link_await(options.port);
        return 0;
    }
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (argc > 1 && is(workloads[i].name, argv[1])) {
            workloads[i].run(&options);
            return 0;
        }
    fail("which workload?");
}
