/* The sessions of clients: kept by each context, under the name and address
 * that they are for, so that the next connection there is resumed. */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/tls_internal.h"

static void forget(struct tls_context *context, int index)
{
    struct tls_session *session = &context->sessions[index];
    free(session->key);
    SSL_SESSION_free(session->session);
    context->session_count--;
    memmove(session, session + 1,
            sizeof *session * (size_t) (context->session_count - index));
}

/* The reference that OpenSSL gave becomes the context's if it is kept. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *tls = tls_of_ssl(ssl);
    struct tls_context *context = tls->context;
    if (tls->server || !tls->session_key)
        return 0;
    if (!context->sessions)
        context->sessions =
            memory_new(TLS_SESSIONS * sizeof(struct tls_session));
    if (context->session_count == TLS_SESSIONS)
        forget(context, 0);
    struct tls_session *kept = &context->sessions[context->session_count++];
    kept->key = memory_copy(tls->session_key, strlen(tls->session_key));
    kept->session = session;
    return 1;
}

void tls_session_setup(struct tls_context *context)
{
    SSL_CTX_set_session_cache_mode(
        context->ctx, SSL_SESS_CACHE_BOTH | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ctx, on_new_session);
}

void tls_session_free_all(struct tls_context *context)
{
    while (context->session_count > 0)
        forget(context, context->session_count - 1);
    free(context->sessions);
    SSL_SESSION_free(context->session);
}

/* RFC 8446, C.4: who sees a ticket twice can tell that the client is the
 * same. TLS 1.2's say it anyway. */
static bool is_for_once(const SSL_SESSION *session)
{
    return SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION;
}

SSL_SESSION *tls_session_take(struct tls_context *context, const char *key)
{
    for (int i = context->session_count - 1; key && i >= 0; i--) {
        SSL_SESSION *session = context->sessions[i].session;
        if (strcmp(context->sessions[i].key, key) != 0)
            continue;
        SSL_SESSION_up_ref(session);
        if (is_for_once(session))
            forget(context, i);
        return session;
    }
    if (context->session)
        SSL_SESSION_up_ref(context->session);
    return context->session;
}

char *tls_get_session(struct transport *transport, size_t *size)
{
    SSL *ssl = ((struct tls *) transport)->ssl;
    SSL_SESSION *session = SSL_get_session(ssl);
    unsigned char *end = NULL;
    if (!session || !SSL_SESSION_is_resumable(session))
        return NULL;
    int length = i2d_SSL_SESSION(session, NULL);
    if (length <= 0)
        return NULL;
    char *bytes = memory_new((size_t) length);
    end = (unsigned char *) bytes;
    *size = (size_t) i2d_SSL_SESSION(session, &end);
    return bytes;
}
