/* Much at once, so that neither side waits for the other while it works. A
 * server that sleeps and is woken for every few blocks, or has to wake the
 * generator, costs what the scheduler makes of it: twice as much at times.
 *
 * What does not fit into the socket's buffers is moved as usual. Where Linux
 * is left to choose their sizes they grow with use: some batches come before
 * it counts. */
#ifndef BENCH_BATCH_H
#define BENCH_BATCH_H

#include "link.h"
#include "measure.h"

/* Sends it all to the server of `measure`, which is held still until it is
 * there. Over TLS it is encrypted before. */
void batch_send(struct link *link, struct measure *measure, const void *data,
                size_t size);

/* So many bytes are to come: until they are all here, input wakes nobody. */
void batch_expect(struct link *link, size_t size);
/* Sleeps until they are; then they can be received. */
void batch_await(struct link *link, struct measure *measure, size_t size);

#endif
