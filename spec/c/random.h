/* The same random numbers in every run. */
#ifndef WEIR_RANDOM_H
#define WEIR_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* A number below `below`: xorshift, Marsaglia, J. Stat. Software 8 (14). */
static inline size_t random_below(size_t below)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t) (state % below);
}

#endif
