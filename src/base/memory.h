/* Allocation that cannot fail: out of memory aborts with one line. */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include <stddef.h>

/* A zeroed block of `size` bytes, freed with free(). */
void *memory_new(size_t size);

/* realloc(3): the block may move. */
void *memory_resize(void *block, size_t size);

/* A copy of `size` bytes, with a zero byte after them. */
char *memory_copy(const void *data, size_t size);

/* Strings, the last one followed by NULL, in a row: what is needed often, for
 * printf takes a thousand instructions. */
char *memory_join(const char *first, ...) __attribute__((sentinel));

/* printf(3) into a fresh string. */
char *memory_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
