/* Queues of waiting calls: what weir's own Lua modules build operations from
 * that only other tasks complete, such as those of channels. Not public.
 *
 *     local getters = core.queue("channel get")
 *     getters:call(try, self, value, [options], [callback])
 *
 * is an operation with everything that belongs to one. try(self, value) says
 * whether it can complete at once: true and the results if so; it must not
 * wait. If not, the call waits, with `value`, until somebody wakes it. */
#include <lauxlib.h>
#include <string.h>

#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/task.h"

#define QUEUE_TYPE "weir.queue"

struct queue {
    struct list waiters; /* struct operation, by their rooms' `link` */
    struct operation_class class;
    char name[]; /* the class' */
};

/* A waiter keeps a registry reference to its value here. */
enum { SLOT_VALUE };

static struct queue *check_queue(lua_State *L)
{
    return luaL_checkudata(L, 1, QUEUE_TYPE);
}

static void waiter_leave(struct operation *op)
{
    list_remove(&operation_room(op)->link);
    luaL_unref(task_state(), LUA_REGISTRYINDEX,
               (int) operation_room(op)->slot[SLOT_VALUE].number);
}

/* core.queue(name) */
static int queue_new(lua_State *L)
{
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    struct queue *queue = lua_newuserdata(L, sizeof *queue + length + 1);
    list_init(&queue->waiters);
    memcpy(queue->name, name, length + 1);
    queue->class = (struct operation_class){
        .name = queue->name, .cancel = waiter_leave, .internal = true};
    luaL_getmetatable(L, QUEUE_TYPE);
    lua_setmetatable(L, -2);
    return 1;
}

/* The messages name the operation: positions mean nothing to the caller. */
static void check_rest(lua_State *L, const char *name, int index)
{
    if (!lua_isnoneornil(L, index) && !lua_istable(L, index) &&
        !lua_isfunction(L, index))
        call_error(L, "%s: options (a table) or a callback expected, got %s",
                   name, luaL_typename(L, index));
    if (!lua_isnoneornil(L, index + 1) && !lua_isfunction(L, index + 1))
        call_error(L, "%s: callback (a function) expected, got %s", name,
                   luaL_typename(L, index + 1));
}

static int queue_call(lua_State *L)
{
    static const char *const known[] = {"timeout", NULL};
    struct queue *queue = check_queue(L);
    struct call call;
    argument_type(L, 2, LUA_TFUNCTION);
    check_rest(L, queue->name, 5);
    call_parse(L, &call, 5, known, queue->name);
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    int top = lua_gettop(L);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 4);
    lua_call(L, 2, LUA_MULTRET);
    if (lua_toboolean(L, top + 1))
        return call_return(L, &call, lua_gettop(L) - top - 1);
    lua_settop(L, top);
    lua_pushvalue(L, 4);
    int value = luaL_ref(L, LUA_REGISTRYINDEX);
    struct operation *op = call_wait(L, &call, &queue->class, -1);
    op->object = queue;
    operation_room(op)->slot[SLOT_VALUE].number = value;
    list_insert(&queue->waiters, &operation_room(op)->link);
    return call_suspend(L, &call, 1);
}

static struct operation *first_waiter(struct queue *queue)
{
    if (list_empty(&queue->waiters))
        return NULL;
    return operation_of(queue->waiters.next);
}

/* queue:wake(…) → true if somebody waited: the first one gets these results. */
static int queue_wake(lua_State *L)
{
    struct operation *op = first_waiter(check_queue(L));
    lua_pushboolean(L, op != NULL);
    if (!op)
        return 1;
    lua_replace(L, 1);
    int count = lua_gettop(L) - 1;
    lua_State *to = operation_results(op);
    luaL_checkstack(to, count, "too many results");
    lua_xmove(L, to, count);
    waiter_leave(op);
    operation_finish(op, count);
    return 1;
}

/* queue:first() → whether somebody waits, and the first one's value */
static int queue_first(lua_State *L)
{
    struct operation *op = first_waiter(check_queue(L));
    lua_pushboolean(L, op != NULL);
    if (!op)
        return 1;
    lua_rawgeti(L, LUA_REGISTRYINDEX,
                (int) operation_room(op)->slot[SLOT_VALUE].number);
    return 2;
}

void lua_queue_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"call", queue_call},
                                       {"wake", queue_wake},
                                       {"first", queue_first},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {{NULL, NULL}};
    lua_type_new(L, QUEUE_TYPE, methods, meta);
    lua_pushcfunction(L, queue_new);
    lua_setfield(L, -3, "queue");
}
