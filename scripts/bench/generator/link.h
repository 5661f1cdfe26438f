/* One connection of the generator, plain or TLS. Whatever goes wrong ends
 * the generator: a server under measurement makes no mistakes. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct link {
    int fd;
    SSL *tls; /* NULL: plain */
};

/* Every later link speaks TLS 1.3. */
void link_use_tls(void);
SSL_CTX *link_context(void);

/* Connects to 127.0.0.1 and shakes hands; blocking. */
void link_open(struct link *link, int port);
/* The same in two steps, without the handshake. */
int link_dial(int port);
void link_adopt(struct link *link, int fd);
/* From now on it does not block. */
void link_unblock(struct link *link);
/* With a reset, so that no port stays behind in TIME_WAIT. */
void link_close(struct link *link);
/* As clients do: close_notify over TLS, then FIN. */
void link_finish(struct link *link);

/* Bytes moved; 0: not now. Never at the end of the stream: that fails. */
size_t link_receive(struct link *link, void *data, size_t size);
size_t link_send(struct link *link, const void *data, size_t size);

/* Blocking links only: all of it. */
void link_receive_all(struct link *link, void *data, size_t size);
void link_send_all(struct link *link, const void *data, size_t size);

/* Waits until something accepts connections on the port. */
void link_await(int port);
/* A listening socket on a free port of 127.0.0.1. */
int link_listen(int *port);

#endif
