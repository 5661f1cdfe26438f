#include "io/tls_staple.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"

/* What a response may have at most; real ones have one or two KiB. */
#define SIZE_MOST ((size_t) 262144)

struct tls_staple {
    char *path;
    X509 *about;
    unsigned char *data;
    size_t size;
    struct stat info; /* of the file that `data` was read from */
    ASN1_GENERALIZEDTIME *from, *until; /* `until` may be NULL */
};

static bool fail(struct tls_fault *fault, int error, const char *path,
                 const char *words)
{
    return tls_fault_set(fault, error, memory_format("%s: %s", path, words));
}

/* Its bytes, to be freed; NULL with errno. */
static unsigned char *read_file(const char *path, size_t *size,
                                struct stat *info)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return NULL;
    unsigned char *data = memory_new(SIZE_MOST);
    *size = fread(data, 1, SIZE_MOST, file);
    int error = ferror(file) ? errno : 0;
    if (fstat(fileno(file), info) < 0)
        error = errno;
    fclose(file);
    if (!error)
        return memory_resize(data, *size + 1);
    free(data);
    errno = error;
    return NULL;
}

/* The answer about that certificate; NULL if there is none. */
static OCSP_SINGLERESP *find(OCSP_BASICRESP *basic, const X509 *about)
{
    const ASN1_INTEGER *wanted = X509_get0_serialNumber(about);
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        OCSP_CERTID *id = (OCSP_CERTID *) OCSP_SINGLERESP_get0_id(single);
        ASN1_INTEGER *serial = NULL;
        OCSP_id_get0_info(NULL, NULL, NULL, &serial, id);
        if (ASN1_INTEGER_cmp(serial, wanted) == 0)
            return single;
    }
    return NULL;
}

static void set_validity(struct tls_staple *staple, OCSP_SINGLERESP *single)
{
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    OCSP_single_get0_status(single, NULL, NULL, &from, &until);
    ASN1_GENERALIZEDTIME_free(staple->from);
    ASN1_GENERALIZEDTIME_free(staple->until);
    staple->from = ASN1_STRING_dup(from);
    staple->until = until ? ASN1_STRING_dup(until) : NULL;
}

/* Why the bytes cannot be stapled; NULL if they can. */
static const char *take_response(struct tls_staple *staple,
                                 const unsigned char *data, size_t size)
{
    const unsigned char *at = data;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long) size);
    OCSP_BASICRESP *basic =
        response ? OCSP_response_get1_basic(response) : NULL;
    OCSP_SINGLERESP *single = basic ? find(basic, staple->about) : NULL;
    if (single)
        set_validity(staple, single);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    if (single)
        return NULL;
    return basic      ? "an OCSP response about another certificate"
           : response ? "an OCSP response that says nothing"
                      : "not an OCSP response (DER)";
}

/* What was there before stays if this fails. */
static bool load(struct tls_staple *staple, struct tls_fault *fault)
{
    size_t size;
    unsigned char *data = read_file(staple->path, &size, &staple->info);
    if (!data) {
        int error = errno;
        return fail(fault, error, staple->path, error_text(error));
    }
    const char *words = take_response(staple, data, size);
    if (words) {
        free(data);
        return fail(fault, ERROR_TLS, staple->path, words);
    }
    free(staple->data);
    staple->data = data;
    staple->size = size;
    return true;
}

struct tls_staple *tls_staple_open(const char *path, X509 *about,
                                   struct tls_fault *fault)
{
    struct tls_staple *staple = memory_new(sizeof *staple);
    staple->path = memory_copy(path, strlen(path));
    X509_up_ref(staple->about = about);
    if (load(staple, fault))
        return staple;
    tls_staple_free(staple);
    return NULL;
}

static bool has_changed(const struct tls_staple *staple)
{
    const struct stat *old = &staple->info;
    struct stat now;
    return stat(staple->path, &now) == 0 &&
           (now.st_ino != old->st_ino || now.st_size != old->st_size ||
            now.st_mtim.tv_sec != old->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != old->st_mtim.tv_nsec);
}

const unsigned char *tls_staple_get(struct tls_staple *staple, size_t *size)
{
    struct tls_fault fault;
    if (has_changed(staple) && !load(staple, &fault))
        free(fault.message);
    int valid =
        OCSP_check_validity(staple->from, staple->until, TLS_STAPLE_SKEW, -1);
    ERR_clear_error();
    if (!valid)
        return NULL;
    *size = staple->size;
    return staple->data;
}

void tls_staple_free(struct tls_staple *staple)
{
    if (!staple)
        return;
    free(staple->path);
    free(staple->data);
    X509_free(staple->about);
    ASN1_GENERALIZEDTIME_free(staple->from);
    ASN1_GENERALIZEDTIME_free(staple->until);
    free(staple);
}
