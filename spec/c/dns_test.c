/* DNS messages, whole and damaged. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "io/dns.h"

/* What a visitor saw, written as one line. */
static char seen[1024];

static void say(const char *text, size_t size)
{
    size_t used = strlen(seen);
    if (used + size < sizeof seen)
        memcpy(seen + used, text, size);
    seen[used + size] = '\0';
}

static void on_record(void *context, const char *name, const char *type,
                      uint32_t ttl)
{
    char line[256];
    (void) context;
    snprintf(line, sizeof line, "%s%s %s %u", seen[0] ? "; " : "", name, type,
             ttl);
    say(line, strlen(line));
}

static void on_number(void *context, const char *field, uint32_t value)
{
    char line[64];
    (void) context;
    snprintf(line, sizeof line, " %s=%u", field, value);
    say(line, strlen(line));
}

static void on_text(void *context, const char *field, const char *data,
                    size_t size)
{
    (void) context;
    say(" ", 1);
    say(field, strlen(field));
    say("=", 1);
    say(data, size);
}

static void on_item(void *context, const char *field, const char *data,
                    size_t size)
{
    (void) field;
    on_text(context, "+", data, size);
}

static const struct dns_visitor visitor = {NULL, on_record, on_number, on_text,
                                           on_item};

/* A header with one question for "a.b", then `count` records that name it
 * by a pointer. */
#define QUESTION \
    "\0\1\201\200\0\1\0\2\0\0\0\0" \
    "\1a\1b\0\0\17\0\1"
#define RECORD(type, size) "\300\14\0" type "\0\1\0\0\0\74\0" size

static int visit(const char *message, size_t size, int type)
{
    /* A block of its own: a sanitizer sees each byte read beyond it. */
    unsigned char *copy = malloc(size + !size);
    memcpy(copy, message, size);
    seen[0] = '\0';
    int count = dns_visit(copy, size, type, &visitor);
    free(copy);
    return count;
}

static const char mx[] = QUESTION RECORD("\5", "\4") "\1c\300\16" /* c.b */
    RECORD("\17", "\6") "\0\12\1m\300\14";

static void test_records(void)
{
    CHECK(visit(mx, sizeof mx - 1, 15) == 1);
    CHECK(strcmp(seen, "a.b MX 60 preference=10 exchange=m.a.b") == 0);
    CHECK(visit(mx, sizeof mx - 1, DNS_ANY) == 2);
    CHECK(strcmp(seen, "a.b CNAME 60 cname=c.b; "
                       "a.b MX 60 preference=10 exchange=m.a.b") == 0);
    CHECK(visit(mx, sizeof mx - 1, 16) == 0 && seen[0] == '\0');

    static const char more[] =
        QUESTION RECORD("\20", "\7") "\3abc\2de" /* TXT */
        RECORD("\1", "\4") "\177\0\0\1";
    CHECK(visit(more, sizeof more - 1, DNS_ANY) == 2);
    CHECK(strcmp(seen, "a.b TXT 60 +=abc +=de txt=abcde; "
                       "a.b A 60 address=127.0.0.1") == 0);
    static const char strange[] =
        QUESTION "\300\14\376\1\0\1\0\0\0\74\0\2hi" /* TYPE65025 */
        RECORD("\17", "\3") "\0\0\0";               /* no mail: "." */
    CHECK(visit(strange, sizeof strange - 1, DNS_ANY) == 2);
    CHECK(strcmp(seen, "a.b TYPE65025 60 data=hi; "
                       "a.b MX 60 preference=0 exchange=.") == 0);
}

static void test_damage(void)
{
    char copy[sizeof mx];
    for (size_t size = 0; size < sizeof mx - 1; size++)
        CHECK(visit(mx, size, DNS_ANY) == -1);
    for (size_t i = 0; i < sizeof mx - 1; i++) {
        memcpy(copy, mx, sizeof mx);
        for (int value = 0; value < 256; value++) {
            copy[i] = (char) value;
            visit(copy, sizeof mx - 1, DNS_ANY); /* must only survive */
        }
    }
}

static void test_types(void)
{
    CHECK(dns_type("MX") == 15 && dns_type("CAA") == 257);
    CHECK(dns_type("TYPE15") == 15 && dns_type("TYPE65535") == 65535);
    CHECK(dns_type("mx") == -1 && dns_type("") == -1);
    CHECK(dns_type("TYPE") == -1 && dns_type("TYPE65536") == -1);
    CHECK(dns_type("TYPE-1") == -1 && dns_type("TYPE1x") == -1);
}

static void test_reverse(void)
{
    char name[DNS_REVERSE];
    struct net_address address;
    CHECK(net_numeric(&address, "192.0.2.1", "0"));
    CHECK(dns_reverse(&address, name, sizeof name));
    CHECK(strcmp(name, "1.2.0.192.in-addr.arpa") == 0);
    CHECK(net_numeric(&address, "2001:db8::1", "0"));
    CHECK(dns_reverse(&address, name, sizeof name));
    CHECK(strcmp(name, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
                       "8.b.d.0.1.0.0.2.ip6.arpa") == 0);
    address.as.any.sa_family = AF_UNIX;
    CHECK(!dns_reverse(&address, name, sizeof name));
}

int main(void)
{
    test_records();
    test_damage();
    test_types();
    test_reverse();
    return failures > 0;
}
