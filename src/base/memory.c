#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *block, size_t size)
{
    if (block || size == 0)
        return block;
    fprintf(stderr, "weir: out of memory (%zu bytes)\n", size);
    abort();
}

void *memory_new(size_t size)
{
    return checked(calloc(1, size), size);
}

void *memory_resize(void *block, size_t size)
{
    return checked(realloc(block, size), size);
}

char *memory_copy(const void *data, size_t size)
{
    char *copy = checked(malloc(size + 1), size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

char *memory_join(const char *first, ...)
{
    va_list strings, again;
    size_t size = 1;
    va_start(strings, first);
    va_copy(again, strings);
    for (const char *next = first; next; next = va_arg(strings, char *))
        size += strlen(next);
    va_end(strings);
    char *text = checked(malloc(size), size), *end = text;
    for (const char *next = first; next; next = va_arg(again, char *))
        end = stpcpy(end, next);
    va_end(again);
    return text;
}

/* Most texts are short: then the format is gone through once. */
char *memory_format(const char *format, ...)
{
    char brief[256];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t size = (size_t) vsnprintf(brief, sizeof brief, format, arguments);
    va_end(arguments);
    char *text = checked(malloc(size + 1), size + 1);
    if (size < sizeof brief)
        memcpy(text, brief, size + 1);
    else
        vsnprintf(text, size + 1, format, again);
    va_end(again);
    return text;
}
