/* What the files of TLS share with each other and nobody else: those of
 * contexts (tls_context.c, _cache, _store, _session) and those of connections
 * (tls.c, _bio, _peer, _info). OpenSSL's types are only named here. */
#ifndef WEIR_TLS_INTERNAL_H
#define WEIR_TLS_INTERNAL_H

#include "base/buffer.h"
#include "io/tls.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct bio_st;

/* --- contexts ------------------------------------------------------------- */

#define TLS_SESSIONS 64 /* that one context keeps for its clients */

struct tls_session {
    char *key;
    struct ssl_session_st *session;
};

struct tls_context {
    struct ssl_ctx_st *ctx;
    int references;
    unsigned number; /* no other has it */
    enum tls_verify verify;
    bool serves;
    bool trusts; /* the authorities given, or the system's, are loaded */
    char *server_name;
    char *alpn; /* as on the wire */
    size_t alpn_size;
    struct ssl_session_st *session; /* given; NULL: none */
    struct tls_session *sessions;   /* oldest first */
    int session_count;
    int keylog; /* a descriptor, or -1 */
};

/* With one reference; NULL: see `fault`. */
struct tls_context *tls_context_make(const struct tls_settings *settings,
                                     struct tls_fault *fault);

/* Trusts those in `ca`, if it is given. */
bool tls_store_load(struct tls_context *context, const struct tls_text *ca,
                    struct tls_fault *fault);
/* Loads the system's authorities, unless others were given. */
void tls_context_trust(struct tls_context *context);

/* --- sessions of clients -------------------------------------------------- */

/* Makes connections of `context` keep their sessions. */
void tls_session_setup(struct tls_context *context);
void tls_session_free_all(struct tls_context *context);
/* One to resume, to be freed; NULL: none. Each of TLS 1.3 is given once. */
struct ssl_session_st *tls_session_take(struct tls_context *context,
                                        const char *key);

/* --- connections ---------------------------------------------------------- */

enum tls_question { TLS_UNANSWERED, TLS_ANSWERED, TLS_REFUSED };

struct tls {
    struct transport transport; /* first */
    struct ssl_st *ssl;
    struct tls_context *context;
    struct buffer input;  /* records that OpenSSL has not taken yet */
    struct buffer output; /* records that the descriptor has not taken yet */
    size_t accepted;      /* bytes written whose records are in `output` */
    size_t limit;         /* bytes that the read under way asks for */
    char *reason;         /* words for ERROR_TLS */
    char *verify_words;   /* why the peer is not the right one */
    char *name;           /* asked for, or that a client asks for */
    char *session_key;
    int read_error;  /* the descriptor's */
    int write_error; /* the descriptor's */
    enum tls_question question;
    bool server;
    bool socketless; /* the descriptor is no socket */
    bool established;
    bool starved; /* OpenSSL asked for more than there is */
    bool eof;     /* the descriptor ended */
    bool broken;  /* OpenSSL failed: nothing more can be asked of it */
    bool greeted; /* the peer's first byte has come, */
    bool foreign; /* and no record of TLS begins with it */
};

/* What OpenSSL made; where it could not, there is no memory left. */
void *tls_made(void *object);
/* The same of a call that says whether it was done. */
void tls_must(int done);
/* A BIO for `tls`; and back from what uses it, for callbacks. */
struct bio_st *tls_bio_new(struct tls *tls);
struct tls *tls_of_ssl(const struct ssl_st *ssl);
/* Every use of tls->ssl is between these two. Reading may ask the descriptor
 * for what `limit` bytes need. The end keeps what is left of the records
 * read. */
void tls_bio_begin(struct tls *tls, size_t limit);
void tls_bio_end(struct tls *tls);
/* In between: is there more to read, without asking the descriptor? Was
 * something written? */
bool tls_bio_more(const struct tls *tls);
bool tls_bio_written(void);
/* Gives the descriptor what was written: all that it takes. */
void tls_bio_send(struct tls *tls);
/* Forgets what was written since begin. */
void tls_bio_discard(void);
#define TLS_RECORD ((size_t) 16384) /* bytes that fit into one */
/* How many bytes can be written between begin and end and still leave in one
 * system call. */
#define TLS_GATHER ((size_t) 131072)

/* --- verification --------------------------------------------------------- */

/* Sets up how tls->ssl verifies its peer: what is wrong with it is put into
 * tls->verify_words. */
void tls_peer_setup(struct tls *tls, const struct tls_context *context);
/* After a handshake of a client: is its peer the one that it asked for? What
 * the resumption of a session does not check. */
bool tls_peer_accepted(struct tls *tls);

#endif
