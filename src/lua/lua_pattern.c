/* Each pattern is a userdata in a cache of two generations: when the young one
 * is full it becomes the old one, and what is still used moves back. So a
 * script that makes up patterns without end keeps at most 2 × CACHE_SIZE. */
#include "lua/lua_pattern.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/match.h"
#include "lua/arguments.h"

#define PATTERN_TYPE "weir.pattern"
#define CACHE_SIZE 256
#define MOST_DELIMITERS 10000

struct cache {
    int young, old; /* registry references to tables: text → userdata */
    int count;      /* in the young one */
};

static struct cache single = {LUA_NOREF, LUA_NOREF, 0};
static struct cache lists = {LUA_NOREF, LUA_NOREF, 0};
static struct cache regexes = {LUA_NOREF, LUA_NOREF, 0};

/* Single delimiters used last, by address: most programs use few, over and
 * over. Lua's strings are interned, and these are anchored by the cache. */
static struct {
    const char *text;
    struct pattern *pattern;
} recent[16];

static int pattern_collect(lua_State *L)
{
    struct pattern **box = lua_touserdata(L, 1);
    if (*box)
        pattern_release(*box);
    *box = NULL;
    return 0;
}

static void cache_turn(lua_State *L, struct cache *cache)
{
    luaL_unref(L, LUA_REGISTRYINDEX, cache->old);
    cache->old = cache->young;
    lua_newtable(L);
    cache->young = luaL_ref(L, LUA_REGISTRYINDEX);
    cache->count = 0;
    memset(recent, 0, sizeof recent);
}

/* cache[key at top] = userdata just below it; pops both. */
static void cache_put(lua_State *L, struct cache *cache)
{
    if (cache->young == LUA_NOREF || cache->count >= CACHE_SIZE)
        cache_turn(L, cache);
    cache->count++;
    lua_rawgeti(L, LUA_REGISTRYINDEX, cache->young);
    lua_insert(L, -3);
    lua_insert(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* The pattern whose key is at `key`, an absolute index; NULL if not there. */
static struct pattern *cache_get(lua_State *L, struct cache *cache, int key)
{
    int tables[] = {cache->young, cache->old};
    for (int i = 0; i < 2; i++) {
        if (tables[i] == LUA_NOREF)
            continue;
        lua_rawgeti(L, LUA_REGISTRYINDEX, tables[i]);
        lua_pushvalue(L, key);
        lua_rawget(L, -2);
        lua_remove(L, -2);
        struct pattern **box = lua_touserdata(L, -1);
        if (!box) {
            lua_pop(L, 1);
            continue;
        }
        struct pattern *pattern = *box;
        if (i == 1) {
            lua_pushvalue(L, key);
            cache_put(L, cache);
        } else {
            lua_pop(L, 1);
        }
        return pattern;
    }
    return NULL;
}

/* Caches a fresh pattern under the key at `key`. */
static struct pattern *cache_new(lua_State *L, struct cache *cache, int key,
                                 struct pattern *pattern)
{
    struct pattern **box = lua_newuserdata(L, sizeof *box);
    *box = pattern;
    if (luaL_newmetatable(L, PATTERN_TYPE)) {
        lua_pushcfunction(L, pattern_collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_pushvalue(L, key);
    cache_put(L, cache);
    return pattern;
}

/* --- delimiters ----------------------------------------------------------- */

static size_t recent_place(const char *text)
{
    return ((uintptr_t) text >> 4) % (sizeof recent / sizeof *recent);
}

struct pattern *lua_pattern_recent(const char *text)
{
    size_t place = recent_place(text);
    return recent[place].text == text ? recent[place].pattern : NULL;
}

static struct pattern *one_delimiter(lua_State *L, int index)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    struct pattern *pattern = lua_pattern_recent(text);
    if (pattern)
        return pattern;
    pattern = cache_get(L, &single, index);
    if (!pattern) {
        pattern = pattern_delimiters(&text, &size, 1);
        if (!pattern)
            argument_error(L, index, "empty delimiter");
        cache_new(L, &single, index, pattern);
    }
    recent[recent_place(text)].text = text;
    recent[recent_place(text)].pattern = pattern;
    return pattern;
}

/* A text that says which strings the list holds, and where each ends. */
static void push_list_key(lua_State *L, int index, int count)
{
    luaL_Buffer key;
    luaL_buffinit(L, &key);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, index, i);
        size_t size;
        if (lua_type(L, -1) != LUA_TSTRING)
            argument_error(L, index, "delimiter: a list of strings expected");
        lua_tolstring(L, -1, &size);
        if (size == 0)
            argument_error(L, index, "empty delimiter");
        char length[32];
        int digits = snprintf(length, sizeof length, "%zu:", size);
        lua_pop(L, 1);
        luaL_addlstring(&key, length, (size_t) digits);
        lua_rawgeti(L, index, i);
        luaL_addvalue(&key);
    }
    luaL_pushresult(&key);
}

static struct pattern *delimiter_list(lua_State *L, int index)
{
    int count = (int) lua_objlen(L, index);
    if (count == 0 || count > MOST_DELIMITERS)
        argument_error(L, index, "a list of 1 to 10000 delimiters expected");
    argument_list(L, index, count, "delimiters");
    push_list_key(L, index, count);
    int key = lua_gettop(L);
    struct pattern *pattern = cache_get(L, &lists, key);
    if (!pattern) {
        const char **texts = lua_newuserdata(L, (size_t) count * sizeof *texts);
        size_t *sizes = lua_newuserdata(L, (size_t) count * sizeof *sizes);
        for (int i = 0; i < count; i++) {
            lua_rawgeti(L, index, i + 1);
            texts[i] = lua_tolstring(L, -1, &sizes[i]);
            lua_pop(L, 1);
        }
        pattern =
            cache_new(L, &lists, key, pattern_delimiters(texts, sizes, count));
    }
    lua_settop(L, key - 1);
    return pattern;
}

struct pattern *lua_pattern_delimiters(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TSTRING)
        return one_delimiter(L, index);
    if (lua_istable(L, index))
        return delimiter_list(L, index);
    argument_error(L, index,
                   "delimiter (a string, or a list of them) expected");
    return NULL;
}

/* --- regexes -------------------------------------------------------------- */

struct pattern *lua_pattern_regex(lua_State *L, int index)
{
    size_t size;
    if (lua_type(L, index) != LUA_TSTRING)
        argument_error(L, index, "regex (a string) expected");
    const char *text = lua_tolstring(L, index, &size);
    struct pattern *pattern = cache_get(L, &regexes, index);
    if (pattern)
        return pattern;
    char *message = NULL;
    size_t offset = 0;
    pattern = pattern_regex(text, size, &message, &offset);
    if (!pattern) {
        lua_pushfstring(L, "bad regex: %s (at offset %d)", message,
                        (int) offset);
        free(message);
        argument_error(L, index, lua_tostring(L, -1));
    }
    return cache_new(L, &regexes, index, pattern);
}
