/* What print and io.write say, on its way to descriptor 1.
 *
 * C's stdout is one whose writes are ours, so that streams on the same
 * descriptor keep their place: what they have queued was said before, and
 * leaves first; on glibc, that is. (Hooks on print would miss C libraries, and
 * buffers that fill up.) */
#ifndef WEIR_PRINTED_H
#define WEIR_PRINTED_H

#include <stdbool.h>

/* Before anything is printed. */
void printed_open(void);

/* `before` is called before each write(2). */
void printed_after(void (*before)(void));

/* Writes what is kept back, without calling `before` any more. NULL; or why
 * it, or some of what was written before, could not be written. */
const char *printed_end(void);

/* Is standard output a pipe that nobody reads, although somebody has printed
 * there? May be called in a signal's handler. */
bool printed_broken(void);

#endif
