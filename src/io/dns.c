#include "io/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 12
#define MOST_FIELDS 7

enum kind {
    END,
    U8,
    U16,
    U32,
    IPV4,
    IPV6,
    NAME,    /* a domain name, maybe compressed */
    STRING,  /* one byte of length, then bytes */
    STRINGS, /* as many of these as there are */
    REST     /* all remaining bytes */
};

struct field {
    enum kind kind;
    const char *name;
};

struct layout {
    int type;
    const char *name;
    struct field fields[MOST_FIELDS + 1];
};

static const struct layout layouts[] = {
    {1, "A", {{IPV4, "address"}}},
    {2, "NS", {{NAME, "nsdname"}}},
    {5, "CNAME", {{NAME, "cname"}}},
    {6,
     "SOA",
     {{NAME, "mname"},
      {NAME, "rname"},
      {U32, "serial"},
      {U32, "refresh"},
      {U32, "retry"},
      {U32, "expire"},
      {U32, "minimum"}}},
    {12, "PTR", {{NAME, "ptrdname"}}},
    {13, "HINFO", {{STRING, "cpu"}, {STRING, "os"}}},
    {15, "MX", {{U16, "preference"}, {NAME, "exchange"}}},
    {16, "TXT", {{STRINGS, "strings"}}},
    {28, "AAAA", {{IPV6, "address"}}},
    {33,
     "SRV",
     {{U16, "priority"}, {U16, "weight"}, {U16, "port"}, {NAME, "target"}}},
    {35,
     "NAPTR",
     {{U16, "order"},
      {U16, "preference"},
      {STRING, "flags"},
      {STRING, "services"},
      {STRING, "regexp"},
      {NAME, "replacement"}}},
    {39, "DNAME", {{NAME, "target"}}},
    {43,
     "DS",
     {{U16, "key_tag"},
      {U8, "algorithm"},
      {U8, "digest_type"},
      {REST, "digest"}}},
    {44,
     "SSHFP",
     {{U8, "algorithm"}, {U8, "fingerprint_type"}, {REST, "fingerprint"}}},
    {48,
     "DNSKEY",
     {{U16, "flags"}, {U8, "protocol"}, {U8, "algorithm"}, {REST, "key"}}},
    {52,
     "TLSA",
     {{U8, "usage"}, {U8, "selector"}, {U8, "matching_type"}, {REST, "data"}}},
    {64, "SVCB", {{U16, "priority"}, {NAME, "target"}, {REST, "params"}}},
    {65, "HTTPS", {{U16, "priority"}, {NAME, "target"}, {REST, "params"}}},
    {99, "SPF", {{STRINGS, "strings"}}},
    {DNS_ANY, "ANY", {{REST, "data"}}},
    {256, "URI", {{U16, "priority"}, {U16, "weight"}, {REST, "target"}}},
    {257, "CAA", {{U8, "flags"}, {STRING, "tag"}, {REST, "value"}}},
};

#define LAYOUTS (sizeof layouts / sizeof *layouts)

/* Of a type that is not in the table. */
static const struct layout unknown = {0, NULL, {{REST, "data"}}};

/* Where reading stands. `end` is the message's, or the record's. */
struct cursor {
    const unsigned char *message, *at, *end;
    size_t size;
};

static size_t left(const struct cursor *cursor)
{
    return (size_t) (cursor->end - cursor->at);
}

static bool take(struct cursor *cursor, size_t size, uint32_t *number)
{
    if (left(cursor) < size)
        return false;
    for (*number = 0; size > 0; size--)
        *number = *number << 8 | *cursor->at++;
    return true;
}

/* To be freed with ares_free_string; NULL if malformed. */
static char *take_name(struct cursor *cursor)
{
    char *name;
    long used;
    if (left(cursor) == 0 ||
        ares_expand_name(cursor->at, cursor->message, (int) cursor->size, &name,
                         &used) != ARES_SUCCESS)
        return NULL;
    if ((size_t) used <= left(cursor)) {
        cursor->at += used;
        return name;
    }
    ares_free_string(name);
    return NULL;
}

static bool visit_name(struct cursor *cursor, const char *field,
                       const struct dns_visitor *visitor)
{
    char *name = take_name(cursor);
    if (!name)
        return false;
    const char *shown = name[0] ? name : "."; /* the root */
    visitor->text(visitor->context, field, shown, strlen(shown));
    ares_free_string(name);
    return true;
}

static bool visit_address(struct cursor *cursor, int family, size_t size,
                          const char *field, const struct dns_visitor *visitor)
{
    char text[INET6_ADDRSTRLEN];
    if (left(cursor) < size)
        return false;
    inet_ntop(family, cursor->at, text, sizeof text);
    cursor->at += size;
    visitor->text(visitor->context, field, text, strlen(text));
    return true;
}

static bool take_string(struct cursor *cursor, const char **data, size_t *size)
{
    uint32_t length;
    if (!take(cursor, 1, &length) || left(cursor) < length)
        return false;
    *data = (const char *) cursor->at;
    *size = length;
    cursor->at += length;
    return true;
}

static bool visit_strings(struct cursor *cursor, const char *field,
                          const struct dns_visitor *visitor)
{
    char all[65536];
    const char *data;
    size_t size, total = 0;
    while (left(cursor) > 0) {
        if (!take_string(cursor, &data, &size))
            return false;
        visitor->item(visitor->context, field, data, size);
        memcpy(all + total, data, size);
        total += size;
    }
    /* Long texts are split to fit, and meant to be read as one (RFC 7208). */
    visitor->text(visitor->context, "txt", all, total);
    return true;
}

