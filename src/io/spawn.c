/* posix_spawn rather than fork: it reports a failed exec as an errno and does
 * not copy the page tables of a host that holds much memory. */
#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/net.h"

#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 29)
#define SPAWN_CAN_CHDIR
#endif
#if __GLIBC_PREREQ(2, 34)
#define SPAWN_CAN_CLOSE
#endif
#endif

extern char **environ;

static void close_all(int descriptors[3])
{
    for (int n = 0; n < 3; n++) {
        if (descriptors[n] >= 0)
            close(descriptors[n]);
        descriptors[n] = -1;
    }
}

/* Moves `fd` out of the way of the child's 0, 1 and 2: then no dup2 in the
 * child can overwrite the source of another one. */
static int lift(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(fd);
    errno = error;
    return lifted;
}

/* The child's end stays blocking: programs expect that of a pipe. */
static int open_pipe(int n, int *ours, int *theirs)
{
    int both[2];
    if (pipe(both) < 0)
        return errno;
    *ours = both[n == 0 ? 1 : 0];
    net_set_cloexec(both[0]);
    net_set_cloexec(both[1]);
    net_set_nonblocking(*ours, true);
    *theirs = lift(both[n == 0 ? 0 : 1]);
    return *theirs < 0 ? errno : 0;
}

static int duplicate(int fd, int *theirs)
{
    *theirs = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (*theirs < 0)
        return errno;
    /* Programs expect that; the shell's own are as they should be. */
    return fd > STDERR_FILENO ? net_set_nonblocking(*theirs, false) : 0;
}

static int open_new(enum spawn_kind kind, int n, int ours[3], int theirs[3])
{
    switch (kind) {
    case SPAWN_PIPE:
        return open_pipe(n, &ours[n], &theirs[n]);
    case SPAWN_NULL:
        theirs[n] = lift(open("/dev/null", O_RDWR | O_CLOEXEC));
        return theirs[n] < 0 ? errno : 0;
    case SPAWN_INHERIT:
    case SPAWN_FD:
    case SPAWN_STDOUT:
        break;
    }
    return 0;
}

/* The given ones come first: what is opened here might get the number of one
 * that is closed, and be taken for it. */
static int open_stdio(const struct spawn *spawn, int ours[3], int theirs[3])
{
    int error = 0;
    for (int n = 0; n < 3 && !error; n++)
        if (spawn->stdio[n].kind == SPAWN_FD)
            error = duplicate(spawn->stdio[n].fd, &theirs[n]);
    for (int n = 0; n < 3 && !error; n++)
        error = open_new(spawn->stdio[n].kind, n, ours, theirs);
    return error;
}

static int add_actions(posix_spawn_file_actions_t *actions,
                       const struct spawn *spawn, const int theirs[3])
{
    int error = 0;
    for (int n = 0; n < 3 && !error; n++)
        if (theirs[n] >= 0)
            error = posix_spawn_file_actions_adddup2(actions, theirs[n], n);
    if (!error && spawn->stdio[2].kind == SPAWN_STDOUT)
        error = posix_spawn_file_actions_adddup2(actions, 1, 2);
#ifdef SPAWN_CAN_CLOSE
    /* weir's own are close-on-exec, but io.open's and libraries' are not. */
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(actions, 3);
#endif
#ifdef SPAWN_CAN_CHDIR
    if (!error && spawn->directory)
        error = posix_spawn_file_actions_addchdir_np(actions, spawn->directory);
#endif
    return error;
}

static int set_attributes(posix_spawnattr_t *attributes, bool group)
{
    short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int error = posix_spawnattr_setsigdefault(attributes, &all);
    if (!error)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error && group) {
        flags |= POSIX_SPAWN_SETPGROUP;
        error = posix_spawnattr_setpgroup(attributes, 0);
    }
    return error ? error : posix_spawnattr_setflags(attributes, flags);
}

static int spawn_here(const struct spawn *spawn, const int theirs[3],
                      pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    error = add_actions(&actions, spawn, theirs);
    if (!error)
        error = set_attributes(&attributes, spawn->group);
    if (!error)
        error = posix_spawnp(
            pid, spawn->arguments[0], &actions, &attributes,
            (char *const *) spawn->arguments,
            spawn->environment ? (char *const *) spawn->environment : environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

#ifdef SPAWN_CAN_CHDIR
static int spawn_there(const struct spawn *spawn, const int theirs[3],
                       pid_t *pid)
{
    return spawn_here(spawn, theirs, pid);
}
#else
/* weir has one thread, so nobody sees that it was elsewhere for a moment. */
static int spawn_there(const struct spawn *spawn, const int theirs[3],
                       pid_t *pid)
{
    if (!spawn->directory)
        return spawn_here(spawn, theirs, pid);
    int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (home < 0)
        return errno;
    int error = chdir(spawn->directory) < 0 ? errno : 0;
    if (!error)
        error = spawn_here(spawn, theirs, pid);
    if (fchdir(home) < 0 && !error)
        error = errno;
    close(home);
    return error;
}
#endif

/* posix_spawn would say ENOENT for a directory and for a command alike. */
static int check_directory(const char *directory)
{
    struct stat status;
    if (stat(directory, &status) < 0)
        return errno;
    if (!S_ISDIR(status.st_mode))
        return ENOTDIR;
    return access(directory, X_OK) < 0 ? errno : 0;
}

int spawn_start(const struct spawn *spawn, pid_t *pid, int ends[3],
                const char **failed)
{
    int theirs[3] = {-1, -1, -1};
    memset(ends, -1, 3 * sizeof ends[0]);
    if (spawn->directory) {
        int error = check_directory(spawn->directory);
        *failed = spawn->directory;
        if (error)
            return error;
    }
    *failed = spawn->arguments[0];
    int error = open_stdio(spawn, ends, theirs);
    if (!error)
        error = spawn_there(spawn, theirs, pid);
    close_all(theirs);
    if (error)
        close_all(ends);
    return error;
}
