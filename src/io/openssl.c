/* OpenSSL's functions, found when they are first called: what the stubs that
 * scripts/openssl_stubs.lua makes come to. */
#include "io/openssl.h"

#include <stddef.h>

#ifndef OPENSSL_LIBRARY

const char *openssl_load(void)
{
    return NULL;
}

#else

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/tls_memory.h"

static void *library;

/* dlopen gives reasons in words alone: is it for want of a descriptor? */
static int load_error(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    close(fd);
    return ENOENT;
}

const char *openssl_load(void)
{
    if (library)
        return NULL;
    library = dlopen(OPENSSL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        errno = load_error();
        return dlerror();
    }
    tls_memory_begin();
    return NULL;
}

void *openssl_find(const char *name, void **slot)
{
    const char *wrong = openssl_load();
    *slot = wrong ? NULL : dlsym(library, name);
    if (!*slot) {
        fprintf(stderr, "weir: OpenSSL cannot be loaded: %s\n",
                wrong ? wrong : dlerror());
        exit(EXIT_FAILURE);
    }
    return *slot;
}

#endif
