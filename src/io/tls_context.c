#include "io/tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "io/tls_internal.h"

/* "ciphers NONSENSE: no cipher match" */
static bool openssl_fault(struct tls_fault *to, const char *what,
                          const char *value)
{
    return tls_fault_set(to, ERROR_TLS,
                         memory_format("%s %s: %s", what, value, tls_reason()));
}

/* --- certificate and key -------------------------------------------------- */

struct chain {
    SSL_CTX *ctx;
    int count;
    bool failed;
};

static void add_to_chain(void *context, X509 *certificate)
{
    struct chain *chain = context;
    int done = chain->count++ == 0
                   ? SSL_CTX_use_certificate(chain->ctx, certificate)
                   : SSL_CTX_add1_chain_cert(chain->ctx, certificate);
    if (done != 1)
        chain->failed = true;
}

static bool load_certificate(struct tls_context *context,
                             const struct tls_settings *settings,
                             struct tls_fault *to)
{
    struct chain chain = {.ctx = context->ctx};
    if (!tls_pem_each_certificate(settings->cert.data, settings->cert.size,
                                  add_to_chain, &chain, to))
        return tls_fault_name(to, "certificate");
    if (!chain.failed)
        return true;
    char *name = tls_pem_name(settings->cert.data, settings->cert.size);
    openssl_fault(to, "certificate", name);
    free(name);
    return false;
}

struct password {
    struct tls_text text;
    bool asked;
};

static int give_password(char *buffer, int size, int writing, void *owner)
{
    struct password *password = owner;
    (void) writing;
    password->asked = true;
    if (!password->text.data || password->text.size > (size_t) size)
        return -1;
    memcpy(buffer, password->text.data, password->text.size);
    return (int) password->text.size;
}

/* OpenSSL has many ways to say that a password does not fit. */
static char *key_words(const char *name, const struct password *password)
{
    const char *reason = tls_key_reason();
    if (password->asked && !password->text.data)
        return memory_format("key %s: encrypted, and no password given", name);
    if (password->asked)
        return memory_format("key %s: wrong password (%s)", name, reason);
    return memory_format("key %s: %s", name, reason);
}

static bool use_key(SSL_CTX *ctx, EVP_PKEY *key, const char *name,
                    const struct tls_settings *settings, struct tls_fault *to)
{
    /* Asked first, for a certificate and a key of two kinds do not disturb
     * SSL_CTX_use_PrivateKey. */
    if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) == 1 &&
        SSL_CTX_use_PrivateKey(ctx, key) == 1)
        return true;
    char *certificate = tls_pem_name(settings->cert.data, settings->cert.size);
    tls_fault_set(to, ERROR_TLS,
                  memory_format("key %s does not fit certificate %s: %s", name,
                                certificate, tls_reason()));
    free(certificate);
    return false;
}

/* Without a file of its own, the key is in the certificate's. */
static bool load_key(struct tls_context *context,
                     const struct tls_settings *settings, struct tls_fault *to)
{
    const struct tls_text *source =
        settings->key.data ? &settings->key : &settings->cert;
    BIO *bio = tls_pem_open(source->data, source->size, to);
    if (!bio)
        return tls_fault_name(to, "key");
    struct password password = {.text = settings->password};
    EVP_PKEY *key =
        PEM_read_bio_PrivateKey(bio, NULL, give_password, &password);
    BIO_free(bio);
    char *name = tls_pem_name(source->data, source->size);
    bool done = false;
    if (key)
        done = use_key(context->ctx, key, name, settings, to);
    else
        tls_fault_set(to, ERROR_TLS, key_words(name, &password));
    EVP_PKEY_free(key);
    free(name);
    return done;
}

/* --- protocols ------------------------------------------------------------ */

static int protocol(int version)
{
    switch (version) {
    case 10:
        return TLS1_VERSION;
    case 11:
        return TLS1_1_VERSION;
    case 13:
        return TLS1_3_VERSION;
    default:
        return TLS1_2_VERSION;
    }
}

