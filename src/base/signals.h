/* Signals by their names without SIG: "INT", "TERM", "USR1". */
#ifndef WEIR_SIGNALS_H
#define WEIR_SIGNALS_H

/* 0 if there is none of that name ("SIGTERM" is one, too). */
int signals_number(const char *name);

/* NULL if the number has no name, as those of real-time signals. */
const char *signals_name(int number);

#endif
