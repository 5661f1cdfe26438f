/* What the C tests share: CHECK says which fact does not hold and goes on;
 * main returns `failures > 0`. */
#ifndef WEIR_CHECK_H
#define WEIR_CHECK_H

#include <stdio.h>

static int failures;

#define CHECK(condition) \
    ((condition) \
         ? (void) 0 \
         : (void) (failures++, fprintf(stderr, "%s:%d: %s\n", __FILE__, \
                                       __LINE__, #condition)))

#endif
