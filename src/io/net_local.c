/* Unix sockets and their files, which outlive them. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/net.h"

/* The path of its file; NULL if it has none. */
static const char *path_of(const struct net_address *address)
{
    const struct sockaddr_un *local = &address->as.local;
    bool named = local->sun_family == AF_UNIX && local->sun_path[0] != '\0';
    return named ? local->sun_path : NULL;
}

/* Does nobody answer behind this socket file? Only a refusal proves it, and
 * only of a socket: another file refuses as well, a full backlog (EAGAIN) or
 * a socket of another type does not. A listener between its bind and its
 * listen refuses: that race remains. */
static bool is_stale(const struct net_address *address, int type)
{
    struct stat info;
    if (lstat(address->as.local.sun_path, &info) != 0)
        return errno == ENOENT;
    if (!S_ISSOCK(info.st_mode))
        return false;
    int fd = net_socket(AF_UNIX, type);
    if (fd < 0)
        return false;
    int error = net_connect(fd, address);
    close(fd);
    return error == ECONNREFUSED || error == ENOENT;
}

int net_bind_local(int fd, const struct net_address *address, int type)
{
    if (bind(fd, &address->as.any, address->length) == 0)
        return 0;
    if (errno != EADDRINUSE || !path_of(address))
        return errno;
    if (!is_stale(address, type))
        return EADDRINUSE;
    unlink(address->as.local.sun_path);
    return bind(fd, &address->as.any, address->length) ? errno : 0;
}

void net_file_note(struct net_file *file, const struct net_address *address)
{
    struct stat info;
    const char *path = path_of(address);
    memset(file, 0, sizeof *file);
    if (!path || lstat(path, &info) != 0)
        return;
    file->device = info.st_dev;
    file->inode = info.st_ino;
}

void net_file_remove(struct net_file *file, const struct net_address *address)
{
    struct net_file now;
    net_file_note(&now, address);
    if (file->inode != 0 && file->inode == now.inode &&
        file->device == now.device)
        unlink(address->as.local.sun_path);
    file->inode = 0;
}
