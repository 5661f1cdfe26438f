/* The host: one Lua state, one loop, the scripts of the command line. */
#include "host.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "event/loop.h"
#include "event/resolver.h"
#include "event/signal_watch.h"
#include "event/trace.h"
#include "lua/allocator.h"
#include "lua/lua_modules.h"
#include "lua/lua_signal.h"
#include "lua/modules.h"
#include "lua/scheduler.h"

/* Sanitizer builds let malloc see every Lua object. When weir.exit leaves Lua
 * behind as it is, nothing in there is a leak, although LuaJIT's pointer to
 * some blocks is not to where they begin. */
#ifdef WEIR_SANITIZE
#include <sanitizer/lsan_interface.h>

static void *allocate(void *context, void *block, size_t old, size_t size)
{
    (void) context;
    (void) old;
    if (size > 0) {
        block = realloc(block, size);
        __lsan_ignore_object(block);
        return block;
    }
    free(block);
    return NULL;
}

static lua_State *new_state(void)
{
    return lua_newstate(allocate, NULL);
}
#else
static lua_State *new_state(void)
{
    lua_State *L = luaL_newstate();
    if (L)
        allocator_open(L);
    return L;
}
#endif

static int panic(lua_State *L)
{
    fprintf(stderr, "weir: error outside of any task: %s\n",
            lua_tostring(L, -1));
    return 0;
}

static void set_arguments(lua_State *L, const struct options *options)
{
    lua_createtable(L, options->argc, options->first);
    for (int i = 0; i < options->argc; i++) {
        lua_pushstring(L, options->argv[i]);
        lua_rawseti(L, -2, i - options->first);
    }
    lua_setglobal(L, "arg");
}

/* All of the table at 1: unpack takes 8,000 at most. LuaJIT's stack grows as
 * values are pushed. */
static int push_all(lua_State *L)
{
    int count = (int) lua_objlen(L, 1);
    for (int i = 1; i <= count; i++)
        lua_rawgeti(L, 1, i);
    return count;
}

/* What lua/weir/main.lua does: {{module = "x"} or {chunk = "x"}, …}. */
static void push_actions(lua_State *L, const struct options *options)
{
    lua_createtable(L, options->action_count, 0);
    for (int i = 0; i < options->action_count; i++) {
        const struct option_action *action = &options->actions[i];
        lua_createtable(L, 0, 1);
        lua_pushstring(L, action->text);
        lua_setfield(L, -2, action->module ? "module" : "chunk");
        lua_rawseti(L, -2, i + 1);
    }
}

/* Where a script that is a symbolic link really is; nil if it is none. */
static void push_link_target(lua_State *L, const char *script)
{
    struct stat about;
    bool is_link = lstat(script, &about) == 0 && S_ISLNK(about.st_mode);
    char *target = is_link ? realpath(script, NULL) : NULL;
    lua_pushstring(L, target);
    free(target);
}

static void push_plan(lua_State *L, const struct options *options)
{
    lua_createtable(L, 0, 6);
    lua_pushcfunction(L, push_all);
    lua_setfield(L, -2, "unpack");
    push_actions(L, options);
    lua_setfield(L, -2, "actions");
    lua_pushstring(L, options->test ? NULL : options->script);
    lua_setfield(L, -2, "script");
    push_link_target(L, options->script ? options->script : "");
    lua_setfield(L, -2, "link_target");
    lua_pushboolean(L, options->test);
    lua_setfield(L, -2, "test");
    lua_pushboolean(L, options->interactive);
    lua_setfield(L, -2, "interactive");
}

static int open_libraries(lua_State *L)
{
    const struct options *options = lua_touserdata(L, 1);
    luaL_openlibs(L);
    lua_modules_open(L);
    weir_open(L);
    set_arguments(L, options);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "weir.main");
    lua_call(L, 1, 1);
    push_plan(L, options);
    scheduler_main(L, 1);
    return 0;
}

static bool begin_trace(struct loop *loop, const struct options *options)
{
    if (!trace_open(loop, options->trace_file, options->trace_bytes)) {
        fprintf(stderr, "weir: cannot open %s: %s\n", options->trace_file,
                strerror(errno));
        return false;
    }
    trace_set(loop, options->trace);
    return true;
}

int host_run(const struct options *options)
{
    struct loop *loop = loop_new();
    if (loop && !begin_trace(loop, options)) {
        loop_free(loop);
        return EXIT_FAILURE;
    }
    lua_State *L = new_state();
    if (!loop || !L) {
        fprintf(stderr, "weir: cannot make the %s\n",
                loop ? "Lua state" : "event loop");
        return EXIT_FAILURE;
    }
    lua_atpanic(L, panic);
    scheduler_open(L, loop);
    lua_signal_set_grace(options->grace);
    int status = EXIT_FAILURE;
    if (lua_cpcall(L, open_libraries, (void *) options) != 0)
        fprintf(stderr, "weir: %s\n", lua_tostring(L, -1));
    else
        status = scheduler_run();
    scheduler_drain();
    allocator_close(L);
    lua_close(L);
    status = scheduler_output_status(status);
    signal_watch_close();
    resolver_free_all();
    trace_free(loop);
    loop_free(loop);
    return status;
}
