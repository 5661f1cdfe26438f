-- Writes tables as JSON. Tables with [1] are lists.

local M = {}

local function string_text(value)
  return '"' .. value:gsub('[%c"\\]', function(char)
    return ("\\u%04x"):format(char:byte())
  end) .. '"'
end

local function sorted_keys(value)
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- The text of a value; `indent` is for nested ones.
function M.encode(value, indent)
  indent = indent or ""
  if type(value) == "string" then return string_text(value) end
  if type(value) ~= "table" then return tostring(value) end
  local inner, parts = indent .. "  ", {}
  if value[1] ~= nil then
    for i, item in ipairs(value) do parts[i] = M.encode(item, inner) end
    if type(value[1]) ~= "table" then
      return "[" .. table.concat(parts, ", ") .. "]"
    end
    return "[\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" ..
      indent .. "]"
  end
  for i, key in ipairs(sorted_keys(value)) do
    parts[i] = string_text(key) .. ": " .. M.encode(value[key], inner)
  end
  return "{\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" ..
    indent .. "}"
end

return M
