/* Long blocks of Lua's memory are used again while they are warm.
 *
 * What reads bring is mostly long strings that soon are garbage. LuaJIT's
 * allocator would cut the next one from whichever free area its bins lead to,
 * or, from 128 KiB on, ask the system for fresh pages, which cost several times
 * as much as the bytes do. Here what Lua frees is kept, by size, and handed out
 * first. */
#ifndef WEIR_ALLOCATOR_H
#define WEIR_ALLOCATOR_H

#include <lua.h>

/* Comes between a Lua state, of which there is one, and its allocator. */
void allocator_open(lua_State *L);

/* Gives back what is kept. */
void allocator_trim(void);

/* As it was before allocator_open, if that has been called. */
void allocator_close(lua_State *L);

#endif
