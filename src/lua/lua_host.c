/* Leaving: weir.stop, weir.exit, os.exit; and weir.version. */
#include <stdlib.h>

#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/scheduler.h"
#include "lua/task_internal.h"

/* weir.stop(): the loop is left after this turn; the usual exit status */
static int weir_stop(lua_State *L)
{
    (void) L;
    scheduler_stop(-1);
    return 0;
}

/* weir.exit([code]): streams flush for at most their linger, without Lua;
 * then the process ends. It does not return. */
static int weir_exit(lua_State *L)
{
    int status = EXIT_SUCCESS;
    if (lua_isboolean(L, 1))
        status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
    else if (!lua_isnoneornil(L, 1))
        status = (int) argument_whole(L, 1, 0, UINT8_MAX);
    report_unjoined();
    scheduler_drain();
    exit(scheduler_output_status(status));
}

/* core.failures(): how many uncaught errors have been reported */
static int failures(lua_State *L)
{
    report_unjoined();
    lua_pushinteger(L, (lua_Integer) scheduler.failures);
    return 1;
}

/* core.deadlocked() → the traceback of what failed for one, or for SIGTERM,
 * since the former call, if something did. The first call makes deadlocks fail
 * what the main task waits in, once from call to call, instead of ending the
 * host. */
static int deadlocked(lua_State *L)
{
    scheduler.testing = true;
    lua_pushstring(L, scheduler.deadlock);
    free(scheduler.deadlock);
    scheduler.deadlock = NULL;
    return 1;
}

/* core.draining(): has SIGTERM come? */
static int draining(lua_State *L)
{
    lua_pushboolean(L, scheduler.draining);
    return 1;
}

void lua_host_open(lua_State *L)
{
    lua_pushcfunction(L, weir_stop);
    lua_setfield(L, -2, "stop");
    lua_pushcfunction(L, weir_exit);
    lua_getglobal(L, "os");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 1);
    lua_setfield(L, -2, "exit");
    lua_pushcfunction(L, failures);
    lua_setfield(L, -3, "failures");
    lua_pushcfunction(L, deadlocked);
    lua_setfield(L, -3, "deadlocked");
    lua_pushcfunction(L, draining);
    lua_setfield(L, -3, "draining");
    lua_pushliteral(L, WEIR_VERSION);
    lua_setfield(L, -2, "version");
}
