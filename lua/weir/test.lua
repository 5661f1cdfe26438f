-- `weir --test [busted's arguments]`: busted, inside weir.
--
-- busted walks its files, blocks and specs in plain Lua, with nothing but
-- xpcall in between, so that every `it`, `before_each`, `setup`, … may wait.
-- Loading is the exception: a helper comes in through `require`.

local M = {}

local MISSING = [[
weir: --test needs busted (Debian: apt install lua-busted): %s
]]

-- Errors in callbacks and tasks that belong to no spec any more.
local strays = 0

-- Calls busted's `safe` so that what a spec started fails that spec: an error
-- in a callback, a connection's handler or a task, until its body returns.
local function guarded(safe, descriptor, run, element)
  local caught, over
  local function on_error(raised, traceback)
    if not over then
      caught = caught or { raised }
      return
    end
    strays = strays + 1
    io.stderr:write("weir: after its spec had ended: ", traceback, "\n")
  end
  local function body(...)
    run(...)
    over = true
    if caught then error(caught[1], 0) end
  end
  local function finish(...)
    over = true
    return ...
  end
  return finish(weir.guard(on_error, safe, descriptor, body, element))
end

local function guard_specs()
  local new_core = require("busted.core")
  package.loaded["busted.core"] = function()
    local busted = new_core()
    local safe = busted.safe
    function busted.safe(descriptor, run, element)
      if descriptor ~= "it" then return safe(descriptor, run, element) end
      return guarded(safe, descriptor, run, element)
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

-- The first line only: what follows lists every place that was looked in.
local function first_line(message)
  return (tostring(message):match("^[^\n]*"))
end

-- busted's way of saying that specs failed is error(nil).
local function traceback(message)
  return message ~= nil and debug.traceback(tostring(message), 2) or nil
end

--- Runs busted with the arguments in `arg`; ends the host with status 0 if
--- every spec passed. Waits, so it must not be called across a C call.
function M.run()
  local found, runner = pcall(require, "busted.runner")
  if not found then
    io.stderr:write(MISSING:format(first_line(runner)))
    os.exit(1)
  end
  guard_specs()
  local passed, message = xpcall(call_runner, traceback, runner)
  if message then io.stderr:write("weir: ", message, "\n") end
  io.stdout:flush()
  -- Not left to the end of all things: a listener that a spec forgot would
  -- keep the host.
  os.exit(passed and strays == 0 and 0 or 1)
end

return M
