/* weir.trace: the trace of what goes over the wire, from within. */
#include "event/trace.h"
#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/task.h"

/* weir.trace([on]) → was it on? */
static int weir_trace(lua_State *L)
{
    bool was = task_loop()->trace;
    if (!lua_isnoneornil(L, 1))
        trace_set(task_loop(), argument_boolean(L, 1));
    lua_pushboolean(L, was);
    return 1;
}

void lua_trace_open(lua_State *L)
{
    lua_pushcfunction(L, weir_trace);
    lua_setfield(L, -2, "trace");
}
