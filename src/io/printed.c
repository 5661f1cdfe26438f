#include "io/printed.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

static void (*before_write)(void);
static int failure; /* errno of the last write that failed */

#ifdef __GLIBC__

/* The descriptor may have been made non-blocking by others who share it. */
static ssize_t write_waiting(const char *data, size_t size)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    for (;;) {
        ssize_t count = write(STDOUT_FILENO, data, size);
        if (count >= 0 || (errno != EAGAIN && errno != EINTR))
            return count;
        if (errno == EAGAIN)
            poll(&output, 1, -1);
    }
}

/* Less than `size` tells stdio that it failed. */
static ssize_t cookie_write(void *cookie, const char *data, size_t size)
{
    size_t done = 0;
    (void) cookie;
    if (before_write)
        before_write();
    while (done < size) {
        ssize_t count = write_waiting(data + done, size - done);
        if (count <= 0) {
            failure = count < 0 ? errno : EIO;
            break;
        }
        done += (size_t) count;
    }
    return (ssize_t) done;
}

static int cookie_seek(void *cookie, off64_t *position, int whence)
{
    (void) cookie;
    off_t to = lseek(STDOUT_FILENO, (off_t) *position, whence);
    *position = to;
    return to < 0 ? -1 : 0;
}

/* What fileno(3) says has no setter, and C libraries that scripts load ask it
 * whether this is a terminal. glibc's struct, at least, is no secret. */
void printed_open(void)
{
    cookie_io_functions_t functions = {.write = cookie_write,
                                       .seek = cookie_seek};
    FILE *file = fopencookie(NULL, "w", functions);
    if (!file)
        return;
    setvbuf(file, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, 0);
    file->_fileno = STDOUT_FILENO;
    stdout = file;
}

#else

/* Elsewhere stdout is no variable, or no FILE can be made up: there what
 * streams have queued leaves in its own time. */
void printed_open(void)
{
}

#endif

void printed_after(void (*before)(void))
{
    before_write = before;
}

const char *printed_end(void)
{
    before_write = NULL;
    fflush(stdout);
    bool failed = ferror(stdout);
    __fpurge(stdout); /* exit would try once more */
    return failed ? strerror(failure) : NULL;
}

/* stdio learns of a failure when the write returns, after the first SIGPIPE:
 * it is the second one that tells. */
bool printed_broken(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    int error = errno;
    bool broken = ferror_unlocked(stdout) && poll(&output, 1, 0) == 1 &&
                  (output.revents & POLLERR);
    errno = error;
    return broken;
}
