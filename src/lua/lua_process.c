/* weir.process: child processes, their ends of pipes as streams. */
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/signals.h"
#include "event/process.h"
#include "lua/arguments.h"
#include "lua/lua_process_options.h"
#include "lua/lua_signal.h"
#include "lua/lua_stdio.h"
#include "lua/lua_stream.h"
#include "lua/modules.h"
#include "lua/task.h"

#define PROCESS_TYPE "weir.process"

static const char *const stdio_names[] = {"stdin", "stdout", "stderr"};

/* The userdata: made with `process` NULL, then filled. Its environment table
 * holds the streams; what is not in there is a method. */
struct lua_process {
    struct process *process;
    struct list waits; /* struct operation, by `link` */
    char name[64];     /* of the command, for messages */
};

static struct lua_process *check_process(lua_State *L)
{
    struct lua_process *box = luaL_checkudata(L, 1, PROCESS_TYPE);
    argument_live(L, 1, box->process);
    return box;
}

/* --- the end -------------------------------------------------------------- */

/* Pushes "exit", status or "signal", name; or nil, message, code. */
static int push_end(lua_State *L, const struct lua_process *box)
{
    const struct process *process = box->process;
    int status = process->status;
    if (process->error) {
        lua_pushfstring(L, "wait %d (%s): %s", (int) process->pid, box->name,
                        error_text(process->error));
        return push_failure(L, process->error, lua_tostring(L, -1));
    }
    if (WIFEXITED(status)) {
        lua_pushliteral(L, "exit");
        lua_pushinteger(L, WEXITSTATUS(status));
        return 2;
    }
    const char *name = signals_name(WTERMSIG(status));
    lua_pushliteral(L, "signal");
    if (name)
        lua_pushstring(L, name);
    else
        lua_pushfstring(L, "%d", WTERMSIG(status));
    return 2;
}

static void on_end(struct process *process)
{
    struct lua_process *box = process->owner;
    struct list waits;
    list_init(&waits);
    list_move(&waits, &box->waits);
    for (struct list *link; (link = list_pop(&waits));) {
        struct operation *op = operation_of(link);
        operation_finish(op, push_end(operation_results(op), box));
    }
}

/* --- waiting -------------------------------------------------------------- */

/* operation_finish and _fail take it out of the list. */
static void cancel_wait(struct operation *op)
{
    (void) op;
}

static void describe_wait(struct operation *op, char *text, size_t size)
{
    struct lua_process *box = op->object;
    snprintf(text, size, "%d (%s)", (int) box->process->pid, box->name);
}

static const struct operation_class wait_class = {
    .name = "wait", .cancel = cancel_wait, .describe = describe_wait};

/* process:wait([options], [callback]) → "exit", status or "signal", name */
static int process_wait(lua_State *L)
{
    static const char *const known[] = {"timeout", NULL};
    struct lua_process *box = check_process(L);
    struct call call;
    call_parse(L, &call, 2, known, "wait");
    int refused = call_refused(L, &call);
    if (refused)
        return refused;
    if (!box->process->running)
        return call_return(L, &call, push_end(L, box));
    struct operation *op = call_wait(L, &call, &wait_class, -1);
    op->object = box;
    list_insert(&box->waits, &operation_room(op)->link);
    if (box->process->unref)
        operation_unref(op, true);
    return call_suspend(L, &call, 1);
}

/* process:kill([name]) → true; the signal goes to its group if it leads one */
static int process_kill_method(lua_State *L)
{
    struct lua_process *box = check_process(L);
    int number = SIGTERM;
    if (!lua_isnoneornil(L, 2))
        number = lua_signal_check(L, 2, "kill");
    int error = process_kill(box->process, number);
    if (error) {
        lua_pushfstring(L, "kill %d (%s): %s", (int) box->process->pid,
                        box->name, error_text(error));
        return push_failure(L, error, lua_tostring(L, -1));
    }
    lua_pushboolean(L, true);
    return 1;
}

/* process:pid() → number, also when it has ended */
static int process_pid(lua_State *L)
{
    lua_pushinteger(L, check_process(L)->process->pid);
    return 1;
}

