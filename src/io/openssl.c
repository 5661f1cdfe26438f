/* OpenSSL's functions, found when they are first called: what the stubs that
 * scripts/openssl_stubs.lua makes come to. */
#include "io/openssl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/tls_memory.h"

static void *library;

static void *found(void *thing)
{
    if (thing)
        return thing;
    fprintf(stderr, "weir: OpenSSL cannot be loaded: %s\n", dlerror());
    exit(EXIT_FAILURE);
}

void *openssl_find(const char *name, void **slot)
{
    if (!library) {
        library = found(dlopen(OPENSSL_LIBRARY, RTLD_NOW | RTLD_LOCAL));
        tls_memory_begin();
    }
    *slot = found(dlsym(library, name));
    return *slot;
}
