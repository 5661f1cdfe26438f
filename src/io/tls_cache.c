/* Contexts made from equal settings are the same one, as long as it is used
 * now and then: reading certificates takes longer than a handshake, and the
 * sessions that one connection leaves are for the next. */
#include <dirent.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/tls_internal.h"

#define KEPT 16

/* A digest, for settings hold passwords and keys. */
struct identity {
    unsigned char bytes[32];
};

struct kept {
    struct identity identity;
    struct tls_context *context;
};

static struct kept kept[KEPT]; /* the one used last comes first */
static int kept_count;

static void add(EVP_MD_CTX *digest, const char *data, size_t size)
{
    size_t length = data ? size : (size_t) -1;
    EVP_DigestUpdate(digest, &length, sizeof length);
    if (data)
        EVP_DigestUpdate(digest, data, size);
}

static void add_string(EVP_MD_CTX *digest, const char *string)
{
    add(digest, string, string ? strlen(string) : 0);
}

static void add_number(EVP_MD_CTX *digest, long long number)
{
    EVP_DigestUpdate(digest, &number, sizeof number);
}

/* A file that has changed is another one. */
static void add_state(EVP_MD_CTX *digest, const struct stat *info)
{
    add_number(digest, (long long) info->st_dev);
    add_number(digest, (long long) info->st_ino);
    add_number(digest, (long long) info->st_size);
    add_number(digest, (long long) info->st_mtim.tv_sec);
    add_number(digest, (long long) info->st_mtim.tv_nsec);
}

/* A folder has not changed when a file in it has. */
static void add_folder(EVP_MD_CTX *digest, const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    struct stat info;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' &&
            fstatat(dirfd(folder), entry->d_name, &info, 0) == 0)
            add_state(digest, &info);
    if (folder)
        closedir(folder);
}

static void add_file(EVP_MD_CTX *digest, const struct tls_text *source)
{
    struct stat info;
    add(digest, source->data, source->size);
    if (!source->data || strlen(source->data) != source->size ||
        stat(source->data, &info) != 0)
        return;
    add_state(digest, &info);
    if (S_ISDIR(info.st_mode))
        add_folder(digest, source->data);
}

static void identify(const struct tls_settings *settings,
                     struct identity *identity)
{
    const char *path = settings->ocsp_response;
    struct tls_text response = {path, path ? strlen(path) : 0};
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
    add_file(digest, &settings->cert);
    add_file(digest, &settings->key);
    add_file(digest, &settings->ca);
    add(digest, settings->password.data, settings->password.size);
    add(digest, settings->alpn.data, settings->alpn.size);
    add(digest, settings->session.data, settings->session.size);
    add_string(digest, settings->server_name);
    add_string(digest, settings->ciphers);
    add_string(digest, settings->ciphersuites);
    add_string(digest, settings->keylog);
    add_string(digest, getenv("SSLKEYLOGFILE"));
    add_file(digest, &response);
    add_number(digest, settings->ocsp);
    add_number(digest, settings->min_version);
    add_number(digest, settings->max_version);
    add_number(digest, settings->verify);
    add_number(digest, settings->asks);
    EVP_DigestFinal_ex(digest, identity->bytes, NULL);
    EVP_MD_CTX_free(digest);
}

/* Makes room at the front, at the cost of the entry at `index`. */
static void move_back(int index)
{
    memmove(kept + 1, kept, (size_t) index * sizeof *kept);
}

struct tls_context *tls_context_get(const struct tls_settings *settings,
                                    struct tls_fault *fault)
{
    struct kept found;
    if (!tls_available(fault))
        return NULL;
    identify(settings, &found.identity);
    for (int i = 0; i < kept_count; i++) {
        if (memcmp(&kept[i].identity, &found.identity, sizeof found.identity) !=
            0)
            continue;
        found = kept[i];
        move_back(i);
        kept[0] = found;
        return tls_context_retain(found.context);
    }
    found.context = tls_context_make(settings, fault);
    if (!found.context)
        return NULL;
    if (kept_count == KEPT)
        tls_context_release(kept[--kept_count].context);
    move_back(kept_count++);
    kept[0] = found;
    return tls_context_retain(found.context);
}
