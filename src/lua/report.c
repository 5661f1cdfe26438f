/* What the host tells people: uncaught errors, and who waits for what. */
#include <ctype.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "event/stream.h"
#include "lua/lua_stream.h"
#include "lua/task_internal.h"

#define REPORT_BYTES 64 /* of a buffer, in the report of a task */

void report_line(const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
}

/* --- errors --------------------------------------------------------------- */

/* tostring(error), of which __tostring may raise in its turn. */
static int to_text(lua_State *L)
{
    if (!luaL_callmeta(L, 1, "__tostring") || !lua_isstring(L, -1))
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    return 1;
}

const char *report_text(lua_State *to, lua_State *L)
{
    if (lua_isstring(L, -1)) {
        lua_pushstring(to, lua_tostring(L, -1));
        return lua_tostring(to, -1);
    }
    if (lua_isnil(L, -1)) {
        lua_pushliteral(to, "nil");
        return "nil";
    }
    lua_State *thread = thread_take();
    lua_pushcfunction(thread, to_text);
    lua_pushvalue(L, -1);
    lua_xmove(L, thread, 1);
    int status = lua_pcall(thread, 1, 1, 0);
    if (status != 0 || !lua_isstring(thread, -1))
        lua_pushfstring(thread, "(error object is a %s value)",
                        luaL_typename(L, -1));
    lua_xmove(thread, to, 1);
    thread_give(thread, status == 0);
    return lua_tostring(to, -1);
}

/* An error that passed through a protected call of ours (weir.deadline, a
 * script's coroutine) brings the traceback from where it happened along. */
static int kept_error = LUA_NOREF;
static char *kept_traceback;

static bool is_kept(lua_State *L, int index)
{
    if (!kept_traceback)
        return false;
    lua_pushvalue(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, kept_error);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

void report_keep_traceback(lua_State *L, int index, const char *traceback)
{
    if (is_kept(L, index))
        return;
    luaL_unref(L, LUA_REGISTRYINDEX, kept_error);
    free(kept_traceback);
    lua_pushvalue(L, index);
    kept_error = luaL_ref(L, LUA_REGISTRYINDEX);
    kept_traceback = memory_copy(traceback, strlen(traceback));
}

void report_forget_traceback(void)
{
    if (!kept_traceback)
        return;
    luaL_unref(scheduler.L, LUA_REGISTRYINDEX, kept_error);
    free(kept_traceback);
    kept_error = LUA_NOREF;
    kept_traceback = NULL;
}

/* Leaves what was raised on top of L, as it was. */
char *report_traceback(lua_State *L)
{
    lua_State *M = scheduler.L;
    int top = lua_gettop(M);
    const char *kept = is_kept(L, -1) ? kept_traceback : NULL;
    const char *text = report_text(M, L);
    luaL_traceback(M, L, text, 0);
    const char *whole = lua_tostring(M, -1);
    char *copy = kept ? memory_format("%s\n%s", text, kept)
                      : memory_copy(whole, strlen(whole));
    lua_settop(M, top);
    return copy;
}

void report_error(struct task *task, const char *traceback)
{
    scheduler.failures++;
    if (!task->stream) {
        report_line("weir: uncaught error in task #%u%s%s\n%s", task->id,
                    task->origin ? " spawned at " : "",
                    task->origin ? task->origin : "", traceback);
        return;
    }
    char name[NAME_SIZE];
    lua_stream_describe(task->stream, name, sizeof name);
    report_line("weir: uncaught error on %s\n%s", name, traceback);
    size_t length = strcspn(traceback, "\n");
    char *reason = memory_copy(traceback, length);
    stream_fail(task->stream, ERROR_TASK, reason);
    free(reason);
}

void report_unjoined_task(struct task *task)
{
    if (task->outcome != TASK_FAILED || task->joined)
        return;
    task->joined = true;
    report_error(task, task->traceback);
}

void report_unjoined(void)
{
    struct list *tasks = &scheduler.tasks;
    for (struct list *link = tasks->next; link != tasks; link = link->next) {
        struct task *task = list_entry(link, struct task, all);
        if (task->state == TASK_ENDED)
            report_unjoined_task(task);
    }
}

/* --- tasks ---------------------------------------------------------------- */

static void print_bytes(const char *data, size_t length)
{
    size_t size = length < REPORT_BYTES ? length : REPORT_BYTES;
    for (size_t at = 0; at < size; at += 16) {
        size_t row = size - at < 16 ? size - at : 16;
        fprintf(stderr, "      %04zx ", at);
        for (size_t i = 0; i < 16; i++)
            if (i < row)
                fprintf(stderr, " %02x", (unsigned char) data[at + i]);
            else
                fprintf(stderr, "   ");
        fprintf(stderr, "  ");
        for (size_t i = 0; i < row; i++)
            fputc(isprint((unsigned char) data[at + i]) ? data[at + i] : '.',
                  stderr);
        fputc('\n', stderr);
    }
}

static void print_buffers(const struct stream *stream)
{
    size_t length = buffer_length(&stream->input);
    uint64_t queued = outqueue_length(&stream->output);
    if (queued > 0)
        fprintf(stderr, "    %llu bytes wait to be written\n",
                (unsigned long long) queued);
    fprintf(stderr, "    %zu bytes buffered%s\n", length,
            length > REPORT_BYTES ? ", the first 64 are" : "");
    print_bytes(buffer_data(&stream->input), length);
}

static const char *state_name(const struct task *task)
{
    switch (task->state) {
    case TASK_NEW:
    case TASK_READY:
        return "ready";
    case TASK_RUNNING:
        return "running";
    case TASK_WAITING:
        return "waiting";
    case TASK_ENDED:
        break;
    }
    return "ended";
}

const char *task_state_name(const struct task *task)
{
    return state_name(task);
}

/* The whole of it: a script's own coroutine first, then the task. */
static void print_traceback(const struct task *task)
{
    lua_State *M = scheduler.L;
    int top = lua_gettop(M);
    bool nested = task->state == TASK_WAITING && task->op.where != task->L;
    if (nested) {
        luaL_traceback(M, task->op.where, NULL, 0);
        fprintf(stderr, "    in a coroutine: %s\n", lua_tostring(M, -1));
    }
    if (task->L) {
        luaL_traceback(M, task->L, NULL, 0);
        fprintf(stderr, "    %s\n", lua_tostring(M, -1));
    }
    lua_settop(M, top);
}

static void print_task(const struct task *task)
{
    fprintf(stderr, "  task #%u%s", task->id, task->main ? " (main)" : "");
    if (task->origin)
        fprintf(stderr, " spawned at %s", task->origin);
    fprintf(stderr, ": %s", state_name(task));
    if (task->state != TASK_WAITING) {
        fputc('\n', stderr);
        print_traceback(task);
        return;
    }
    char target[NAME_SIZE] = "";
    struct operation *op = (struct operation *) &task->op;
    if (op->class->describe)
        op->class->describe(op, target, sizeof target);
    fprintf(stderr, " in %s%s%s for %.3f s\n", op->class->name,
            target[0] ? " " : "", target,
            ev_now(scheduler.loop->ev) - op->since);
    if (op->stream)
        print_buffers(op->stream);
    print_traceback(task);
}

void report_tasks(const char *headline)
{
    struct list *tasks = &scheduler.tasks;
    fflush(stdout);
    fprintf(stderr, "%s\n", headline);
    for (struct list *link = tasks->next; link != tasks; link = link->next) {
        struct task *task = list_entry(link, struct task, all);
        if (task->state != TASK_ENDED)
            print_task(task);
    }
    fflush(stderr);
}
