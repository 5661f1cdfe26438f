/* weir.any and weir.all: one operation that waits for several tasks.
 *
 * Each task has a hook of the group's while it waits, and none afterwards: a
 * task that loses may be in the next group, and its error is reported unless
 * somebody else takes it. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/task_internal.h"

struct member {
    struct task_hook hook;
    struct group *group;
};

struct group {
    struct operation *op;
    int count; /* members */
    int left;  /* tasks that have not ended */
    int list;  /* all: registry reference to the results */
    struct member members[];
};

/* --- the end of a group --------------------------------------------------- */

static void group_free(struct group *group)
{
    for (int i = 0; i < group->count; i++)
        list_remove(&group->members[i].hook.link);
    luaL_unref(task_state(), LUA_REGISTRYINDEX, group->list);
    free(group);
}

static void group_cancel(struct operation *op)
{
    group_free(op->object);
}

static void group_describe(struct operation *op, char *text, size_t size)
{
    struct group *group = op->object;
    snprintf(text, size, "of %d tasks, %d of which run", group->count,
             group->left);
}

static const struct operation_class any_class = {.name = "any",
                                                 .cancel = group_cancel,
                                                 .describe = group_describe,
                                                 .internal = true};
static const struct operation_class all_class = {.name = "all",
                                                 .cancel = group_cancel,
                                                 .describe = group_describe,
                                                 .internal = true};

/* The results are the values that `to` has beyond `base`. */
static void group_finish(struct group *group, lua_State *to, int base)
{
    struct operation *op = group->op;
    int count = lua_gettop(to) - base;
    group_free(group);
    operation_finish(op, count);
}

static void any_ended(struct task_hook *hook, struct task *task)
{
    struct group *group = ((struct member *) hook)->group;
    lua_State *to = operation_results(group->op);
    int base = lua_gettop(to);
    task_push_handle(to, task);
    task_push_outcome(to, task, base + 1);
    group_finish(group, to, base);
}

/* list[index] = the first result, the handle being at `handle`. False, and
 * nil, message, code on top, if the task failed. */
static bool keep_first(lua_State *L, struct task *task, int handle, int list,
                       int index)
{
    int base = lua_gettop(L);
    int count = task_push_outcome(L, task, handle);
    if (task->outcome != TASK_SUCCEEDED)
        return false;
    lua_settop(L, base + (count > 0 ? 1 : 0));
    if (count > 0)
        lua_rawseti(L, list, index);
    return true;
}

static void all_ended(struct task_hook *hook, struct task *task)
{
    struct member *member = (struct member *) hook;
    struct group *group = member->group;
    int index = (int) (member - group->members) + 1;
    lua_State *L = task_state();
    int top = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, group->list);
    task_push_handle(L, task);
    group->left--;
    bool kept = keep_first(L, task, top + 2, top + 1, index);
    if (!kept || group->left == 0) {
        lua_State *to = operation_results(group->op);
        int base = lua_gettop(to);
        int count = kept ? 1 : 3;
        if (kept)
            lua_settop(L, top + 1);
        lua_xmove(L, to, count);
        group_finish(group, to, base);
    }
    lua_settop(L, top);
}

/* --- the call ------------------------------------------------------------- */

/* How many tasks the list at 1 has; each of them could be waited for. */
static int check_tasks(lua_State *L, const char *name)
{
    argument_type(L, 1, LUA_TTABLE);
    int count = (int) lua_objlen(L, 1);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, i);
        struct task *task = task_test(L, -1);
        if (!task)
            call_error(L, "%s: tasks expected, got %s at %d", name,
                       luaL_typename(L, -1), i);
        if (task == scheduler.current)
            call_error(L, "%s: a task cannot wait for itself", name);
        lua_pop(L, 1);
    }
    return count;
}

/* The results are in the table on top, if there is a list. */
static int group_wait(lua_State *L, struct call *call, int count, bool all)
{
    struct group *group =
        memory_new(sizeof *group + (size_t) count * sizeof group->members[0]);
    group->count = count;
    group->list = all ? luaL_ref(L, LUA_REGISTRYINDEX) : LUA_NOREF;
    for (int i = 0; i < count; i++) {
        struct member *member = &group->members[i];
        lua_rawgeti(L, 1, i + 1);
        struct task *task = task_test(L, -1);
        lua_pop(L, 1);
        member->group = group;
        member->hook.ended = all ? all_ended : any_ended;
        list_init(&member->hook.link);
        if (task->state == TASK_ENDED)
            continue;
        list_insert(&task_audience(task)->hooks, &member->hook.link);
        group->left++;
    }
    group->op = call_wait(L, call, all ? &all_class : &any_class, -1);
    group->op->object = group;
    return call_suspend(L, call, 1);
}

static const char *const known[] = {"timeout", NULL};

/* weir.any(tasks, [options], [callback]) → the first task to end, and what
 * its join returns */
static int weir_any(lua_State *L)
{
    struct call call;
    int count = check_tasks(L, "any");
    if (count == 0)
        argument_error(L, 1, "at least one task expected");
    call_parse(L, &call, 2, known, "any");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, i);
        struct task *task = task_test(L, -1);
        if (task->state == TASK_ENDED)
            return call_return(L, &call,
                               1 + task_push_outcome(L, task, lua_gettop(L)));
        lua_pop(L, 1);
    }
    return group_wait(L, &call, count, false);
}

/* weir.all(tasks, [options], [callback]) → list of each one's first result; or
 * nil, message, code of the first to fail */
static int weir_all(lua_State *L)
{
    struct call call;
    int count = check_tasks(L, "all");
    call_parse(L, &call, 2, known, "all");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    int left = 0;
    lua_createtable(L, count, 0);
    int list = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, i);
        struct task *task = task_test(L, -1);
        if (task->state != TASK_ENDED)
            left++;
        else if (!keep_first(L, task, list + 1, list, i))
            return call_return(L, &call, 3);
        lua_settop(L, list);
    }
    if (left == 0)
        return call_return(L, &call, 1);
    return group_wait(L, &call, count, true);
}

void lua_group_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"any", weir_any}, {"all", weir_all}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
