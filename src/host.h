/* The process: one Lua state, one loop, one script. */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include "options.h"

/* Does what the command line asks for; returns the exit status. */
int host_run(const struct options *options);

#endif
