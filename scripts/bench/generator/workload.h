/* What the generator can do. Each workload connects to the server, does its
 * work, checks every byte that comes back, and prints what it cost. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "message.h"

struct workload_options {
    int port;
    pid_t pid;          /* the server's */
    double seconds;     /* how long to go on */
    double warm_up;     /* seconds before it counts */
    int connections;
    int depth;          /* messages sent at once */
    uint64_t mib;       /* how much to move, or how far the delimiter is */
    int repeat;         /* how many times */
    const char *file;   /* what the server sends */
    const char *http;   /* ask for this path, and expect a header */
    int upstream;       /* port where the proxy's connection comes in */
    bool resume;        /* TLS sessions */
    struct message_form form;
    char **command;     /* start-up, network: what to run */
};

void workload_echo(const struct workload_options *options);
void workload_upload(const struct workload_options *options);
void workload_until(const struct workload_options *options);
void workload_download(const struct workload_options *options);
void workload_proxy(const struct workload_options *options);
void workload_handshake(const struct workload_options *options);
void workload_idle(const struct workload_options *options);
void workload_connections(const struct workload_options *options);
void workload_start(const struct workload_options *options);
void workload_serve(const struct workload_options *options);

/* Sets up the network namespace, and becomes the command. */
void network_run(const struct workload_options *options);

#endif
