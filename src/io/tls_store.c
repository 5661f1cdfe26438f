/* Whom to trust: certificates from a file, a text or a folder; or the
 * system's, which all contexts share and which are read when first needed. */
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "io/tls_internal.h"

/* A server also names them when it asks for a client's certificate. */
static void add(void *owner, X509 *certificate)
{
    SSL_CTX *ctx = owner;
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), certificate);
    SSL_CTX_add_client_CA(ctx, certificate);
    ERR_clear_error();
}

static bool is_folder(const struct tls_text *source)
{
    struct stat info;
    return strlen(source->data) == source->size &&
           stat(source->data, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Opening a pipe would wait for whoever writes to it. */
static bool is_regular(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static bool add_file(SSL_CTX *ctx, const char *folder, const char *name)
{
    struct tls_fault ignored = {0};
    char *path = memory_format("%s/%s", folder, name);
    bool added =
        name[0] != '.' && is_regular(path) &&
        tls_pem_each_certificate(path, strlen(path), add, ctx, &ignored);
    free(ignored.message);
    free(path);
    return added;
}

/* Every file in it that holds certificates: no need for c_rehash. */
static bool add_folder(SSL_CTX *ctx, const char *path, struct tls_fault *to)
{
    DIR *folder = opendir(path);
    int error = folder ? ERROR_TLS : errno;
    bool any = false;
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        any |= add_file(ctx, path, entry->d_name);
    if (folder)
        closedir(folder);
    ERR_clear_error();
    if (any)
        return true;
    return tls_fault_set(
        to, error,
        memory_format("ca %s: %s", path,
                      folder ? "no certificate in it" : error_text(error)));
}

bool tls_store_load(struct tls_context *context, const struct tls_text *ca,
                    struct tls_fault *to)
{
    SSL_CTX *ctx = context->ctx;
    if (!ca->data)
        return true;
    context->trusts = true;
    /* One that is given is trusted, though it be signed by another. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx),
                                X509_V_FLAG_PARTIAL_CHAIN);
    if (is_folder(ca))
        return add_folder(ctx, ca->data, to);
    return tls_pem_each_certificate(ca->data, ca->size, add, ctx, to) ||
           tls_fault_name(to, "ca");
}

void tls_context_trust(struct tls_context *context)
{
    static X509_STORE *system;
    if (context->trusts)
        return;
    context->trusts = true;
    if (!system) {
        system = X509_STORE_new();
        X509_STORE_set_default_paths(system);
        ERR_clear_error();
    }
    X509_STORE_up_ref(system);
    SSL_CTX_set_cert_store(context->ctx, system);
}
