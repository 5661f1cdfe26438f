-- `weir --test [busted's arguments]`: busted, inside weir.
--
-- busted walks its files, blocks and specs in plain Lua, with nothing but
-- xpcall in between, so that every `it`, `before_each`, `setup`, … may wait.
-- Loading is the exception: a helper comes in through `require`.

local core = debug.getregistry()["weir.core"]

local M = {}

local MISSING = [[
weir: --test needs busted (Debian: apt install lua-busted): %s
]]

local DEADLOCK =
  "deadlock: this waits for what can never happen (shown on standard error)"
local CUT = "SIGTERM came while this waited (shown on standard error)"

-- Errors in callbacks and tasks that belong to no spec any more.
local strays = 0

-- The error that fails a spec, although it happened elsewhere.
local raised_elsewhere

local function say(what, traceback)
  io.stderr:write("weir: ", what, ": ", traceback, "\n")
end

local function next_unjoined()
  local raised, traceback = core.take_unjoined()
  return traceback and { error = raised, traceback = traceback }
end

-- The innermost line of a traceback that is not weir's own.
local function place_in(traceback)
  for place in traceback:gmatch("\n%s+([^%[\n:][^\n:]*:%d+: )in ") do
    if place:sub(1, 9) ~= "lua/weir/" then return place end
  end
  return ""
end

local function next_deadlock()
  local traceback = core.deadlocked()
  return traceback and {
    error = place_in(traceback) .. (core.draining() and CUT or DEADLOCK),
    traceback = "\n" .. traceback,
  }
end

-- A block that went on after a deadlock has failed all the same.
local function unless_deadlocked(...)
  raised_elsewhere = next_deadlock()
  if raised_elsewhere then error(raised_elsewhere.error, 0) end
  return ...
end

-- Calls busted's `safe` so that what a spec started fails that spec, until its
-- body returns: an error in a callback or a connection's handler, and in a task
-- that nobody has joined by then.
local function guarded(safe, descriptor, run, element)
  local caught, over = {}, false
  local function on_error(raised, traceback)
    if not over then
      caught[#caught + 1] = { error = raised, traceback = traceback }
      return
    end
    strays = strays + 1
    say("after its spec had ended", traceback)
  end
  local function body(...)
    run(...)
    over = true
    raised_elsewhere = next_deadlock() or table.remove(caught, 1)
      or next_unjoined()
    if raised_elsewhere then error(raised_elsewhere.error, 0) end
  end
  -- A spec fails once: the rest may say why it did.
  local function finish(...)
    over, raised_elsewhere = true, nil
    core.deadlocked()
    for _, failure in ipairs(caught) do
      say("in the same spec", failure.traceback)
    end
    for failure in next_unjoined do
      say("in the same spec", failure.traceback)
    end
    return ...
  end
  return finish(core.patient_guard(on_error, safe, descriptor, body, element))
end

-- The traceback (--verbose) is of where the error happened.
local function keep_tracebacks(busted)
  local trace_here = busted.getTrace
  function busted.getTrace(element, level, raised)
    local trace = trace_here(element, (level or 3) + 1, raised)
    local failure = raised_elsewhere
    if failure and rawequal(failure.error, raised) then
      trace.traceback = failure.traceback:match("\nstack traceback:.*")
        or trace.traceback
    end
    return trace
  end
end

-- After SIGTERM no spec begins any more.
local function unless_draining(busted, ...)
  busted.skipAll = busted.skipAll or core.draining()
  return ...
end

local function guard_specs()
  local new_core = require("busted.core")
  package.loaded["busted.core"] = function()
    local busted = new_core()
    local safe = busted.safe
    keep_tracebacks(busted)
    function busted.safe(descriptor, run, element)
      if descriptor == "it" then
        return unless_draining(busted,
          guarded(safe, descriptor, run, element))
      end
      local function checked(...) return unless_deadlocked(run(...)) end
      return safe(descriptor, checked, element)
    end
    return busted
  end
end

-- The runner names itself after the chunk that calls it, and looks for that
-- chunk right above its own frame.
local function call_runner(runner)
  local chunk = "local runner, options = ... runner(options) return nil"
  return loadstring(chunk, "@weir --test")(runner, { standalone = false })
end

local escapes = {
  ["\r"] = "\\r", ["\n"] = "\\n", ["\t"] = "\\t",
  ['"'] = '\\"', ["\\"] = "\\\\",
}

local function escape(byte)
  return escapes[byte] or ("\\x%02x"):format(byte:byte())
end

-- A string that a terminal would not show as it is ("\r", bytes that are no
-- text) as in Lua, and in the trace. The others as they are.
local function bytes_shown(text)
  local rest = text:gsub("[\194-\244][\128-\191]+", "")
  if not rest:find("[^\n\t\32-\126]") then return text end
  return (text:gsub('[%c"\\\127-\255]', escape))
end

-- A copy in which such strings are shown, also further in; and whether there
-- were any. Tables with a metatable are somebody's objects.
local function table_shown(value, copies)
  if getmetatable(value) then return value, false end
  if copies[value] then return copies[value], false end
  local copy, changed = {}, false
  copies[value] = copy
  for key, field in next, value do
    local shown, deeper = field, false
    if type(field) == "string" then
      shown = bytes_shown(field)
      deeper = shown ~= field
    elseif type(field) == "table" then
      shown, deeper = table_shown(field, copies)
    end
    copy[key] = shown
    changed = changed or deeper
  end
  return copy, changed
end

-- How busted shows what a failed assertion compares; nil: in its own way.
local function show_bytes(value, arguments)
  if type(value) == "string" then
    local shown = bytes_shown(value)
    return shown ~= value and '(string) "' .. shown .. '"' or nil
  elseif type(value) == "table" then
    local copy, changed = table_shown(value, {})
    if not changed then return nil end
    local values = { copy, n = 1, fmtargs = { arguments } }
    return require("luassert"):format(values)[1]
  end
end

-- The first line only: what follows lists every place that was looked in.
local function first_line(message)
  return (tostring(message):match("^[^\n]*"))
end

-- busted's way of saying that specs failed is error(nil).
local function traceback(message)
  return message ~= nil and debug.traceback(tostring(message), 2) or nil
end

--- Runs busted with the arguments in `arg`; ends the host with status 0 if
--- every spec passed and SIGTERM cancelled none. Waits, so it must not be
--- called across a C call.
function M.run()
  local found, runner = pcall(require, "busted.runner")
  if not found then
    io.stderr:write(MISSING:format(first_line(runner)))
    os.exit(1)
  end
  guard_specs()
  require("luassert"):add_formatter(show_bytes)
  core.deadlocked()
  local passed, message = xpcall(call_runner, traceback, runner)
  if message then io.stderr:write("weir: ", message, "\n") end
  weir.sleep(0) -- errors that have been raised by now are told
  io.stdout:flush()
  local cut = core.draining()
  if cut then io.stderr:write("weir: SIGTERM cut the specs short\n") end
  -- Not left to the end of all things: a listener that a spec forgot would
  -- keep the host.
  local good = passed and not cut and strays == 0 and core.failures() == 0
  os.exit(good and 0 or 1)
end

return M
