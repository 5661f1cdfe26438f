-- Coroutines that scripts make, inside tasks.
--
-- An operation that waits in one yields core.wait_mark to whoever resumed it.
-- The resume and wrap that scripts get pass that outward, coroutine by
-- coroutine, until the task itself waits; what comes back goes inward again.
-- The checks that are rarely needed are made in C, when something waits: a
-- generator that never waits pays for two Lua calls (see lua_coroutine.c).
local _, core = ...

local library = coroutine
local create, resume, yield = library.create, library.resume, library.yield
local wait_mark, is_task, raise = core.wait_mark, core.is_task, core.raise

-- Threads that a script must not resume: tasks that told it their thread (C
-- enters those), and coroutines in the middle of an operation.
local refused = core.refused_threads

-- Counts the coroutines that run, one inside the other: what an operation in
-- one of them may do takes a closer look (see lua_fast.c).
local fast = core.fast

-- The message for a thread that is not to be resumed, or nil.
local function refusal(co)
  if is_task(co) then
    return "cannot resume a task: weir does when what it waits for is there"
  elseif refused[co] == "waits" then
    return "cannot resume a coroutine that waits in an operation"
  end
end

local pass

local function go_on(co, ...)
  refused[co] = nil
  fast.coroutines = fast.coroutines + 1
  return pass(co, resume(co, ...))
end

function pass(co, ok, ...)
  fast.coroutines = fast.coroutines - 1
  if (...) ~= wait_mark then return ok, ... end
  refused[co] = "waits"
  return go_on(co, yield(...))
end

function library.resume(co, ...)
  if refused[co] then
    local message = refusal(co)
    if message then return false, message end
  end
  if type(co) ~= "thread" then return resume(co, ...) end -- raises
  fast.coroutines = fast.coroutines + 1
  return pass(co, resume(co, ...))
end

local pass_wrapped

local function go_on_wrapped(co, ...)
  refused[co] = nil
  fast.coroutines = fast.coroutines + 1
  return pass_wrapped(co, resume(co, ...))
end

function pass_wrapped(co, ok, ...)
  fast.coroutines = fast.coroutines - 1
  if not ok then return raise(co, ...) end
  if (...) ~= wait_mark then return ... end
  refused[co] = "waits"
  return go_on_wrapped(co, yield(...))
end

function library.wrap(f)
  if type(f) ~= "function" then
    error("bad argument #1 to 'wrap' (function expected, got " .. type(f)
      .. ")", 2)
  end
  local co = create(f)
  return function(...)
    if refused[co] then error(refusal(co), 2) end
    fast.coroutines = fast.coroutines + 1
    return pass_wrapped(co, resume(co, ...))
  end
end

library.yield = core.yield
library.running = core.running
