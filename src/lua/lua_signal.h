#ifndef WEIR_LUA_SIGNAL_H
#define WEIR_LUA_SIGNAL_H

/* What SIGTERM leaves to streams and handlers at work, in seconds: 10 unless
 * set. */
void lua_signal_set_grace(double seconds);

#endif
