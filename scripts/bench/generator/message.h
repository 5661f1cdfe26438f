/* Messages that are never the same twice, and what should come back.
 * Identical lines would flatter a Lua host: it interns strings. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

enum message_kind { MESSAGE_LINE, MESSAGE_FRAME, MESSAGE_REDIS };

struct message_form {
    enum message_kind kind;
    size_t size; /* of a line with its newline; of a frame without prefix */
};

/* Bytes on the wire there and back. */
size_t message_sent_size(const struct message_form *form);
size_t message_expected_size(const struct message_form *form);

/* Writes one message, and the answer that is due. For kinds that are sent
 * back as they are, only `sent` is written. */
void message_make(const struct message_form *form, char *sent,
                  char *expected);

/* Random letters; `size` of them. */
void message_letters(char *text, size_t size);
uint64_t message_random(void);

/* Makes every 64 KiB of `data` differ from what they were before. */
enum { MESSAGE_BLOCK = 65536 };
void message_stamp(char *data, size_t size);

#endif
