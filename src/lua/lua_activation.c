/* weir.listen_fds: the sockets that systemd opened for this process.
 *
 * The protocol of sd_listen_fds(3): LISTEN_PID says whom they are for,
 * LISTEN_FDS how many there are, from descriptor 3 on, LISTEN_FDNAMES what
 * they are called, with colons between. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/net.h"
#include "lua/modules.h"

enum { FIRST = 3 };

/* What the environment says, read once: the variables are not for this
 * process's own children. */
static struct {
    bool read;
    int count;
    char *names;
} sockets;

static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (!text || !*text)
        return -1;
    errno = 0;
    long number = strtol(text, &end, 10);
    return errno || *end ? -1 : number;
}

static void read_environment(void)
{
    sockets.read = true;
    if (number_of("LISTEN_PID") != (long) getpid())
        return;
    long count = number_of("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    if (count > INT_MAX - FIRST)
        count = 0;
    while (sockets.count < count && net_set_cloexec(FIRST + sockets.count) == 0)
        sockets.count++;
    sockets.names = names ? memory_copy(names, strlen(names)) : NULL;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* weir.listen_fds() → addresses, names: two lists of equal length, empty
 * unless the process was started for sockets */
static int weir_listen_fds(lua_State *L)
{
    if (!sockets.read)
        read_environment();
    const char *name = sockets.names ? sockets.names : "";
    lua_newtable(L);
    lua_newtable(L);
    for (int i = 0; i < sockets.count; i++) {
        size_t size = strcspn(name, ":");
        lua_pushfstring(L, "fd:%d", FIRST + i);
        lua_rawseti(L, -3, i + 1);
        lua_pushlstring(L, name, size);
        lua_rawseti(L, -2, i + 1);
        name += size + (name[size] == ':');
    }
    return 2;
}

void lua_activation_open(lua_State *L)
{
    lua_pushcfunction(L, weir_listen_fds);
    lua_setfield(L, -2, "listen_fds");
}