static int set_unref(lua_State *L, bool unref)
{
    struct lua_process *box = check_process(L);
    struct list *waits = &box->waits;
    process_set_unref(box->process, unref);
    for (struct list *link = waits->next; link != waits; link = link->next)
        operation_unref(operation_of(link), unref);
    lua_settop(L, 1);
    return 1;
}

static int process_unref(lua_State *L)
{
    return set_unref(L, true);
}

static int process_ref(lua_State *L)
{
    return set_unref(L, false);
}

static int process_tostring(lua_State *L)
{
    struct lua_process *box = check_process(L);
    int top = lua_gettop(L);
    if (box->process->running) {
        lua_pushliteral(L, "running");
    } else if (push_end(L, box) == 2) {
        lua_pushfstring(L, "%s %s", lua_tostring(L, top + 1),
                        lua_tostring(L, top + 2));
    } else {
        lua_pushliteral(L, "ended");
    }
    lua_pushfstring(L, "weir.process: %d (%s, %s)", (int) box->process->pid,
                    box->name, lua_tostring(L, -1));
    return 1;
}

/* A stream of it, or a method (the upvalue has them). */
static int process_index(lua_State *L)
{
    check_process(L);
    lua_getfenv(L, 1);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1))
        return 1;
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static int process_collect(lua_State *L)
{
    struct lua_process *box = luaL_checkudata(L, 1, PROCESS_TYPE);
    if (box->process)
        process_release(box->process);
    box->process = NULL;
    return 0;
}

/* --- starting ------------------------------------------------------------- */

static void set_name(struct lua_process *box, const char *command)
{
    const char *slash = strrchr(command, '/');
    const char *name = slash && slash[1] ? slash + 1 : command;
    snprintf(box->name, sizeof box->name, "%s", name);
}

static int start_failed(lua_State *L, const struct spawn *spawn,
                        const char *failed, int error)
{
    const char *command = spawn->arguments[0];
    if (failed == spawn->directory)
        lua_pushfstring(L, "process %s: directory %s: %s", command, failed,
                        error_text(error));
    else
        lua_pushfstring(L, "process %s: %s", command, error_text(error));
    return push_failure(L, error, lua_tostring(L, -1));
}

/* The pipes become streams in the table on top of the stack. */
static void push_streams(lua_State *L, const struct lua_process *box,
                         const int ends[3])
{
    struct lua_stream_options options;
    char peer[sizeof box->name + 16];
    lua_stream_options(L, 0, &options);
    for (int n = 0; n < 3; n++) {
        if (ends[n] < 0)
            continue;
        snprintf(peer, sizeof peer, "%s of %s", stdio_names[n], box->name);
        struct lua_stream *stream = lua_stream_push(L, &options, peer);
        stream_open(stream->stream, ends[n], NULL);
        lua_setfield(L, -2, stdio_names[n]);
    }
}

/* weir.process(argv, [options]) → process */
static int weir_process(lua_State *L)
{
    struct spawn spawn;
    const char *failed = NULL;
    int ends[3];
    lua_settop(L, 2);
    lua_process_options(L, 1, 2, &spawn);
    struct lua_process *box = lua_newuserdata(L, sizeof *box);
    *box = (struct lua_process){.process = NULL};
    list_init(&box->waits);
    set_name(box, spawn.arguments[0]);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfenv(L, -3);
    /* What was printed before comes before what the command prints. */
    if (spawn.stdio[1].kind != SPAWN_PIPE || spawn.stdio[2].kind != SPAWN_PIPE)
        lua_stdio_flush();
    int error =
        process_start(&box->process, task_loop(), &spawn, ends, &failed);
    if (error)
        return start_failed(L, &spawn, failed, error);
    box->process->owner = box;
    box->process->ended = on_end;
    luaL_getmetatable(L, PROCESS_TYPE);
    lua_setmetatable(L, -3);
    push_streams(L, box, ends);
    lua_pop(L, 1);
    return 1;
}

void lua_process_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"wait", process_wait},   {"kill", process_kill_method},
        {"pid", process_pid},     {"ref", process_ref},
        {"unref", process_unref}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", process_collect},
                                    {"__tostring", process_tostring},
                                    {NULL, NULL}};
    lua_type_new(L, PROCESS_TYPE, methods, meta);
    luaL_getmetatable(L, PROCESS_TYPE);
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, process_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, weir_process);
    lua_setfield(L, -2, "process");
}
