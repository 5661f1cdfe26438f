/* What others need of weir.signal. */
#ifndef WEIR_LUA_SIGNAL_H
#define WEIR_LUA_SIGNAL_H

#include <lua.h>

/* What SIGTERM leaves to streams and handlers at work, in seconds: 10 unless
 * set. */
void lua_signal_set_grace(double seconds);

/* The number of the signal that is named at `index`; raises, for `what` and
 * with all names, if it is none. */
int lua_signal_check(lua_State *L, int index, const char *what);

#endif
