/* Bytes as text, the way strings are written in Lua and in C. */
#ifndef WEIR_ESCAPE_H
#define WEIR_ESCAPE_H

#include <stddef.h>

enum { ESCAPE_MOST = 4 }; /* characters for one byte */

/* Writes one byte as it stands between quotes: \r \n \t \" \\, \xNN with two
 * digits for whatever else is not printable ASCII. How many characters that
 * were; no zero byte follows. */
size_t escape_byte(char *to, unsigned char byte);

#endif