static bool visit_field(struct cursor *cursor, const struct field *field,
                        const struct dns_visitor *visitor)
{
    static const size_t sizes[] = {[U8] = 1, [U16] = 2, [U32] = 4};
    const char *data = (const char *) cursor->at;
    size_t size = left(cursor);
    uint32_t number;
    switch (field->kind) {
    case U8:
    case U16:
    case U32:
        if (!take(cursor, sizes[field->kind], &number))
            return false;
        visitor->number(visitor->context, field->name, number);
        return true;
    case IPV4:
        return visit_address(cursor, AF_INET, 4, field->name, visitor);
    case IPV6:
        return visit_address(cursor, AF_INET6, 16, field->name, visitor);
    case NAME:
        return visit_name(cursor, field->name, visitor);
    case STRINGS:
        return visit_strings(cursor, field->name, visitor);
    case STRING:
        if (!take_string(cursor, &data, &size))
            return false;
        break;
    default: /* REST */
        cursor->at = cursor->end;
        break;
    }
    visitor->text(visitor->context, field->name, data, size);
    return true;
}

static const struct layout *layout_of(int type)
{
    for (size_t i = 0; i < LAYOUTS; i++)
        if (layouts[i].type == type)
            return &layouts[i];
    return &unknown;
}

int dns_type(const char *name)
{
    for (size_t i = 0; i < LAYOUTS; i++)
        if (strcmp(layouts[i].name, name) == 0)
            return layouts[i].type;
    if (strncmp(name, "TYPE", 4) != 0 || name[4] < '0' || name[4] > '9')
        return -1;
    char *end;
    unsigned long type = strtoul(name + 4, &end, 10);
    return *end == '\0' && type <= 65535 ? (int) type : -1;
}

static bool visit_data(struct cursor data, int type, const char *name,
                       uint32_t ttl, const struct dns_visitor *visitor)
{
    const struct layout *layout = layout_of(type);
    char number[16];
    snprintf(number, sizeof number, "TYPE%d", type);
    visitor->record(visitor->context, name,
                    layout->name ? layout->name : number, ttl);
    for (const struct field *field = layout->fields; field->kind; field++)
        if (!visit_field(&data, field, visitor))
            return false;
    return true;
}

/* 1 if the record at the cursor was visited, 0 if it is of another type, -1
 * if it is malformed. */
static int visit_record(struct cursor *cursor, int wanted,
                        const struct dns_visitor *visitor)
{
    uint32_t type, class, ttl, size;
    int visited = 0;
    char *name = take_name(cursor);
    if (!name)
        return -1;
    if (!take(cursor, 2, &type) || !take(cursor, 2, &class) ||
        !take(cursor, 4, &ttl) || !take(cursor, 2, &size) ||
        left(cursor) < size) {
        visited = -1;
    } else if (wanted == DNS_ANY || wanted == (int) type) {
        struct cursor data = *cursor;
        data.end = data.at + size;
        visited = visit_data(data, (int) type, name, ttl, visitor) ? 1 : -1;
    }
    if (visited >= 0)
        cursor->at += size;
    ares_free_string(name);
    return visited;
}

/* Behind the header and the questions; false if malformed. */
static bool skip_questions(struct cursor *cursor, uint32_t *answers)
{
    uint32_t questions, ignored;
    if (cursor->size < HEADER_SIZE)
        return false;
    cursor->at += 4;
    take(cursor, 2, &questions);
    take(cursor, 2, answers);
    cursor->at += 4;
    while (questions-- > 0) {
        char *name = take_name(cursor);
        if (!name)
            return false;
        ares_free_string(name);
        if (!take(cursor, 4, &ignored))
            return false;
    }
    return true;
}

static void ignore_record(void *context, const char *name, const char *type,
                          uint32_t ttl)
{
    (void) context, (void) name, (void) type, (void) ttl;
}

static void ignore_number(void *context, const char *field, uint32_t value)
{
    (void) context, (void) field, (void) value;
}

static void ignore_text(void *context, const char *field, const char *data,
                        size_t size)
{
    (void) context, (void) field, (void) data, (void) size;
}

static const struct dns_visitor nobody = {NULL, ignore_record, ignore_number,
                                          ignore_text, ignore_text};

int dns_visit(const unsigned char *message, size_t size, int type,
              const struct dns_visitor *visitor)
{
    struct cursor cursor = {message, message, message + size, size};
    uint32_t answers;
    int count = 0;
    if (!visitor)
        visitor = &nobody;
    if (!skip_questions(&cursor, &answers))
        return -1;
    while (answers-- > 0) {
        int visited = visit_record(&cursor, type, visitor);
        if (visited < 0)
            return -1;
        count += visited;
    }
    return count;
}

bool dns_reverse(const struct net_address *address, char *name, size_t size)
{
    const struct sockaddr_in *four = (const void *) &address->as;
    const struct sockaddr_in6 *six = (const void *) &address->as;
    const unsigned char *bytes;
    if (address->as.any.sa_family == AF_INET) {
        bytes = (const void *) &four->sin_addr;
        snprintf(name, size, "%u.%u.%u.%u.in-addr.arpa", bytes[3], bytes[2],
                 bytes[1], bytes[0]);
        return true;
    }
    if (address->as.any.sa_family != AF_INET6)
        return false;
    bytes = six->sin6_addr.s6_addr;
    for (int i = 15, used = 0; i >= 0; i--)
        used += snprintf(name + used, size - (size_t) used, "%x.%x.",
                         bytes[i] & 15, bytes[i] >> 4);
    strncat(name, "ip6.arpa", size - strlen(name) - 1);
    return true;
}
