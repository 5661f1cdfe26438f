/* The transport that adds nothing: sockets, pipes, terminals, files. */
#ifndef WEIR_PLAIN_H
#define WEIR_PLAIN_H

#include "io/transport.h"

/* Makes `*transport` (the caller's memory) a plain one around `fd`, which is
 * non-blocking. */
void plain_init(struct transport *transport, int fd);

/* The same around a socket of that address family. */
void plain_init_socket(struct transport *transport, int fd, int family);

/* The same around a descriptor whose blocking flag is shared with other
 * processes (standard input and output) and stays as it is: no call blocks,
 * whatever the flag says. There is no send_file. */
void plain_init_shared(struct transport *transport, int fd);

#endif
