/* What the C tests of event/ share: a loop, and turns of it. */
#ifndef WEIR_TURN_H
#define WEIR_TURN_H

#include <string.h>

#include "check.h"
#include "event/loop.h"
#include "io/net.h"

static struct loop *loop;

static inline void turn(void)
{
    loop_again(loop);
    loop_flush(loop);
    loop_poll(loop);
    loop_free_graves(loop);
}

static inline struct net_address address_of(const char *text)
{
    struct net_target target;
    const char *expected;
    CHECK(net_parse(&target, text, strlen(text), &expected));
    return target.address;
}

#endif
