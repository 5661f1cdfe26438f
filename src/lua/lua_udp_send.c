/* socket:send and socket:connect: to numeric addresses at once, to names as
 * soon as they are resolved. */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/resolver.h"
#include "lua/arguments.h"
#include "lua/lua_udp.h"

/* One call that waits: for an address, then perhaps for the kernel. */
struct errand {
    struct list link; /* box->errands */
    struct lua_udp *box;
    struct operation *op;
    struct resolver_query *query; /* the address is being looked up */
    struct datagram_send *send;   /* it waits for room */
    bool connects;
    char target[NET_TEXT]; /* in words, for messages */
    size_t size;
    char data[]; /* while the address is not known */
};

/* What the arguments of a call say. */
struct order {
    bool connects;
    const char *address; /* NULL: to whom the socket is connected */
    const char *data;
    size_t size;
    struct net_target target;
};

static void errand_free(struct errand *errand)
{
    if (errand->query)
        resolver_cancel(errand->query);
    if (errand->send)
        datagram_cancel_send(errand->send);
    list_remove(&errand->link);
    free(errand);
}

static void errand_end(struct errand *errand, int error)
{
    struct operation *op = errand->op;
    if (error) {
        char *message = memory_format("%s%s%s: %s", op->class->name,
                                      errand->target[0] ? " " : "",
                                      errand->target, error_text(error));
        errand_free(errand);
        operation_fail(op, error, message);
        free(message);
        return;
    }
    errand_free(errand);
    lua_pushboolean(operation_results(op), true);
    operation_finish(op, 1);
}

static void sent(struct datagram_send *send, int error)
{
    struct errand *errand = send->owner;
    errand->send = NULL;
    errand_end(errand, error);
}

/* 0, DATAGRAM_WAIT with `*send`, or an errno. */
static int carry_out(struct lua_udp *box, bool connects, const char *data,
                     size_t size, const struct net_address *address,
                     struct datagram_send **send)
{
    if (connects)
        return datagram_connect(box->datagram, address);
    return datagram_send(box->datagram, data, size, address, send);
}

static void await_room(struct errand *errand, struct datagram_send *send)
{
    errand->send = send;
    send->done = sent;
    send->owner = errand;
}

/* To the first address that the system knows a way to. */
static void found(void *owner, int error, const struct net_address *addresses,
                  size_t count)
{
    struct errand *errand = owner;
    struct datagram_send *send = NULL;
    errand->query = NULL;
    for (size_t i = 0; i < count; i++) {
        error = carry_out(errand->box, errand->connects, errand->data,
                          errand->size, &addresses[i], &send);
        if (error == 0 || error == DATAGRAM_WAIT)
            break;
    }
    if (send)
        await_room(errand, send);
    else
        errand_end(errand, error);
}

static void cancel(struct operation *op)
{
    errand_free(op->object);
}

static void describe(struct operation *op, char *text, size_t size)
{
    snprintf(text, size, "%s", ((struct errand *) op->object)->target);
}

static const struct operation_class send_class = {
    .name = "send", .cancel = cancel, .describe = describe};
static const struct operation_class connect_class = {
    .name = "connect", .cancel = cancel, .describe = describe};

/* --- the call ------------------------------------------------------------- */

static int fail(lua_State *L, struct call *call, struct lua_udp *box,
                const struct order *order, int error, const char *words)
{
    char peer[NET_TEXT];
    const char *target = order->address;
    if (!target)
        target = lua_udp_address(box, true, peer);
    lua_pushfstring(L, "%s%s%s: %s", call->name, target[0] ? " " : "", target,
                    words ? words : error_text(error));
    return call_fail(L, call, error, lua_tostring(L, -1));
}

/* What is wrong with the address; NULL if nothing. */
static const char *parse(struct order *order, size_t size)
{
    const char *expected;
    if (!net_parse(&order->target, order->address, size, &expected))
        return expected;
    if (order->target.kind == TARGET_FD || order->target.tls)
        return "host:port, [IPv6]:port or unix:/path expected";
    if (order->target.kind == TARGET_HOST && !order->target.host[0])
        return "a host is missing before the ':'";
    return NULL;
}