static bool set_protocols(struct tls_context *context,
                          const struct tls_settings *settings,
                          struct tls_fault *to)
{
    SSL_CTX *ctx = context->ctx;
    SSL_CTX_set_min_proto_version(ctx, protocol(settings->min_version));
    if (settings->max_version)
        SSL_CTX_set_max_proto_version(ctx, protocol(settings->max_version));
    if (settings->ciphers &&
        SSL_CTX_set_cipher_list(ctx, settings->ciphers) != 1)
        return openssl_fault(to, "ciphers", settings->ciphers);
    if (settings->ciphersuites &&
        SSL_CTX_set_ciphersuites(ctx, settings->ciphersuites) != 1)
        return openssl_fault(to, "ciphersuites", settings->ciphersuites);
    return true;
}

/* RFC 7301, 3.2: the server's order decides; nothing in common is fatal. */
static int choose_alpn(SSL *ssl, const unsigned char **out,
                       unsigned char *out_size, const unsigned char *offered,
                       unsigned offered_size, void *owner)
{
    struct tls_context *context = owner;
    (void) ssl;
    int found = SSL_select_next_proto(
        (unsigned char **) out, out_size, (unsigned char *) context->alpn,
        (unsigned) context->alpn_size, offered, offered_size);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK
                                           : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void set_alpn(struct tls_context *context,
                     const struct tls_settings *settings)
{
    if (settings->alpn.size == 0)
        return;
    context->alpn = memory_copy(settings->alpn.data, settings->alpn.size);
    context->alpn_size = settings->alpn.size;
    SSL_CTX_set_alpn_protos(context->ctx, (unsigned char *) context->alpn,
                            (unsigned) context->alpn_size);
    SSL_CTX_set_alpn_select_cb(context->ctx, choose_alpn, context);
}

/* --- what connections ask ------------------------------------------------- */

/* The name in a ClientHello's server_name extension (RFC 6066, 3); NULL if
 * there is none, or none that can be one. */
static char *hello_name(SSL *ssl)
{
    const unsigned char *data;
    size_t size;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) !=
        1)
        return NULL;
    /* list length, type, name length, name */
    if (size < 5 || data[2] != TLSEXT_NAMETYPE_host_name)
        return NULL;
    size_t length = (size_t) data[3] << 8 | data[4];
    if (length == 0 || length > size - 5 || length > 255 ||
        memchr(data + 5, '\0', length))
        return NULL;
    return memory_copy(data + 5, length);
}

static int on_client_hello(SSL *ssl, int *alert, void *owner)
{
    struct tls *tls = tls_of_ssl(ssl);
    (void) owner;
    if (tls->question == TLS_REFUSED) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (tls->question == TLS_ANSWERED)
        return SSL_CLIENT_HELLO_SUCCESS;
    tls->name = hello_name(ssl);
    if (!tls->name)
        return SSL_CLIENT_HELLO_SUCCESS;
    return SSL_CLIENT_HELLO_RETRY;
}

/* Only a name that was accepted is kept with the session (TLS 1.2), and can be
 * told of a connection that resumes it. */
static int accept_name(SSL *ssl, int *alert, void *owner)
{
    (void) ssl;
    (void) alert;
    (void) owner;
    return SSL_TLSEXT_ERR_OK;
}

static void write_keys(const SSL *ssl, const char *line)
{
    const struct tls *tls = tls_of_ssl(ssl);
    char *text = memory_format("%s\n", line);
    size_t length = strlen(text);
    /* One call, so that several hosts may share the file; a full disk must
     * not end the connection. */
    ssize_t written = write(tls->context->keylog, text, length);
    (void) written;
    OPENSSL_cleanse(text, length);
    free(text);
}

