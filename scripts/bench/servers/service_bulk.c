/* Reads blocks of 64 KiB, and answers every 1024th with its last 64 bytes. */
#include <stdlib.h>

#include "services.h"

enum { BLOCK = 65536, BLOCKS = 1024, TAIL = 64 };

static void bulk_readable(struct peer *peer)
{
    do {
        char *room = peer->state;

        if (!room) /* unfinished blocks of other connections stay apart */
            peer->state = room = malloc(BLOCK);
        if (!room)
            abort();
        size_t have = peer->count % BLOCK;
        ssize_t got = peer_receive(peer, room + have, BLOCK - have);
        if (got == 0)
            return;
        if (got < 0) {
            peer_close(peer);
            return;
        }
        peer->count += (uint64_t)got;
        if (peer->count % ((uint64_t)BLOCK * BLOCKS) == 0 &&
            peer_send(peer, room + BLOCK - TAIL, TAIL) < 0) {
            peer_close(peer);
            return;
        }
    } while (!peer->unsent && peer_has_more(peer));
}

const struct service bulk_service = {"bulk", bulk_readable, NULL};
