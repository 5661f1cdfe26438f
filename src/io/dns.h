/* What a DNS answer says, record by record, without a loop or a socket.
 *
 * c-ares parses the popular record types, but drops their TTLs and knows no
 * others; here one table describes the layout of each type. */
#ifndef WEIR_DNS_H
#define WEIR_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/net.h"

enum { DNS_ANY = 255 };

/* Receives the records of an answer, one field at a time. Field names are
 * static; they are the RFCs': "preference", "exchange". */
struct dns_visitor {
    void *context;
    /* A record begins. `type` is "MX", or "TYPE65280" if it is not known. */
    void (*record)(void *context, const char *name, const char *type,
                   uint32_t ttl);
    void (*number)(void *context, const char *field, uint32_t value);
    void (*text)(void *context, const char *field, const char *data,
                 size_t size);
    /* One more element of a list. */
    void (*item)(void *context, const char *field, const char *data,
                 size_t size);
};

/* "MX", or "TYPE15" (RFC 3597) → 15; -1 if it is neither. */
int dns_type(const char *name);

/* Visits the records of `type` (DNS_ANY: all) in a message's answer section.
 * How many there are; -1 if the message is malformed, after some may have
 * been visited. `visitor` NULL: only counts. */
int dns_visit(const unsigned char *message, size_t size, int type,
              const struct dns_visitor *visitor);

/* The name whose PTR record names `address`: "1.0.0.127.in-addr.arpa".
 * False if it is not an IP address. */
#define DNS_REVERSE 80
bool dns_reverse(const struct net_address *address, char *name, size_t size);

#endif
