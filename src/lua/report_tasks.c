/* Who waits for what: the report of SIGQUIT and of deadlocks. */
#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "event/stream.h"
#include "lua/lua_coroutine.h"
#include "lua/lua_stream.h"
#include "lua/task_internal.h"

static void print_bytes(const char *data, size_t length)
{
    size_t size = length < LUA_STREAM_HEAD ? length : LUA_STREAM_HEAD;
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
    fprintf(stderr, "    %zu bytes buffered", length);
    if (length > LUA_STREAM_HEAD)
        fprintf(stderr, ", the first %d are", LUA_STREAM_HEAD);
    fputc('\n', stderr);
    print_bytes(buffer_data(&stream->input), length);
}

const char *task_state_name(const struct task *task)
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

/* Those of `at` and of what it resumes, the innermost first. */
static void push_tracebacks(lua_State *L, lua_State *at,
                            const struct operation *op)
{
    lua_State *inner = at == op->thread ? NULL : lua_coroutine_waiting_in(at);
    if (inner)
        push_tracebacks(L, inner, op);
    else
        lua_pushliteral(L, "");
    luaL_traceback(L, at, at == op->task->L ? NULL : "in a coroutine:", 0);
    const char *whole = lua_tostring(L, -1);
    lua_pushlstring(L, whole, report_script_part(whole));
    lua_remove(L, -2);
    lua_pushliteral(L, "\n");
    lua_concat(L, 3);
}

void report_push_traceback(lua_State *L, const struct task *task)
{
    if (task->state == TASK_WAITING)
        push_tracebacks(L, task->L, &task->wait.op);
    else if (task->L && task->state != TASK_RUNNING)
        luaL_traceback(L, task->L, NULL, 0);
    else
        lua_pushliteral(L, "");
}

/* Each line further in, as it belongs to what is above. */
static void print_indented(const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        fprintf(stderr, "    %.*s\n", (int) length, text);
        text += length + (text[length] == '\n');
    }
}

static void print_traceback(const struct task *task)
{
    lua_State *M = scheduler.L;
    report_push_traceback(M, task);
    print_indented(lua_tostring(M, -1));
    lua_pop(M, 1);
}

/* Pops the function. */
static void print_function(lua_State *L)
{
    lua_Debug info;
    lua_getinfo(L, ">S", &info);
    if (info.linedefined < 0)
        fprintf(stderr, " of a C function");
    else
        fprintf(stderr, " of the function at %s:%d", info.short_src,
                info.linedefined);
}

/* The task that runs a callback or a handler is known by its function. */
static void print_started(const struct task *task)
{
    lua_State *M = scheduler.L;
    lua_Debug frame;
    int level = 0;
    while (task->L && lua_getstack(task->L, level, &frame))
        level++;
    if (level > 0) {
        lua_getstack(task->L, level - 1, &frame);
        lua_getinfo(task->L, "f", &frame);
        lua_xmove(task->L, M, 1);
    } else if (task->L && lua_isfunction(task->L, 1)) {
        lua_pushvalue(task->L, 1);
        lua_xmove(task->L, M, 1);
    } else {
        return;
    }
    print_function(M);
}

/* " waiting in read_until on stream #3 (tcp 127.0.0.1:80, open) for 1.000 s",
 * and what there is to read. */
static void print_operation(struct operation *op)
{
    char target[NAME_SIZE] = "";
    struct stream *stream = operation_stream(op);
    if (stream)
        lua_stream_describe(stream, target, sizeof target);
    else if (op->class->describe)
        op->class->describe(op, target, sizeof target);
    fprintf(stderr, ": waiting in %s%s%s for %.3f s\n", op->class->name,
            stream    ? " on "
            : *target ? " "
                      : "",
            target, loop_clock() - op->since);
    if (stream)
        print_buffers(stream);
}

static void print_task(struct task *task)
{
    fprintf(stderr, "  task #%u", task->id);
    if (task->main)
        fprintf(stderr, " (main)");
    else if (task->origin)
        fprintf(stderr, " spawned at %s", task->origin->text);
    else
        print_started(task);
    if (task->state == TASK_WAITING)
        print_operation(&task->wait.op);
    else
        fprintf(stderr, ": %s\n", task_state_name(task));
    print_traceback(task);
}

/* Callbacks are not tasks before they are called, but somebody waits. */
static void print_callback(struct operation *op)
{
    lua_State *M = scheduler.L;
    fprintf(stderr, "  callback");
    operation_push_callback(M, op);
    print_function(M);
    print_operation(op);
}

void report_tasks(const char *headline)
{
    struct list *tasks = &scheduler.tasks;
    struct list *operations = &scheduler.operations;
    bool any = false;
    fflush(stdout);
    fprintf(stderr, "%s\n", headline);
    for (struct list *link = tasks->next; link != tasks; link = link->next) {
        struct task *task = list_entry(link, struct task, all);
        if (task->state == TASK_ENDED)
            continue;
        print_task(task);
        any = true;
    }
    for (struct list *link = operations->next; link != operations;
         link = link->next) {
        struct operation *op = list_entry(link, struct operation, all);
        if (operation_task(op))
            continue;
        print_callback(op);
        any = true;
    }
    if (!any)
        fprintf(stderr,
                "  none; %u listeners, timers and the like keep the "
                "host\n",
                scheduler.loop->holds);
    fflush(stderr);
}
