#include "io/tls_pem.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "io/openssl.h"

/* What has several lines is no path either, and must not get into a message
 * of one line. */
static bool is_text(const char *source, size_t size)
{
    static const char begin[] = "-----BEGIN";
    return memmem(source, size, begin, sizeof begin - 1) != NULL ||
           memchr(source, '\n', size) != NULL;
}

const char *tls_key_reason(void)
{
    unsigned long error = ERR_peek_error();
    const char *reason = tls_reason();
    bool none = ERR_GET_LIB(error) == ERR_LIB_OSSL_DECODER &&
                ERR_GET_REASON(error) == ERR_R_UNSUPPORTED;
    return none ? "no private key in it (unsupported)" : reason;
}

static const char *certificate_reason(void)
{
    bool none = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const char *reason = tls_reason();
    return none ? "no certificate in it (no start line)" : reason;
}

char *tls_pem_name(const char *source, size_t size)
{
    if (is_text(source, size))
        return memory_copy("PEM text", 8);
    return memory_copy(source, size);
}

static void fail(struct tls_fault *fault, int error, const char *source,
                 size_t size, const char *words)
{
    char *name = tls_pem_name(source, size);
    tls_fault_set(fault, error, memory_format("%s: %s", name, words));
    free(name);
}

/* What fopen makes of a name that no file can have, or of a folder, would
 * only show later, as a PEM without a beginning. */
static FILE *open_file(const char *path, size_t size)
{
    struct stat info;
    if (strlen(path) != size) {
        errno = ENOENT;
        return NULL;
    }
    FILE *file = fopen(path, "rbe");
    if (file && fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
        fclose(file);
        errno = EISDIR;
        return NULL;
    }
    return file;
}

bool tls_available(struct tls_fault *fault)
{
    const char *wrong = openssl_load();
    if (!wrong)
        return true;
    return tls_fault_set(fault, errno,
                         memory_format("OpenSSL cannot be loaded: %s", wrong));
}

BIO *tls_pem_open(const char *source, size_t size, struct tls_fault *fault)
{
    if (!tls_available(fault))
        return NULL;
    if (is_text(source, size))
        return BIO_new_mem_buf(source, (int) size);
    FILE *file = open_file(source, size);
    if (!file) {
        int error = errno;
        fail(fault, error, source, size, error_text(error));
        return NULL;
    }
    return BIO_new_fp(file, BIO_CLOSE);
}

/* An encrypted key must not make OpenSSL ask on the terminal. */
static int no_password(char *buffer, int size, int writing, void *owner)
{
    (void) buffer, (void) size, (void) writing, (void) owner;
    return -1;
}

bool tls_pem_each_certificate(const char *source, size_t size,
                              void (*visit)(void *context, X509 *certificate),
                              void *context, struct tls_fault *fault)
{
    BIO *bio = tls_pem_open(source, size, fault);
    X509 *certificate;
    bool any = false;
    if (!bio)
        return false;
    ERR_clear_error();
    while ((certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
        visit(context, certificate);
        X509_free(certificate);
        any = true;
    }
    BIO_free(bio);
    /* Past the last one there is "no start line": that is the end. */
    if (any && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
        ERR_clear_error();
        return true;
    }
    fail(fault, ERROR_TLS, source, size, certificate_reason());
    return false;
}

X509 *tls_pem_certificate(const char *source, size_t size,
                          struct tls_fault *fault)
{
    BIO *bio = tls_pem_open(source, size, fault);
    if (!bio)
        return NULL;
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (!certificate)
        fail(fault, ERROR_TLS, source, size, certificate_reason());
    return certificate;
}

EVP_PKEY *tls_pem_key(const char *source, size_t size, struct tls_fault *fault)
{
    BIO *bio = tls_pem_open(source, size, fault);
    if (!bio)
        return NULL;
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (!key)
        fail(fault, ERROR_TLS, source, size, tls_key_reason());
    return key;
}
