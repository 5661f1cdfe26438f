-- What a half-typed name in the REPL may become. Looks at tables without
-- calling anything, so that the Tab key has no effects.

local M = {}

local function index_table(value)
  local metatable = debug.getmetatable(value)
  local index = type(metatable) == "table" and rawget(metatable, "__index")
  return type(index) == "table" and index or nil
end

-- The field of a table, or what a method call on any value would find.
local function field(value, name)
  local seen = 0
  while value ~= nil and seen < 10 do
    if type(value) == "table" then
      local found = rawget(value, name)
      if found ~= nil then return found end
    end
    value = index_table(value)
    seen = seen + 1
  end
  return nil
end

local function add_names(list, known, value, prefix, start)
  for name in next, value do
    if type(name) == "string" and name:find("^[%a_][%w_]*$")
      and name:sub(1, #start) == start and not known[name] then
      known[name] = true
      list[#list + 1] = prefix .. name
    end
  end
end

--- A sorted list of what `text`, such as "weir.con", may stand for.
function M.candidates(text)
  local path, start = text:match("^(.*[.:])([%w_]*)$")
  if not path then path, start = "", text end
  local value = _G
  for name in path:gmatch("[^.:]+") do value = field(value, name) end
  local list, known = {}, {}
  for _ = 1, 10 do
    if value == nil then break end
    if type(value) == "table" then
      add_names(list, known, value, path, start)
    end
    value = index_table(value)
  end
  table.sort(list)
  return list
end

return M
