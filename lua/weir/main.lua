-- What the command line asks for, in the main task: a plain Lua function calls
-- every chunk, so that each of them may wait.

local function fail(message)
  io.stderr:write("weir: ", message, "\n")
  os.exit(1)
end

local function loaded(chunk, message)
  return chunk or fail(message)
end

local function folder_of(path)
  return path:match("^(.*/)[^/]*$") or "./"
end

-- A script finds its own neighbours first.
local function search_beside(path)
  local folder = folder_of(path)
  package.path = folder .. "?.lua;" .. folder .. "?/init.lua;" .. package.path
end

local function load_script(path)
  if path == "-" then return loadfile() end
  search_beside(path)
  return loadfile(path)
end

local function run_action(action)
  if action.chunk then
    loaded(loadstring(action.chunk, "=(-e)"))()
  else
    _G[action.module] = require(action.module)
  end
end

return function(plan)
  for _, action in ipairs(plan.actions) do run_action(action) end
  if plan.test then return require("weir.test").run() end
  if plan.script then loaded(load_script(plan.script))(unpack(arg)) end
  if plan.interactive then return require("weir.repl").run() end
end
