#include "message.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift
 * generators, scrambled" (2016). Fast is enough here. */
uint64_t message_random(void)
{
    static uint64_t state = 88172645463325252u;

    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 2685821657736338717u;
}

/* Eight characters from '@' to '_' at a time. */
void message_letters(char *text, size_t size)
{
    while (size > 0) {
        uint64_t word = (message_random() & 0x1f1f1f1f1f1f1f1fu) +
                        0x4040404040404040u;
        size_t step = size < sizeof word ? size : sizeof word;

        memcpy(text, &word, step);
        text += step;
        size -= step;
    }
}

/* LuaJIT hashes long strings by four words of them: all of them differ. */
static void stamp_block(char *block)
{
    const size_t places[] = {0, MESSAGE_BLOCK / 4 - 4, MESSAGE_BLOCK / 2 - 4,
                             MESSAGE_BLOCK - 8};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        message_letters(block + places[i], 8);
}

void message_stamp(char *data, size_t size)
{
    for (size_t at = 0; at + MESSAGE_BLOCK <= size; at += MESSAGE_BLOCK)
        stamp_block(data + at);
}

/* PING's inline form: "PING text\r\n" is answered "$59\r\ntext\r\n". */
static size_t redis_text_size(const struct message_form *form)
{
    return form->size - strlen("PING \r\n");
}

size_t message_sent_size(const struct message_form *form)
{
    return form->kind == MESSAGE_FRAME ? 4 + form->size : form->size;
}

size_t message_expected_size(const struct message_form *form)
{
    if (form->kind != MESSAGE_REDIS)
        return message_sent_size(form);
    size_t text = redis_text_size(form);
    return (size_t)snprintf(NULL, 0, "$%zu\r\n", text) + text + 2;
}

void message_make(const struct message_form *form, char *sent,
                  char *expected)
{
    if (form->kind == MESSAGE_LINE) {
        message_letters(sent, form->size - 1);
        sent[form->size - 1] = '\n';
    } else if (form->kind == MESSAGE_FRAME) {
        uint32_t length = htonl((uint32_t)form->size);
        memcpy(sent, &length, sizeof length);
        message_letters(sent + sizeof length, form->size);
    } else {
        size_t text = redis_text_size(form);
        memcpy(sent, "PING ", 5);
        message_letters(sent + 5, text);
        memcpy(sent + 5 + text, "\r\n", 2);
        int prefix = sprintf(expected, "$%zu\r\n", text);
        memcpy(expected + prefix, sent + 5, text + 2);
    }
}
