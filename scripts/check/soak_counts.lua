-- What the soak counts: operations that began, and that ended as they may.
local M = { started = {}, ended = {}, faults = 0, live = {} }

local random = math.random

local EXPECTED = {}
for code in ([[ECANCELED ETIMEDOUT ECLOSED EOF ETASK ECONNRESET EPIPE
  ECONNREFUSED]]):gmatch("%S+") do EXPECTED[code] = true end

local ENDED = { done = true, failed = true, cancelled = true }

function M.check(holds, ...)
  if holds then return end
  M.faults = M.faults + 1
  if M.faults > 20 then return end
  io.stderr:write("soak: ", debug.traceback(string.format(...), 2), "\n")
end

local check = M.check

function M.begin(name) M.started[name] = (M.started[name] or 0) + 1 end

--- The results of an operation: passed on.
function M.finish(name, first, message, code, ...)
  M.ended[name] = (M.ended[name] or 0) + 1
  if first == nil and code ~= nil then
    check(EXPECTED[code], "%s: %s %s", name, tostring(message), tostring(code))
  end
  return first, message, code, ...
end

--- f(...) is an operation that waits.
function M.wait(name, f, ...)
  M.begin(name)
  return M.finish(name, f(...))
end

--- register(callback) begins one that calls back: once, and not inside.
function M.later(name, register)
  M.begin(name)
  local calls, inside = 0, true
  register(function(...)
    calls = calls + 1
    check(calls == 1, "%s called back %d times", name, calls)
    check(not inside, "%s called back inside the call", name)
    M.finish(name, ...)
  end)
  inside = false
end

--- Options for an operation, now and then with a short timeout.
function M.options()
  if random(3) == 1 then return { timeout = random() * 0.01 } end
end

--- A task that may be cancelled at any time.
function M.go(f, ...)
  local task = weir.spawn(f, ...)
  M.live[#M.live + 1] = task
  return task
end

--- The same, but one that has begun.
function M.begun(f)
  local task
  repeat
    task = M.go(f)
    M.wait("sleep", weir.sleep, 0)
  until task:status() ~= "cancelled"
  return task
end

function M.has_ended(task) return ENDED[task:status()] end

--- Whoever joins may be cancelled too, and then joins again.
function M.join(task)
  local value, message, code
  repeat
    value, message, code = M.wait("join", task.join, task, M.options())
  until code ~= "ETIMEDOUT" and code ~= "ECANCELED"
    or task:status() == "cancelled"
  if code == "ETASK" then check(message:find("on purpose"), "%s", message) end
  return value, message, code
end

--- Sleeps, however often that is cancelled, until holds() is true.
function M.await(what, holds)
  local limit = weir.now() + 30
  while not holds() do
    if weir.now() > limit then return check(false, "never: %s", what) end
    M.wait("sleep", weir.sleep, 0.001)
  end
end

return M
