/* weir.spawn and the handles of tasks.
 *
 * A handle is a userdata with a table for environment: before the task
 * begins that holds its function and arguments, after its end its results, or
 * its error and traceback. So a task that ended needs no thread. */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>

#include "base/error.h"
#include "event/stream.h"
#include "lua/arguments.h"
#include "lua/lua_stream.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

#define TASK_TYPE "weir.task"

static struct task *check_task(lua_State *L, int index)
{
    struct task *task = *(struct task **) luaL_checkudata(L, index, TASK_TYPE);
    argument_live(L, index, task);
    return task;
}

/* --- what the handle keeps ------------------------------------------------ */

struct task *task_test(lua_State *L, int index)
{
    struct task **box = luaL_testudata(L, index, TASK_TYPE);
    return box ? *box : NULL;
}

void task_push_handle(lua_State *L, struct task *task)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->anchor);
}

/* The `count` values on top of L become what the handle keeps. Popped. */
static void keep(lua_State *L, struct task *task, int count)
{
    task->kept = count;
    if (count == 0)
        return;
    lua_createtable(L, count, 0);
    lua_insert(L, -count - 1);
    for (int i = count; i > 0; i--)
        lua_rawseti(L, -i - 1, i);
    task_push_handle(L, task);
    lua_insert(L, -2);
    lua_setfenv(L, -2);
    lua_pop(L, 1);
}

/* What the handle at `handle` keeps, on top of L. */
static int push_kept(lua_State *L, struct task *task, int handle)
{
    int count = task->kept;
    luaL_checkstack(L, count + LUA_MINSTACK, "too many results");
    lua_getfenv(L, handle);
    int table = lua_gettop(L);
    for (int i = 1; i <= count; i++)
        lua_rawgeti(L, table, i);
    lua_remove(L, table);
    return count;
}

bool task_begin(struct task *task)
{
    if (task->cancelled) {
        task->state = TASK_ENDED;
        task->outcome = TASK_CANCELLED;
        task_tell_joins(task);
        return false;
    }
    lua_State *L = task->L = thread_take();
    task_push_handle(L, task);
    task->arguments = push_kept(L, task, 1) - 1;
    task->kept = 0;
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    lua_setfenv(L, 1);
    lua_remove(L, 1);
    return true;
}

void task_keep_results(struct task *task)
{
    keep(task->L, task, lua_gettop(task->L));
}

void task_keep_error(struct task *task)
{
    lua_pushvalue(task->L, -1);
    keep(task->L, task, 1);
}

/* --- join ----------------------------------------------------------------- */

static void join_cancel(struct operation *op)
{
    list_remove(&operation_room(op)->link);
}

static void join_describe(struct operation *op, char *text, size_t size)
{
    struct task *task = op->object;
    snprintf(text, size, "task #%u%s%s", task->id,
             task->origin ? " spawned at " : "",
             task->origin ? task->origin->text : "");
}

static const struct operation_class join_class = {.name = "join",
                                                  .cancel = join_cancel,
                                                  .describe = join_describe,
                                                  .internal = true};

int task_push_outcome(lua_State *L, struct task *task, int handle)
{
    int base = lua_gettop(L);
    task->joined = true;
    if (task->outcome == TASK_CANCELLED)
        return push_failure(L, ECANCELED,
                            "join: the task was cancelled before it began");
    push_kept(L, task, handle);
    if (task->outcome == TASK_SUCCEEDED)
        return task->kept;
    push_failure(L, ERROR_TASK, report_text(L, L));
    while (lua_gettop(L) > base + 3)
        lua_remove(L, base + 1);
    return 3;
}

static int task_join(lua_State *L)
{
    static const char *const known[] = {"timeout", NULL};
    struct task *task = check_task(L, 1);
    struct call call;
    call_parse(L, &call, 2, known, "join");
    if (task == scheduler.current)
        return call_error(L, "join: a task cannot wait for itself");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    if (task->state == TASK_ENDED)
        return call_return(L, &call, task_push_outcome(L, task, 1));
    struct operation *op = call_wait(L, &call, &join_class, -1);
    op->object = task;
    list_insert(&task_audience(task)->joins, &operation_room(op)->link);
    return call_suspend(L, &call, 1);
}

static void anchor(struct task *task, lua_State *L, int index)
{
    lua_pushvalue(L, index);
    task->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void tell_audience(struct task *task, struct task_audience *audience)
{
    for (struct list *link; (link = list_pop(&audience->joins));) {
        struct operation *op = operation_of(link);
        lua_State *to = operation_results(op);
        int base = lua_gettop(to);
        task_push_handle(to, task);
        int handle = lua_gettop(to);
        task_push_outcome(to, task, handle);
        lua_remove(to, handle);
        operation_finish(op, lua_gettop(to) - base);
    }
    for (struct list *link; (link = list_pop(&audience->hooks));) {
        struct task_hook *hook = list_entry(link, struct task_hook, link);
        hook->ended(hook, task);
    }
}

void task_tell_joins(struct task *task)
{
    if (task->audience)
        tell_audience(task, task->audience);
    luaL_unref(scheduler.L, LUA_REGISTRYINDEX, task->anchor);
    task->anchor = LUA_NOREF;
}

/* --- handles -------------------------------------------------------------- */

static int weir_spawn(lua_State *L)
{
    argument_type(L, 1, LUA_TFUNCTION);
    struct task **box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, TASK_TYPE);
    lua_setmetatable(L, -2);
    lua_insert(L, 1);
    struct task *task = task_new();
    task->handled = true;
    task->origin = origin_of_caller(L);
    task->context = context_retain(context_current());
    *box = task;
    anchor(task, L, 1);
    keep(L, task, lua_gettop(L) - 1);
    task_next_turn(task);
    task->state = TASK_NEW;
    return 1;
}

