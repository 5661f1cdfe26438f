/* The transport that adds nothing: sockets, pipes, terminals, files. */
#ifndef WEIR_PLAIN_H
#define WEIR_PLAIN_H

#include "io/transport.h"

/* Makes `*transport` (the caller's memory) a plain one around `fd`. */
void plain_init(struct transport *transport, int fd);

#endif
