#include "io/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "io/net.h"

/* Opened for the direction that nobody uses: EBADF, as if it were closed. */
static int wrong_way(int fd)
{
    return fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
}

void standard_open(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void) !open("/dev/null", wrong_way(fd));
}

bool standard_is(int fd)
{
    return fd >= 0 && fd <= STDERR_FILENO;
}

void standard_adopt(int fd)
{
    if (standard_is(fd))
        return;
    net_set_nonblocking(fd, true);
    net_set_cloexec(fd);
}

/* dup2 is one step: the number is not free for a moment. Without /dev/null,
 * the old one stays open rather than that it becomes something else. */
void standard_close(int fd)
{
    if (!standard_is(fd)) {
        close(fd);
        return;
    }
    if (fd == STDOUT_FILENO)
        fflush(stdout);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return;
    dup2(null, fd);
    close(null);
}

/* --- the terminal --------------------------------------------------------- */

static struct termios mode;
static int terminal = -1; /* a descriptor of our own */

void standard_remember_terminal(int fd)
{
    if (terminal >= 0 || tcgetattr(fd, &mode) < 0)
        return;
    terminal = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (terminal >= 0)
        atexit(standard_restore_terminal);
}

/* In the background the terminal is somebody else's, and setting it would
 * stop the process (SIGTTOU). */
void standard_restore_terminal(void)
{
    int error = errno;
    if (terminal >= 0 && tcgetpgrp(terminal) == getpgrp())
        tcsetattr(terminal, TCSADRAIN, &mode);
    errno = error;
}
