/* The transport that makes the network worse: around another one, it cuts
 * reads and writes short, makes callers wait, joins the last bytes with the
 * end, and resets the connection. For specs; the same seed gives the same
 * faults, as far as the kernel does. */
#ifndef WEIR_FAULTS_H
#define WEIR_FAULTS_H

#include "io/transport.h"

#include <stdint.h>

struct faults_options {
    uint64_t seed;
    size_t most;          /* bytes of one read or write, at most; 0: all */
    unsigned wait;        /* of so many calls one has to wait; 0: none */
    uint64_t reset_after; /* bytes moved, both ways; 0: never */
    bool join;            /* the end is seen together with the last bytes */
};

/* Around `inner`, which is set up already, and is freed with it. */
struct transport *faults_new(struct transport *inner,
                             const struct faults_options *options);

#endif
