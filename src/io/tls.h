/* TLS as a transport (RFC 5246, RFC 8446), with OpenSSL.
 *
 * Records come and go through memory: one system call brings several, or
 * sends several, and OpenSSL never sees the descriptor. What it has not taken
 * yet, or the descriptor has not, is kept here; an idle connection keeps
 * nothing. */
#ifndef WEIR_TLS_H
#define WEIR_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "io/tls_context.h"
#include "io/transport.h"

/* A transport around `fd`, to be set up by its handshake; ->class->free frees
 * it. It keeps the context. */
struct tls_peer {
    /* A client: the name to ask for (SNI) and to verify; a numeric address is
     * verified only. NULL: none, and then nothing but the chain is. */
    const char *name;
    /* A client: sessions are kept and resumed under this; NULL: they are
     * not. */
    const char *session_key;
    /* A server: bytes that were read before. */
    const char *read;
    size_t read_size;
};
struct transport *tls_client(struct tls_context *context, int fd,
                             const struct tls_peer *peer);
struct transport *tls_server(struct tls_context *context, int fd,
                             const struct tls_peer *peer);

/* Is it one of these? */
bool tls_is(const struct transport *transport);

/* After IO_WANT_OWNER: the name that the client asked for, and the context
 * that serves it (NULL: the one it was made with). `refuse` ends the
 * handshake. */
const char *tls_asked_name(const struct transport *transport);
void tls_answer(struct transport *transport, struct tls_context *context,
                bool refuse);

/* What was agreed on. Strings live as long as the transport. */
struct tls_info {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *alpn; /* NULL: none */
    size_t alpn_size;
    const char *server_name;  /* NULL: none was asked for */
    const char *verify_error; /* NULL: the peer was verified, or has no
                                 certificate */
    bool resumed;
    bool verified;
    bool server;
};
/* False while the handshake is not done. */
bool tls_get_info(struct transport *transport, struct tls_info *info);

/* The session to resume, for tls_settings.session; NULL if there is none
 * yet. To be freed. */
char *tls_get_session(struct transport *transport, size_t *size);

/* The peer's certificates, its own first; NULL past the last. Lives as long
 * as the transport. */
struct x509_st;
struct x509_st *tls_peer_certificate(const struct transport *transport,
                                     int index);

#endif
