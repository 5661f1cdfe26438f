/* What others need of weir.stdout. */
#ifndef WEIR_LUA_STDIO_H
#define WEIR_LUA_STDIO_H

/* Sends what print and weir.stdout have kept back: somebody else is about to
 * write there. Blocks as print does. */
void lua_stdio_flush(void);

/* The same when the host is about to wait, but behind what weir.stdout has
 * queued, for which it does not block. */
void lua_stdio_before_wait(void);

/* NULL; or why bytes that weir.stdout had queued were lost, if nobody was
 * told. */
const char *lua_stdio_lost(void);

#endif
