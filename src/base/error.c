#include "base/error.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct name {
    const char *code, *text;
};

static const struct name own[] = {
    [-ERROR_EOF] = {"EOF", "End of file"},
    [-ERROR_CLOSED] = {"ECLOSED", "Closed on this side"},
    [-ERROR_TLS] = {"ETLS", "TLS failure"},
    [-ERROR_TRUNCATED] = {"ETRUNCATED", "The peer ended without close_notify"},
    [-ERROR_TASK] = {"ETASK", "The task ended in an error"},
};

/* By c-ares' status number; this layer knows no ares.h. Where c-ares has its
 * own word for what errno names too, programs get errno's, and its "EOF" (a
 * file or connection that ended early) must not look like a peer's end. */
static const struct name resolve[] = {
    {"ESERVFAIL", "Name resolution failed"},
    {"ENODATA", "No record of that type"},
    {"EFORMERR", "The name server says the query is malformed"},
    {"ESERVFAIL", "The name server failed"},
    {"ENOTFOUND", "Name not found"},
    {"ENOTIMP", "The name server does not implement this query"},
    {"EREFUSED", "The name server refused the query"},
    {"EBADQUERY", "Malformed query"},
    {"EBADNAME", "Malformed name"},
    {"EBADFAMILY", "Unsupported address family"},
    {"EBADRESP", "Malformed answer of the name server"},
    {"ECONNREFUSED", "No name server could be reached"},
    {"ETIMEDOUT", "The name servers did not answer in time"},
    {"EBADRESP", "The name server's answer ended early"},
    {"EFILE", "The hosts file cannot be read"},
    {"ENOMEM", "Out of memory"},
    {"ECANCELED", "The resolver was shut down"},
    {"EBADSTR", "Malformed string"},
    {"EBADFLAGS", "Illegal flags"},
    {"ENONAME", "Not a host name or a numeric address"},
    {"EBADHINTS", "Illegal hints"},
    {"ENOTINITIALIZED", "The resolver is not initialized"},
    {"ELOADIPHLPAPI", "Cannot load iphlpapi"},
    {"EADDRGETNETWORKPARAMS", "Cannot find GetNetworkParams"},
    {"ECANCELED", "Name resolution was cancelled"},
    {"ESERVICE", "Not a service name or a port"},
    {"ENOSERVER", "No name server is configured"},
};

#define COUNT(table) ((int) (sizeof(table) / sizeof((table)[0])))

/* The entry for one of weir's own errors; NULL for an errno. */
static const struct name *find(int error)
{
    if (error >= 0)
        return NULL;
    if (error > -COUNT(own))
        return &own[-error];
    int status = ERROR_RESOLVE - error;
    if (status >= 0 && status < COUNT(resolve))
        return &resolve[status];
    return &resolve[0];
}

#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 32)
#define SYSTEM_NAMES_ERRNOS
#endif
#endif

#ifdef SYSTEM_NAMES_ERRNOS

static const char *errno_name(int error)
{
    return strerrorname_np(error);
}

#else

/* The ones that programs compare. */
static const char *errno_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = {
#define NAME(name) \
    { \
        name, #name \
    }
        NAME(EACCES),          NAME(EADDRINUSE),   NAME(EADDRNOTAVAIL),
        NAME(EAFNOSUPPORT),    NAME(EAGAIN),       NAME(EALREADY),
        NAME(EBADF),           NAME(EBUSY),        NAME(ECANCELED),
        NAME(ECONNABORTED),    NAME(ECONNREFUSED), NAME(ECONNRESET),
        NAME(EEXIST),          NAME(EHOSTUNREACH), NAME(EINPROGRESS),
        NAME(EINTR),           NAME(EINVAL),       NAME(EIO),
        NAME(EISCONN),         NAME(EISDIR),       NAME(ELOOP),
        NAME(EMFILE),          NAME(EMSGSIZE),     NAME(ENAMETOOLONG),
        NAME(ENETDOWN),        NAME(ENETUNREACH),  NAME(ENFILE),
        NAME(ENOBUFS),         NAME(ENODEV),       NAME(ENOENT),
        NAME(ENOEXEC),         NAME(ENOMEM),       NAME(ENOPROTOOPT),
        NAME(ENOSPC),          NAME(ENOSYS),       NAME(ENOTCONN),
        NAME(ENOTDIR),         NAME(ENOTSOCK),     NAME(ENOTSUP),
        NAME(EPERM),           NAME(EPIPE),        NAME(EPROTO),
        NAME(EPROTONOSUPPORT), NAME(EROFS),        NAME(ESRCH),
        NAME(ETIMEDOUT),       NAME(ETXTBSY),
#undef NAME
    };
    for (int i = 0; i < COUNT(names); i++) {
        if (names[i].error == error)
            return names[i].name;
    }
    return NULL;
}

#endif

const char *error_code(int error)
{
    static char number[16];
    const struct name *name = find(error);
    if (name)
        return name->code;
    const char *code = errno_name(error);
    if (code)
        return code;
    snprintf(number, sizeof number, "E%d", error);
    return number;
}

const char *error_text(int error)
{
    const struct name *name = find(error);
    return name ? name->text : strerror(error);
}
