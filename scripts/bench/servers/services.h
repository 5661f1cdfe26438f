/* What the bare C server can do; see each file. */
#ifndef BENCH_SERVICES_H
#define BENCH_SERVICES_H

#include "peer.h"

extern const struct service lines_service;  /* echoes lines */
extern const struct service frames_service; /* echoes length-prefixed frames */
extern const struct service bulk_service;   /* reads 64 KiB blocks */
extern const struct service until_service;  /* reads up to a far delimiter */
extern const struct service source_service; /* sends a payload on request */
extern const struct service file_service;   /* sends a file on request */

/* The file that source_service and file_service send. */
void source_open(const char *path);
void file_open(const char *path);

/* Forwards everything to `port`, and back. */
void proxy_new(int fd, int port);

#endif
