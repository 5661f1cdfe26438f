#include "base/escape.h"

static char letter_of(unsigned char byte)
{
    switch (byte) {
    case '\r':
        return 'r';
    case '\n':
        return 'n';
    case '\t':
        return 't';
    case '"':
    case '\\':
        return (char) byte;
    default:
        return '\0';
    }
}

size_t escape_byte(char *to, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    char letter = letter_of(byte);
    if (!letter && byte >= ' ' && byte < 0x7f) {
        to[0] = (char) byte;
        return 1;
    }
    to[0] = '\\';
    to[1] = letter ? letter : 'x';
    if (letter)
        return 2;
    to[2] = digits[byte >> 4];
    to[3] = digits[byte & 15];
    return 4;
}