static bool set_keylog(struct tls_context *context,
                       const struct tls_settings *settings,
                       struct tls_fault *to)
{
    const char *path = settings->keylog;
    if (!path)
        path = getenv("SSLKEYLOGFILE");
    if (!path || !*path)
        return true;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 && settings->keylog) {
        int error = errno;
        return tls_fault_set(
            to, error, memory_format("keylog %s: %s", path, error_text(error)));
    }
    context->keylog = fd;
    if (fd >= 0)
        SSL_CTX_set_keylog_callback(context->ctx, write_keys);
    return true;
}

static bool set_ocsp(struct tls_context *context,
                     const struct tls_settings *settings, struct tls_fault *to)
{
    if (!settings->ocsp && !settings->ocsp_response)
        return true;
    return tls_ocsp_setup(context->ctx, settings->ocsp, settings->ocsp_response,
                          to) ||
           tls_fault_name(to, "ocsp_response");
}

static bool set_session(struct tls_context *context,
                        const struct tls_settings *settings,
                        struct tls_fault *to)
{
    const unsigned char *data = (const unsigned char *) settings->session.data;
    if (!data)
        return true;
    context->session =
        d2i_SSL_SESSION(NULL, &data, (long) settings->session.size);
    ERR_clear_error();
    return context->session ||
           tls_fault_set(to, ERROR_TLS,
                         memory_format("session: not one that "
                                       "tls_info() gave"));
}

/* --- making --------------------------------------------------------------- */

static void set_fixed(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_dh_auto(ctx, 1);
    SSL_CTX_set_tlsext_servername_callback(ctx, accept_name);
}

static bool fill(struct tls_context *context,
                 const struct tls_settings *settings, struct tls_fault *to)
{
    set_fixed(context->ctx);
    tls_session_setup(context);
    context->verify = settings->verify;
    context->serves = settings->cert.data != NULL;
    if (settings->server_name)
        context->server_name =
            memory_copy(settings->server_name, strlen(settings->server_name));
    if (settings->asks)
        SSL_CTX_set_client_hello_cb(context->ctx, on_client_hello, NULL);
    set_alpn(context, settings);
    if (!set_protocols(context, settings, to))
        return false;
    if (settings->cert.data && (!load_certificate(context, settings, to) ||
                                !load_key(context, settings, to)))
        return false;
    return tls_store_load(context, &settings->ca, to) &&
           set_session(context, settings, to) &&
           set_ocsp(context, settings, to) && set_keylog(context, settings, to);
}

struct tls_context *tls_context_make(const struct tls_settings *settings,
                                     struct tls_fault *to)
{
    static unsigned count;
    struct tls_context *context = memory_new(sizeof *context);
    context->references = 1;
    context->number = ++count;
    context->keylog = -1;
    ERR_clear_error();
    context->ctx = SSL_CTX_new(TLS_method());
    /* Such as a configuration file of OpenSSL's that it does not like. */
    if (!context->ctx)
        tls_fault_set(to, ERROR_TLS,
                      memory_format("OpenSSL: %s", tls_reason()));
    else if (fill(context, settings, to))
        return context;
    tls_context_release(context);
    return NULL;
}

struct tls_context *tls_context_retain(struct tls_context *context)
{
    context->references++;
    return context;
}

void tls_context_release(struct tls_context *context)
{
    if (!context || --context->references > 0)
        return;
    tls_session_free_all(context);
    SSL_CTX_free(context->ctx);
    if (context->keylog >= 0)
        close(context->keylog);
    free(context->alpn);
    free(context->server_name);
    free(context);
}

bool tls_context_serves(const struct tls_context *context)
{
    return context->serves;
}

bool tls_context_verifies(const struct tls_context *context)
{
    return context->verify == TLS_VERIFY_DEFAULT ||
           context->verify == TLS_VERIFY_REQUIRED;
}

const char *tls_context_server_name(const struct tls_context *context)
{
    return context->server_name;
}
