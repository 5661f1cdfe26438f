/* What the host tells people: lines on standard error, uncaught errors above
 * all. Who waits for what is in report_tasks.c. */
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
    kept_traceback = memory_copy(traceback, report_script_part(traceback));
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

/* `traceback` as far as `length`, with a line for its first frame: what Lua
 * itself raises in a script's function begins with it, and LuaJIT has forgotten
 * it by the time the task has ended. */
static char *with_first_line(const char *traceback, size_t length)
{
    static const char head[] = "\nstack traceback:\n\t";
    const char *frame = strstr(traceback, head);
    frame = frame ? frame + strlen(head) : "";
    size_t name = strcspn(frame, ":\n");
    size_t line = name + 1 + strspn(traceback + name + 1, "0123456789");
    bool known = strncmp(frame + name, ": in ", 5) == 0 &&
                 strncmp(traceback, frame, name + 1) == 0 && line > name + 1 &&
                 traceback[line] == ':';
    if (!known)
        return memory_copy(traceback, length);
    size_t before = (size_t) (frame - traceback) + name;
    return memory_format("%.*s%.*s%.*s", (int) before, traceback,
                         (int) (line - name), traceback + name,
                         (int) (length - before), traceback + before);
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
    size_t length = strlen(text);
    length += report_script_part(whole + length);
    char *copy = kept ? memory_format("%s\n%s", text, kept)
                      : with_first_line(whole, length);
    lua_settop(M, top);
    return copy;
}

void report_error(struct task *task, const char *traceback)
{
    scheduler.failures++;
    if (!task->stream) {
        report_line("weir: uncaught error in task #%u%s%s\n%s", task->id,
                    task->origin ? " spawned at " : "",
                    task->origin ? task->origin->text : "", traceback);
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

/* Not one whose error object is just putting itself into words. */
static struct task *task_unjoined(void)
{
    struct list *tasks = &scheduler.tasks;
    for (struct list *link = tasks->next; link != tasks; link = link->next) {
        struct task *task = list_entry(link, struct task, all);
        if (task->state == TASK_ENDED && task->outcome == TASK_FAILED &&
            !task->joined && task->traceback)
            return task;
    }
    return NULL;
}

void report_unjoined(void)
{
    for (struct task *task; (task = task_unjoined());)
        report_unjoined_task(task);
}
