-- Runs the examples as their users do, and other programs beside them.

local weir_binary = require("spec.support.weir")

local M = {}

local LIMIT = 30 -- seconds, for whatever must not hang
local running = {}

--- Starts a program that kill_all ends; returns its process.
function M.start_other(argv)
  local process = assert(weir.process(weir_binary.bound(argv)))
  running[#running + 1] = process
  return process
end

--- The same, of an example.
function M.start(name, ...)
  return M.start_other({ weir_binary.binary, "scripts/examples/" .. name, ... })
end

--- The same for one that listens: where it does, and its process.
function M.serve(name, ...)
  local process = M.start(name, ...)
  local line = assert(process.stdout:read_until("\n", { timeout = LIMIT }))
  return (line:gsub("^listening on ", ""):match("^%S+")), process
end

--- Another program, to its end: its output, its errors, how it ended.
function M.run(argv, input)
  local process = assert(weir.process(argv))
  if input then process.stdin:write(input) end
  process.stdin:close()
  local out = process.stdout:read_until_close({ timeout = LIMIT })
  local err = process.stderr:read_until_close({ timeout = LIMIT })
  return out, err, select(2, process:wait({ timeout = LIMIT }))
end

--- Ends what was started, and closes its streams.
function M.kill_all()
  for _, process in ipairs(running) do
    process:kill("KILL")
    process:wait({ timeout = LIMIT })
    for _, name in ipairs({ "stdin", "stdout", "stderr" }) do
      process[name]:abort()
    end
  end
  running = {}
end

return M
