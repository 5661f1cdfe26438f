-- The REPL: `weir -i`, or weir without a script on a terminal.
--
-- Input comes from weir.stdin like any other, and goes through readline where
-- there is a terminal; so everything else runs on while a line is edited.
-- Each chunk runs in a task of its own, which the interrupt key can end; that
-- is why Lua code is interpreted here, and not compiled (see lua_interrupt.c).

local complete = require("weir.complete")
local interrupt = require("weir.interrupt")
local readline = require("weir.readline")
local show = require("weir.show")

local M = {}

local PROMPT, CONTINUED = "> ", ">> "

-- The task that edits a line or runs a chunk, and what it does; `chunk` is a
-- value of each chunk's own.
local current =
  { task = nil, editing = false, interrupted = false, chunk = nil }

-- Where the locals of a chunk's task, and of all that it started, say of
-- which chunk they are.
local MARK = {}

-- What an interrupted chunk is raised.
local INTERRUPT = setmetatable({}, {
  __tostring = function() return "interrupted" end,
})

-- Drops the value in front of an expression's.
local function behind_first(_, ...) return ... end

local function pass(...) return ... end

--- Compiles what was typed, as an expression if it can be one. Returns the
--- chunk and what to pass its results through; or nil, a message, and whether
--- more lines may complete it.
function M.compile(text)
  local expression = text:match("^%s*=(.*)$")
  -- Not its value alone: errors in a tail call could not say where.
  local chunk, message =
    loadstring("return nil, " .. (expression or text), "=stdin")
  if chunk then return chunk, behind_first end
  if not expression then chunk, message = loadstring(text, "=stdin") end
  if chunk then return chunk, pass end
  local begun = message:find("'<eof>'$") and
    not message:find("unfinished string", 1, true)
  return nil, message, begun or false
end

-- Without the frames that are the REPL's own.
local function traceback(raised)
  if raised == INTERRUPT then return "interrupted" end
  local text = debug.traceback(tostring(raised), 2)
  return (text:gsub("\n%s*%[C%]: in function 'xpcall'.*", ""))
end

local function print_values(...)
  local count, values = select("#", ...), { ... }
  if count == 0 then return end
  for i = 1, count do values[i] = show(values[i]) end
  print(unpack(values, 1, count))
end

local function check(succeeded, ...)
  if succeeded then return ... end
  io.stderr:write(..., "\n")
end

local function evaluate(chunk, filter)
  weir.locals()[MARK] = current.chunk
  -- Printing calls __tostring, which may raise in its turn.
  check(xpcall(print_values, traceback,
    filter(check(xpcall(chunk, traceback)))))
end

local function in_chunk()
  return weir.locals()[MARK] == current.chunk
end

-- Where there is nothing to interrupt, unless the script handles it itself.
local function leave()
  if interrupt.alone() then weir.exit(130) end
end

local function interrupt_editing(pending)
  local typed = readline.stop()
  io.stdout:write("\n")
  if not typed and pending == "" then leave() end
  current.interrupted = true
  current.task:cancel()
end

-- Runs f in a task that can be interrupted, and returns its first result.
local function in_task(f, ...)
  current.interrupted = false
  current.task = weir.spawn(f, ...)
  local result, message, code = current.task:join()
  current.task = nil
  if code == "ETASK" then error(message, 0) end
  return result
end

local function edit_line(prompt, input)
  readline.start(prompt)
  while true do
    local data = input:read_some()
    if not data then
      readline.stop()
      return nil
    end
    local line, rest = readline.feed(data)
    if line ~= nil then
      if rest ~= "" then input:unread(rest) end
      return line
    end
  end
end

local function history_path()
  local home = os.getenv("HOME")
  return home and home ~= "" and home .. "/.weir_history" or nil
end

-- Where lines come from: read(prompt) gives one, or nil at the end.
local function terminal_reader()
  local path = history_path()
  if path then readline.recall(path) end
  readline.completer(complete.candidates)
  weir.signal("CONT", readline.resume)
  -- Now, for the terminal's mode at its first use is what comes back in the
  -- end, and readline changes it.
  local input = weir.stdin
  return function(prompt)
    current.editing = true
    local line = in_task(edit_line, prompt, input)
    current.editing = false
    if line and line:find("%S") then readline.remember(line, path) end
    return line or nil
  end
end

-- Without readline there is no history; without a terminal, no prompt.
local function plain_reader(terminal)
  local next_line = weir.stdin:lines()
  return function(prompt)
    if terminal then
      io.stdout:write(prompt)
      io.stdout:flush()
    end
    return next_line()
  end
end

-- A chunk on a terminal may wait for what never happens: the interrupt key may
-- be pressed. Cancelling ends the wait; a loop around it would start the next
-- one, so it gets an error as well, at the first instruction it comes to.
local function run_chunk(chunk, filter, terminal)
  local hold = weir.every(3600, function() end)
  if not terminal then hold:unref() end
  current.chunk = {}
  interrupt.begin(in_chunk, INTERRUPT)
  -- The key may be pressed before the chunk begins, or when it has ended.
  local done, raised = pcall(in_task, evaluate, chunk, filter)
  interrupt.done()
  hold:cancel()
  if not done then io.stderr:write(tostring(raised), "\n") end
end

-- Takes in one more line; returns what of the chunk is still incomplete.
local function take_line(pending, line, terminal)
  local text = pending == "" and line or pending .. "\n" .. line
  local chunk, filter, incomplete = M.compile(text)
  if incomplete then return text end
  if chunk then
    run_chunk(chunk, filter, terminal)
    io.stdout:flush() -- somebody waits for the answer, also behind a pipe
  else
    io.stderr:write(filter, "\n")
  end
  return ""
end

--- Reads, runs and prints until the end of input, which ends the host. Waits,
--- so it must not be called across a C call.
function M.run()
  local terminal = readline.terminal()
  local editing = terminal and readline.load()
  local read = editing and terminal_reader() or plain_reader(terminal)
  local pending = ""
  jit.off()
  jit.flush()
  weir.signal("INT", function()
    if current.editing then
      interrupt_editing(pending)
    elseif current.task then
      interrupt.now()
      current.task:cancel()
    else
      leave()
    end
  end)
  if terminal then
    print(("weir %s, %s (Ctrl-C interrupts, Ctrl-D ends)")
      :format(weir.version, jit.version))
  end
  while true do
    local line = read(pending == "" and PROMPT or CONTINUED)
    if line then
      pending = take_line(pending, line, terminal)
    elseif current.interrupted then
      pending = ""
    else
      break
    end
  end
  if terminal then io.stdout:write("\n") end
  weir.stop()
end

return M
