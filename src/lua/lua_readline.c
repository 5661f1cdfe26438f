/* weir.readline: line editing for the REPL, which is its only user.
 *
 * readline's callback interface, fed with bytes that the REPL read from
 * weir.stdin, so that editing a line waits like any other read. There is one
 * terminal, and so one editor: its state is this file's, as it is readline's.
 *
 * The library is loaded when the REPL starts, not linked: it would nearly
 * double the time that every other start of weir takes. */
#include "lua/lua_readline.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#define SYMBOLS(_) \
    _(rl_callback_handler_install) \
    _(rl_callback_handler_remove) \
    _(rl_callback_read_char) \
    _(rl_cleanup_after_signal) \
    _(rl_reset_after_signal) \
    _(rl_forced_update_display) \
    _(rl_getc) \
    _(rl_getc_function) \
    _(rl_instream) \
    _(rl_end) \
    _(rl_readline_name) \
    _(rl_catch_signals) \
    _(rl_completion_matches) \
    _(rl_attempted_completion_function) \
    _(rl_attempted_completion_over) \
    _(rl_completion_append_character) \
    _(rl_basic_word_break_characters) \
    _(using_history) \
    _(add_history) \
    _(read_history) \
    _(write_history) \
    _(append_history)

#define MEMBER(name) __typeof__(&name) name;
static struct {
    SYMBOLS(MEMBER)
} lib; /* readline's functions, and pointers to its variables */

static struct {
    bool active; /* the terminal is readline's */
    bool done;   /* a line, or the end of input (NULL), is in `line` */
    char *line;
    const char *input; /* what feed() was given and readline has not read */
    const char *input_end;
    lua_State *L; /* while it may complete */
} editor;

/* Stops editing at once, or readline would show the prompt anew. */
static void take_line(char *line)
{
    lib.rl_callback_handler_remove();
    editor.active = false;
    editor.done = true;
    editor.line = line;
}

/* Asking "Display all 99 possibilities?" it wants more than it was fed: the
 * loop stands still until the answer, which is at the keyboard anyway. */
static int next_byte(FILE *file)
{
    if (editor.input < editor.input_end)
        return (unsigned char) *editor.input++;
    return lib.rl_getc(file);
}

/* Whatever way the process ends, its terminal is as it was. */
static void restore_terminal(void)
{
    if (editor.active)
        lib.rl_callback_handler_remove();
}

/* readline.start(prompt) */
static int readline_start(lua_State *L)
{
    const char *prompt = luaL_checkstring(L, 1);
    editor.done = false;
    editor.active = true;
    lib.rl_callback_handler_install(prompt, take_line);
    return 0;
}

/* readline.feed(bytes) → nil: not complete; or a line, or false at the end
 * of input; and the bytes that came after it. */
static int readline_feed(lua_State *L)
{
    size_t size;
    editor.input = luaL_checklstring(L, 1, &size);
    editor.input_end = editor.input + size;
    editor.L = L;
    while (editor.active && editor.input < editor.input_end)
        lib.rl_callback_read_char();
    if (!editor.done)
        return 0;
    if (editor.line)
        lua_pushstring(L, editor.line);
    else
        lua_pushboolean(L, false);
    free(editor.line);
    editor.line = NULL;
    editor.done = false;
    lua_pushlstring(L, editor.input,
                    (size_t) (editor.input_end - editor.input));
    return 2;
}

/* readline.resume(): the process was stopped; its terminal is the shell's
 * until this takes it back. */
static int readline_resume(lua_State *L)
{
    (void) L;
    if (!editor.active)
        return 0;
    lib.rl_cleanup_after_signal();
    lib.rl_reset_after_signal();
    lib.rl_forced_update_display();
    return 0;
}

/* readline.stop() → was there text in the line? */
static int readline_stop(lua_State *L)
{
    lua_pushboolean(L, editor.active && *lib.rl_end > 0);
    restore_terminal();
    editor.active = false;
    return 1;
}

/* readline.remember(line, path): in this history, and at that file's end. */
static int readline_remember(lua_State *L)
{
    const char *line = luaL_checkstring(L, 1);
    const char *path = luaL_optstring(L, 2, NULL);
    lib.add_history(line);
    if (path && lib.append_history(1, path) != 0)
        lib.write_history(path);
    return 0;
}

/* readline.recall(path) */
static int readline_recall(lua_State *L)
{
    lib.using_history();
    lib.read_history(luaL_checkstring(L, 1));
    return 0;
}

/* One candidate at a time, as readline wants them, the first one for `state` 0:
 * from the list that the completer returned, which is on top of the stack. */
static char *next_candidate(const char *text, int state)
{
    static int number;
    lua_State *L = editor.L;
    (void) text;
    number = state == 0 ? 1 : number + 1;
    lua_rawgeti(L, -1, number);
    const char *candidate = lua_tostring(L, -1);
    char *copy = candidate ? strdup(candidate) : NULL;
    lua_pop(L, 1);
    return copy;
}

static char **complete(const char *text, int start, int end)
{
    lua_State *L = editor.L;
    char **matches = NULL;
    (void) start;
    (void) end;
    *lib.rl_attempted_completion_over = 1; /* and never file names */
    *lib.rl_completion_append_character = '\0';
    lua_getfield(L, LUA_REGISTRYINDEX, "weir.readline.completer");
    lua_pushstring(L, text);
    if (lua_pcall(L, 1, 1, 0) == 0 && lua_istable(L, -1))
        matches = lib.rl_completion_matches(text, next_candidate);
    lua_pop(L, 1);
    return matches;
}

/* readline.completer(f): f(text) returns a list of what it may become. */
static int readline_completer(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "weir.readline.completer");
    *lib.rl_attempted_completion_function = complete;
    *lib.rl_basic_word_break_characters = " \t\n\"'+-*/^%#=<>;,(){}[]~";
    return 0;
}

static bool load_library(void)
{
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
    void *library =
        dlopen("libreadline.so." TEXT(RL_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
    bool found = library != NULL;
#define LOAD(name) \
    *(void **) &lib.name = library ? dlsym(library, #name) : NULL; \
    found = found && lib.name;
    SYMBOLS(LOAD)
    return found;
}

/* readline.load() → false where there is none; only terminal() works then. */
static int readline_load(lua_State *L)
{
    static bool loaded;
    if (!loaded && load_library()) {
        loaded = true;
        *lib.rl_readline_name = "weir";
        *lib.rl_catch_signals = 0; /* they are the host's */
        *lib.rl_getc_function = next_byte;
        /* Its own: weir.stdin may be closed before the terminal is restored. */
        int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        *lib.rl_instream = fd < 0 ? stdin : fdopen(fd, "r");
        atexit(restore_terminal);
    }
    lua_pushboolean(L, loaded);
    return 1;
}

/* readline.terminal() → are standard input and output one? */
static int readline_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
    return 1;
}

static const luaL_Reg functions[] = {
    {"load", readline_load},           {"terminal", readline_terminal},
    {"start", readline_start},         {"feed", readline_feed},
    {"resume", readline_resume},       {"stop", readline_stop},
    {"remember", readline_remember},   {"recall", readline_recall},
    {"completer", readline_completer}, {NULL, NULL},
};

int luaopen_weir_readline(lua_State *L)
{
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    return 1;
}
