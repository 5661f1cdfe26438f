-- weir.deadline and weir.guard: what holds while a function runs.
local weir, core = ...

local traceback = debug.traceback

-- A protected call cuts the stack off: an error that goes on afterwards brings
-- the traceback of where it was raised along.
local function keep(raised)
  core.keep_traceback(raised, traceback("", 2))
  return raised
end

local function after_deadline(former, ok, ...)
  core.restore_deadline(former)
  if ok then return ... end
  error((...), 0)
end

--- weir.deadline(seconds, f, ...): f's results. Operations that f waits in fail
-- with ETIMEDOUT from then on until it returns. Nested, the earliest counts.
function weir.deadline(seconds, f, ...)
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds then
    error("deadline: seconds, 0 or more, expected, got "
      .. (type(seconds) == "number" and seconds or type(seconds)), 2)
  elseif type(f) ~= "function" then
    error("deadline: a function expected, got " .. type(f), 2)
  end
  return after_deadline(core.set_deadline(seconds), xpcall(f, keep, ...))
end

-- Not tostring: an error object's own __tostring may raise in its turn.
local function caught(raised)
  return { error = raised, traceback = traceback(core.error_text(raised), 2) }
end

local function after_guard(on_error, former, ok, ...)
  core.guard_leave(former)
  if ok then return ... end
  local failure = ...
  if type(failure) ~= "table" then -- no room was left even for that
    return on_error(failure, tostring(failure))
  end
  on_error(failure.error, failure.traceback)
end

--- weir.guard(on_error, f, ...): f's results, nothing if it raised. Errors in
-- f, in callbacks registered and tasks spawned within it, however late, go to
-- on_error(error, traceback).
function weir.guard(on_error, f, ...)
  if type(on_error) ~= "function" or type(f) ~= "function" then
    error(("guard: two functions expected, on_error and f, got %s and %s")
      :format(type(on_error), type(f)), 2)
  end
  local former = core.guard_enter(on_error, false)
  return after_guard(on_error, former, xpcall(f, caught, ...))
end

--- The same, but a spawned task's error is not on_error's: it stays with the
-- task until somebody joins it, or takes it by core.take_unjoined.
function core.patient_guard(on_error, f, ...)
  local former = core.guard_enter(on_error, true)
  return after_guard(on_error, former, xpcall(f, caught, ...))
end
