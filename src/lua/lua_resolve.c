/* weir.resolve: names to addresses, and all other DNS records. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "event/resolver.h"
#include "io/dns.h"
#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/task.h"

/* The slots of an operation; its object is the name, which is anchored. */
enum { QUERY, TYPE };

static void cancel(struct operation *op)
{
    resolver_cancel(operation_room(op)->slot[QUERY].pointer);
}

static void describe(struct operation *op, char *text, size_t size)
{
    snprintf(text, size, "%s", (const char *) op->object);
}

static const struct operation_class resolve_class = {
    .name = "resolve", .cancel = cancel, .describe = describe};

/* Pushes "127.0.0.1", "::1" or "fe80::1%eth0". */
static void push_host(lua_State *L, const struct net_address *address)
{
    char text[NET_TEXT];
    net_format(address, text, sizeof text);
    bool bracketed = text[0] == '[';
    size_t size = (size_t) (strrchr(text, ':') - text);
    if (bracketed)
        lua_pushlstring(L, text + 1, size - 2);
    else
        lua_pushlstring(L, text, size);
}

static void on_found(void *owner, int error,
                     const struct net_address *addresses, size_t count)
{
    struct operation *op = owner;
    if (error) {
        operation_fail(op, error, NULL);
        return;
    }
    lua_State *to = operation_results(op);
    lua_createtable(to, (int) count, 0);
    for (size_t i = 0; i < count; i++) {
        push_host(to, &addresses[i]);
        lua_rawseti(to, -2, (int) i + 1);
    }
    operation_finish(op, 1);
}

/* The list is on top of the stack between the records, the record last begun
 * is its last element. */
static void push_record(void *context, const char *name, const char *type,
                        uint32_t ttl)
{
    lua_State *L = context;
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, type);
    lua_setfield(L, -2, "type");
    lua_pushnumber(L, ttl);
    lua_setfield(L, -2, "ttl");
    lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
}

static void get_record(lua_State *L)
{
    lua_rawgeti(L, -1, (int) lua_objlen(L, -1));
}

static void push_number(void *context, const char *field, uint32_t value)
{
    lua_State *L = context;
    get_record(L);
    lua_pushnumber(L, value);
    lua_setfield(L, -2, field);
    lua_pop(L, 1);
}

static void push_text(void *context, const char *field, const char *data,
                      size_t size)
{
    lua_State *L = context;
    get_record(L);
    lua_pushlstring(L, data, size);
    lua_setfield(L, -2, field);
    lua_pop(L, 1);
}

static void push_item(void *context, const char *field, const char *data,
                      size_t size)
{
    lua_State *L = context;
    get_record(L);
    lua_getfield(L, -1, field);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, field);
    }
    lua_pushlstring(L, data, size);
    lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
    lua_pop(L, 2);
}

static void on_answered(void *owner, int error, const unsigned char *message,
                        size_t size)
{
    struct operation *op = owner;
    int type = (int) operation_room(op)->slot[TYPE].number;
    int count = error ? 0 : dns_visit(message, size, type, NULL);
    if (!error && count <= 0)
        error = count < 0 ? RESOLVER_BAD_ANSWER : RESOLVER_NO_DATA;
    if (error) {
        operation_fail(op, error, NULL);
        return;
    }
    lua_State *to = operation_results(op);
    const struct dns_visitor visitor = {to, push_record, push_number, push_text,
                                        push_item};
    lua_createtable(to, count, 0);
    dns_visit(message, size, type, &visitor);
    operation_finish(op, 1);
}

/* The option `type`: its number, or -1 for addresses. */
static int type_option(lua_State *L, int options)
{
    const char *name = options_string(L, options, "type", NULL);
    int type = name ? dns_type(name) : -1;
    if (name && type < 0)
        call_error(L,
                   "bad option 'type' (a record type such as \"MX\", or "
                   "\"TYPE65280\", expected, got \"%s\")",
                   name);
    return type;
}

/* The option `family`: 4, 6, or both. */
static int family_option(lua_State *L, int options)
{
    switch (options_whole(L, options, "family", 1, INT_MAX, 0)) {
    case 0:
        return AF_UNSPEC;
    case 4:
        return AF_INET;
    case 6:
        return AF_INET6;
    default:
        return call_error(L, "bad option 'family' (4 or 6 expected)");
    }
}

static int fail(lua_State *L, struct call *call, const char *name, int error)
{
    lua_pushfstring(L, "resolve %s: %s", name, error_text(error));
    return call_fail(L, call, error, lua_tostring(L, -1));
}

/* Of `servers`, or NULL, there is no resolver. */
static int fail_without(lua_State *L, struct call *call, const char *name,
                        const char *servers, int error)
{
    if (error != EINVAL)
        return fail(L, call, name, error);
    lua_pushfstring(L,
                    "resolve %s: %s '%s': addresses such as 192.0.2.53 or "
                    "[::1]:53, with commas between them, expected",
                    name, servers ? "servers" : "WEIR_NAMESERVERS",
                    servers ? servers : getenv("WEIR_NAMESERVERS"));
    return call_fail(L, call, error, lua_tostring(L, -1));
}

static struct resolver_query *ask(struct resolver *resolver, const char *name,
                                  int type, int family, struct operation *op)
{
    char reverse[DNS_REVERSE];
    struct net_address address;
    if (type < 0)
        return resolver_lookup(resolver, name, "0", family, on_found, op);
    if (type == dns_type("PTR") && net_numeric(&address, name, "0") &&
        dns_reverse(&address, reverse, sizeof reverse))
        name = reverse;
    return resolver_query(resolver, name, type, on_answered, op);
}

/* weir.resolve(name, [options], [callback]) → list of addresses, or of
 * records (with `type`) */
static int weir_resolve(lua_State *L)
{
    static const char *const known[] = {"family", "servers", "timeout", "type",
                                        NULL};
    struct call call;
    size_t size;
    int error;
    if (lua_type(L, 1) != LUA_TSTRING)
        return argument_error(L, 1, "a name (a string) expected");
    const char *name = lua_tolstring(L, 1, &size);
    call_parse(L, &call, 2, known, "resolve");
    int type = type_option(L, call.options);
    int family = family_option(L, call.options);
    const char *servers = options_string(L, call.options, "servers", NULL);
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    if (size == 0 || strlen(name) != size)
        return fail(L, &call, name, RESOLVER_BAD_NAME);
    struct resolver *resolver = resolver_get(task_loop(), servers, &error);
    if (!resolver)
        return fail_without(L, &call, name, servers, error);
    struct operation *op = call_wait(L, &call, &resolve_class, -1);
    op->object = (void *) name;
    operation_room(op)->slot[TYPE].number = type;
    operation_room(op)->slot[QUERY].pointer =
        ask(resolver, name, type, family, op);
    return call_suspend(L, &call, 1);
}

void lua_resolve_open(lua_State *L)
{
    lua_pushcfunction(L, weir_resolve);
    lua_setfield(L, -2, "resolve");
}
