/* socket:receive: the next datagram, and from whom it is. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "io/net.h"
#include "lua/arguments.h"
#include "lua/lua_udp.h"

/* "on 127.0.0.1:53", "from 127.0.0.1:53" if it is connected to that. */
static void describe_receive(const struct lua_udp *box, char *text, size_t size)
{
    char address[NET_TEXT];
    bool connected = lua_udp_address(box, true, address)[0] != '\0';
    if (!connected)
        lua_udp_address(box, false, address);
    snprintf(text, size, "%s%s",
             !address[0] ? ""
             : connected ? "from "
                         : "on ",
             address);
}

static void describe(struct operation *op, char *text, size_t size)
{
    describe_receive(op->object, text, size);
}

static void cancel(struct operation *op)
{
    struct lua_udp *box = op->object;
    box->receive = NULL;
    datagram_cancel_receive(box->datagram);
}

static const struct operation_class receive_class = {
    .name = "receive", .cancel = cancel, .describe = describe};

/* Pushes the datagram, and from whom it is. Collecting garbage meanwhile may
 * release the socket: its struct is there until the turn ends. */
static int push_packet(lua_State *L, struct datagram *datagram)
{
    char from[NET_TEXT];
    lua_pushlstring(L, datagram->loop->scratch, datagram->packet.size);
    datagram_taken(datagram);
    net_format(&datagram->packet.from, from, sizeof from);
    if (from[0])
        lua_pushstring(L, from);
    else
        lua_pushnil(L);
    return 2;
}

/* To be freed. */
static char *receive_message(const struct lua_udp *box, int error)
{
    const struct datagram *datagram = box->datagram;
    char target[NET_TEXT + 8];
    describe_receive(box, target, sizeof target);
    const char *space = target[0] ? " " : "";
    if (error == EMSGSIZE)
        return memory_format(
            "receive%s%s: a datagram of %zu bytes, max %zu, was cut", space,
            target, datagram->packet.length, datagram->max);
    return memory_format("receive%s%s: %s", space, target, error_text(error));
}

void lua_udp_received(struct datagram *datagram, int error)
{
    struct lua_udp *box = datagram->owner;
    struct operation *op = box->receive;
    box->receive = NULL;
    if (error) {
        char *message = receive_message(box, error);
        operation_fail(op, error, message);
        free(message);
        return;
    }
    operation_finish(op, push_packet(operation_results(op), datagram));
}

/* socket:receive([options], [callback]) → data, from */
static int udp_receive_method(lua_State *L)
{
    static const char *const known[] = {"max", "timeout", NULL};
    struct lua_udp *box = lua_udp_check(L, 1);
    struct datagram *datagram = box->datagram;
    struct call call;
    call_parse(L, &call, 2, known, "receive");
    uint64_t max =
        options_whole(L, call.options, "max", 1, LOOP_SCRATCH, LOOP_SCRATCH);
    if (box->receive)
        return call_error(L, "receive: already receiving");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    int error = datagram_receive(datagram, (size_t) max);
    if (error == 0)
        return call_return(L, &call, push_packet(L, datagram));
    if (error != DATAGRAM_WAIT) {
        char *message = receive_message(box, error);
        lua_pushstring(L, message);
        free(message);
        return call_fail(L, &call, error, lua_tostring(L, -1));
    }
    box->receive = lua_udp_wait(box, L, &call, &receive_class);
    box->receive->object = box;
    return call_suspend(L, &call, 1);
}

void lua_udp_receive_methods(lua_State *L)
{
    lua_pushcfunction(L, udp_receive_method);
    lua_setfield(L, -2, "receive");
}