static struct errand *errand_new(struct lua_udp *box, const struct order *order,
                                 size_t size)
{
    struct errand *errand = memory_new(sizeof *errand + size);
    list_insert(&box->errands, &errand->link);
    errand->box = box;
    errand->connects = order->connects;
    errand->size = size;
    if (size > 0)
        memcpy(errand->data, order->data, size);
    if (order->address)
        snprintf(errand->target, sizeof errand->target, "%s", order->address);
    else
        lua_udp_address(box, true, errand->target);
    return errand;
}

static int wait(lua_State *L, struct call *call, struct errand *errand)
{
    errand->op = lua_udp_wait(errand->box, L, call,
                              errand->connects ? &connect_class : &send_class);
    errand->op->object = errand;
    return call_suspend(L, call, 1);
}

static int look_up(lua_State *L, struct call *call, struct lua_udp *box,
                   const struct order *order)
{
    int error;
    struct resolver *resolver = resolver_get(task_loop(), NULL, &error);
    if (!resolver)
        return fail(L, call, box, order, error, NULL);
    const struct datagram *datagram = box->datagram;
    struct errand *errand = errand_new(box, order, order->size);
    int family = udp_reaches(datagram->fd, datagram->family);
    errand->query = resolver_lookup(resolver, order->target.host,
                                    order->target.port, family, found, errand);
    return wait(L, call, errand);
}

static int run(lua_State *L, struct call *call, struct lua_udp *box,
               struct order *order, size_t address_size)
{
    struct datagram_send *send = NULL;
    int refused = call_refused(L, call);
    if (refused)
        return refused;
    const char *wrong = order->address ? parse(order, address_size) : NULL;
    if (wrong)
        return fail(L, call, box, order, EINVAL, wrong);
    if (box->datagram->fd < 0)
        return fail(L, call, box, order, ERROR_CLOSED, NULL);
    if (order->address && !order->target.numeric)
        return look_up(L, call, box, order);
    int error =
        carry_out(box, order->connects, order->data, order->size,
                  order->address ? &order->target.address : NULL, &send);
    if (send) {
        struct errand *errand = errand_new(box, order, 0);
        await_room(errand, send);
        return wait(L, call, errand);
    }
    if (error)
        return fail(L, call, box, order, error, NULL);
    lua_pushboolean(L, true);
    return call_return(L, call, 1);
}

static const char *const known[] = {"timeout", NULL};

/* socket:send(data, [address], [options], [callback]) → true */
static int udp_send_method(lua_State *L)
{
    struct lua_udp *box = lua_udp_check(L, 1);
    struct order order = {0};
    struct call call;
    size_t address_size = 0;
    if (!lua_isstring(L, 2))
        return argument_error(L, 2, "data (a string) expected");
    order.data = lua_tolstring(L, 2, &order.size);
    bool addressed = lua_type(L, 3) == LUA_TSTRING;
    if (addressed)
        order.address = lua_tolstring(L, 3, &address_size);
    else if (!lua_isnoneornil(L, 3) && !lua_istable(L, 3) &&
             !lua_isfunction(L, 3))
        return argument_error(L, 3, "an address (a string) expected");
    call_parse(L, &call, addressed || lua_isnil(L, 3) ? 4 : 3, known, "send");
    return run(L, &call, box, &order, address_size);
}

/* socket:connect(address, [options], [callback]) → true */
static int udp_connect_method(lua_State *L)
{
    struct lua_udp *box = lua_udp_check(L, 1);
    struct order order = {.connects = true};
    struct call call;
    size_t address_size;
    if (lua_type(L, 2) != LUA_TSTRING)
        return argument_error(L, 2, "an address (a string) expected");
    order.address = lua_tolstring(L, 2, &address_size);
    call_parse(L, &call, 3, known, "connect");
    return run(L, &call, box, &order, address_size);
}

void lua_udp_unref_errands(struct lua_udp *box, bool unref)
{
    struct list *link = box->errands.next;
    for (; link != &box->errands; link = link->next)
        operation_unref(list_entry(link, struct errand, link)->op, unref);
}

void lua_udp_fail_errands(struct lua_udp *box)
{
    for (struct list *link; (link = list_pop(&box->errands));)
        errand_end(list_entry(link, struct errand, link), ERROR_CLOSED);
}

void lua_udp_drop_errands(struct lua_udp *box)
{
    for (struct list *link; (link = list_pop(&box->errands));)
        errand_free(list_entry(link, struct errand, link));
}

void lua_udp_send_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {{"send", udp_send_method},
                                       {"connect", udp_connect_method},
                                       {NULL, NULL}};
    luaL_setfuncs(L, methods, 0);
}
