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

-- A script finds its own neighbours first; one that is started through a
-- symbolic link, as from ~/bin, those of the file before those of the link.
local function search_beside(path)
  local folder = folder_of(path)
  package.path = folder .. "?.lua;" .. folder .. "?/init.lua;" .. package.path
  package.cpath = folder .. "?.so;" .. package.cpath
end

-- Waits for standard input as for any other: signals are served meanwhile.
-- Not by weir.stdin, which is the script's own to begin with.
local function load_script(path)
  if path ~= "-" then return loadfile(path) end
  local input = weir.stream(0)
  local text, message = input:read_until_close()
  input:detach()
  if text then return loadstring(text, "=stdin") end
  return nil, "cannot read stdin:" .. message:match("[^:]*$")
end

local function traceback(raised)
  local text = debug.traceback(tostring(raised), 2)
  return (text:gsub("\n%s*lua/weir/main%.lua:.*", ""))
end

-- What `require` says when it finds nothing has no place in a script to name.
local function load_module(name)
  local found, result = xpcall(require, traceback, name)
  if not found then
    fail(result:match("^(module '.-' not found:.*)\nstack tr") or result)
  end
  _G[name] = result
end

local function run_action(action)
  if action.module then return load_module(action.module) end
  loaded(loadstring(action.chunk, "=(-e)"))()
end

-- As many arguments as fit on a script's stack, with room to work.
local MOST = 20000

local function arguments(plan)
  if #arg > MOST then
    fail(("%d arguments, at most %d expected"):format(#arg, MOST))
  end
  return plan.unpack(arg)
end

return function(plan)
  if plan.script and plan.script ~= "-" then search_beside(plan.script) end
  if plan.link_target then search_beside(plan.link_target) end
  for _, action in ipairs(plan.actions) do run_action(action) end
  if plan.test then return require("weir.test").run() end
  if plan.script then loaded(load_script(plan.script))(arguments(plan)) end
  if plan.interactive then return require("weir.repl").run() end
end
