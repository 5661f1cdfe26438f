/* The descriptors 0, 1 and 2, which weir shares with the shell and with its
 * other children: their numbers stay taken, and their terminal is left as it
 * was found. */
#ifndef WEIR_STANDARD_H
#define WEIR_STANDARD_H

#include <stdbool.h>

/* Those that the parent left closed are taken, so that nothing else that is
 * opened can become standard output. They still fail like closed ones. */
void standard_open(void);

bool standard_is(int fd);

/* What others gave becomes ours: it does not block any more, and is not open
 * in the programs that weir starts. Not so a standard one. */
void standard_adopt(int fd);

/* close(2), but the number of a standard descriptor stays taken: what goes
 * there from now on goes nowhere. */
void standard_close(int fd);

/* If `fd` is a terminal: its mode is as it is now when the process exits. */
void standard_remember_terminal(int fd);
/* Puts the mode back now. May be called in a signal's handler. */
void standard_restore_terminal(void);

#endif
