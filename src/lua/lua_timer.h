/* What others need of the timers. */
#ifndef WEIR_LUA_TIMER_H
#define WEIR_LUA_TIMER_H

/* The host drains: timers no longer keep it alive. */
void lua_timer_release_host(void);

#endif
