/* Lines and frames, sent back as they came. Each message is looked at by
 * itself, as a server that answers them would. */
#include <arpa/inet.h>
#include <string.h>

#include "services.h"

static size_t split_lines(const char *data, size_t size)
{
    const char *at = data, *end = data + size;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            break;
        at = newline + 1;
    }
    return (size_t)(at - data);
}

static size_t split_frames(const char *data, size_t size)
{
    size_t at = 0;

    while (size - at >= 4) {
        uint32_t length;
        memcpy(&length, data + at, sizeof length);
        length = ntohl(length);
        if (size - at - 4 < length)
            break;
        at += 4 + length;
    }
    return at;
}

static void lines_readable(struct peer *peer)
{
    peer_echo(peer, split_lines);
}

static void frames_readable(struct peer *peer)
{
    peer_echo(peer, split_frames);
}

const struct service lines_service = {"lines", lines_readable, NULL};
const struct service frames_service = {"frames", frames_readable, NULL};