static int task_collect(lua_State *L)
{
    struct task **box = luaL_checkudata(L, 1, TASK_TYPE);
    struct task *task = *box;
    if (!task)
        return 0;
    *box = NULL;
    if (task->state == TASK_ENDED) {
        report_unjoined_task(task);
        task_free(task);
    } else {
        task->handled = false; /* the state is being closed */
    }
    return 0;
}

static int task_cancel_method(lua_State *L)
{
    task_cancel(check_task(L, 1));
    return 0;
}

static const char *status(const struct task *task)
{
    if (task->state != TASK_ENDED)
        return task_state_name(task);
    if (task->outcome == TASK_SUCCEEDED)
        return "done";
    return task->outcome == TASK_FAILED ? "failed" : "cancelled";
}

static int task_status(lua_State *L)
{
    lua_pushstring(L, status(check_task(L, 1)));
    return 1;
}

static int set_unref(lua_State *L, bool unref)
{
    struct task *task = check_task(L, 1);
    task->unref = unref;
    if (task->state == TASK_WAITING)
        operation_task_unref(&task->wait.op);
    lua_settop(L, 1);
    return 1;
}

static int task_unref(lua_State *L)
{
    return set_unref(L, true);
}

static int task_ref(lua_State *L)
{
    return set_unref(L, false);
}

static int task_tostring(lua_State *L)
{
    struct task *task = check_task(L, 1);
    lua_pushfstring(L, "weir.task #%d (%s)", (int) task->id, status(task));
    return 1;
}

/* --- weir.tasks ----------------------------------------------------------- */

static void set_string(lua_State *L, const char *key, const char *value)
{
    if (!value)
        return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void push_task(lua_State *L, const struct task *task)
{
    char target[NAME_SIZE] = "";
    struct operation *op = (struct operation *) &task->wait.op;
    lua_createtable(L, 0, 8);
    lua_pushinteger(L, (lua_Integer) task->id);
    lua_setfield(L, -2, "id");
    lua_pushboolean(L, task->main);
    lua_setfield(L, -2, "main");
    set_string(L, "spawned_at", task->origin ? task->origin->text : NULL);
    set_string(L, "status", task_state_name(task));
    report_push_traceback(L, task);
    lua_setfield(L, -2, "traceback");
    if (task->state != TASK_WAITING)
        return;
    if (op->class->describe)
        op->class->describe(op, target, sizeof target);
    set_string(L, "operation", op->class->name);
    set_string(L, "target", target[0] ? target : NULL);
    lua_pushnumber(L, loop_clock() - op->since);
    lua_setfield(L, -2, "waiting");
    const struct stream *stream = operation_stream(op);
    if (!stream)
        return;
    lua_stream_set_fields(L, stream);
    lua_pushinteger(L, (lua_Integer) stream->id);
    lua_setfield(L, -2, "stream");
}

/* weir.tasks(): every task that has not ended, as a list of tables. */
static int weir_tasks(lua_State *L)
{
    struct list *tasks = &scheduler.tasks;
    int count = 0;
    lua_newtable(L);
    for (struct list *link = tasks->next; link != tasks; link = link->next) {
        struct task *task = list_entry(link, struct task, all);
        if (task->state == TASK_ENDED)
            continue;
        push_task(L, task);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* keep_traceback(error, text): `error` goes on; it happened there. */
static int keep_traceback(lua_State *L)
{
    report_keep_traceback(L, 1, luaL_checkstring(L, 2));
    return 0;
}

/* take_unjoined() → error, traceback of a task that failed under a patient
 * guard and that nobody joined: it will not be reported; or nothing */
static int take_unjoined(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, scheduler.unjoined);
    for (int left = (int) lua_objlen(L, 1); left > 0; left--) {
        lua_rawgeti(L, 1, left);
        lua_pushnil(L);
        lua_rawseti(L, 1, left);
        struct task *task = check_task(L, 2);
        if (!task->joined) {
            task->joined = true;
            push_kept(L, task, 2);
            lua_pushstring(L, task->traceback);
            return 2;
        }
        lua_settop(L, 1);
    }
    return 0;
}

/* error_text(error): whatever was raised, as text */
static int error_text_of(lua_State *L)
{
    lua_settop(L, 1);
    report_text(L, L);
    return 1;
}

void lua_task_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"join", task_join},     {"cancel", task_cancel_method},
        {"status", task_status}, {"unref", task_unref},
        {"ref", task_ref},       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", task_collect}, {"__tostring", task_tostring}, {NULL, NULL}};
    lua_type_new(L, TASK_TYPE, methods, meta);
    lua_pushcfunction(L, weir_spawn);
    lua_setfield(L, -2, "spawn");
    lua_pushcfunction(L, weir_tasks);
    lua_setfield(L, -2, "tasks");
    lua_pushcfunction(L, take_unjoined);
    lua_setfield(L, -3, "take_unjoined");
    lua_pushcfunction(L, keep_traceback);
    lua_setfield(L, -3, "keep_traceback");
    lua_pushcfunction(L, error_text_of);
    lua_setfield(L, -3, "error_text");
}
