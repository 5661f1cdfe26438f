/* weir.stdin, weir.stdout, weir.stderr: streams around descriptors that are
 * not weir's alone, made when a script first asks for them. */
#include "lua/lua_stdio.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/printed.h"
#include "io/standard.h"
#include "lua/lua_stream.h"
#include "lua/modules.h"

static const char *const names[] = {"stdin", "stdout", "stderr"};

/* The userdata, by descriptor: a script that drops one does not close it. */
static int references[] = {LUA_NOREF, LUA_NOREF, LUA_NOREF};
static struct stream *output;

/* What print has left in stdio's buffer was said before. */
static void before_write(struct stream *stream)
{
    (void) stream;
    fflush(stdout);
}

static void before_print(void)
{
    stream_flush_blocking(output);
}

void lua_stdio_flush(void)
{
    if (output)
        stream_flush_blocking(output);
    fflush(stdout);
}

/* What cannot be written is gone then, and is not tried again. */
void lua_stdio_before_wait(void)
{
    if (!output || outqueue_length(&output->output) == 0)
        fflush(stdout);
}

const char *lua_stdio_lost(void)
{
    return output && output->lost ? stream_reason(output, output->lost) : NULL;
}

static void push_standard(lua_State *L, int fd)
{
    struct lua_stream_options options;
    lua_stream_options(L, 0, &options);
    struct lua_stream *box = lua_stream_push(L, &options, names[fd]);
    struct stream *stream = box->stream;
    standard_remember_terminal(fd);
    stream_open(stream, fd, NULL);
    /* People read these as they come, between what print says. */
    stream->eager = fd == STDERR_FILENO || isatty(fd);
    if (fd == STDOUT_FILENO) {
        stream_have_rare(stream)->before_write = before_write;
        output = stream_retain(stream);
        printed_after(before_print);
    }
    lua_pushvalue(L, -1);
    references[fd] = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* __index of weir: only what is not there yet comes here. */
static int weir_index(lua_State *L)
{
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    int fd = 0;
    while (fd <= STDERR_FILENO && strcmp(key, names[fd]) != 0)
        fd++;
    if (fd > STDERR_FILENO)
        return 0;
    if (references[fd] == LUA_NOREF)
        push_standard(L, fd);
    else
        lua_rawgeti(L, LUA_REGISTRYINDEX, references[fd]);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
}

void lua_stdio_open(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, weir_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}
