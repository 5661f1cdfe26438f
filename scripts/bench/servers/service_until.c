/* Reads up to CR LF, however far away, looking at each byte once; answers
 * with the length and the last 64 bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services.h"

enum { TAIL = 64 };

struct growing {
    size_t room, size, scanned;
    char data[];
};

static struct growing *grow(struct growing *old)
{
    size_t room = old ? old->room * 2 : PEER_CHUNK * 2;
    struct growing *new = realloc(old, sizeof *new + room);

    if (!new)
        abort();
    if (!old)
        new->size = new->scanned = 0;
    new->room = room;
    return new;
}

static int answer(struct peer *peer, const char *data, size_t size)
{
    char text[32 + TAIL];
    int length = snprintf(text, sizeof text, "%zu ", size);

    memcpy(text + length, data + size - TAIL, TAIL);
    return peer_send(peer, text, (size_t)length + TAIL);
}

static void until_readable(struct peer *peer)
{
    struct growing *input = peer->state;

    if (!input || input->room - input->size < PEER_CHUNK)
        peer->state = input = grow(input);
    ssize_t got = peer_receive(peer, input->data + input->size, PEER_CHUNK);
    if (got == 0)
        return;
    if (got < 0) {
        peer_close(peer);
        return;
    }
    input->size += (size_t)got;
    char *found = memmem(input->data + input->scanned,
                         input->size - input->scanned, "\r\n", 2);
    if (!found) {
        input->scanned = input->size - 1;
        return;
    }
    size_t size = (size_t)(found - input->data) + 2;
    if (answer(peer, input->data, size) < 0) {
        peer_close(peer);
        return;
    }
    /* The client says nothing more before it has the answer. */
    free(input);
    peer->state = NULL;
}

const struct service until_service = {"until", until_readable, NULL};
