-- Values as the REPL shows them: tables with what is in them.

local WIDTH, DEEPEST, MOST, LONGEST = 78, 3, 100, 120

local show

local controls = { ["\n"] = "n", ["13"] = "r", ["9"] = "t" }

-- A string in one line, and not all of a long one.
local function show_string(text)
  local rest = #text > LONGEST and "..." or ""
  local quoted = ("%q"):format(text:sub(1, LONGEST))
  return quoted:gsub("\\(.?)(%d*)", function(first, digits)
    local escape = first .. digits
    return "\\" .. (controls[escape] or escape)
  end) .. rest
end

local function show_key(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key end
  return "[" .. (type(key) == "string" and show_string(key) or tostring(key))
    .. "]"
end

local function by_name(a, b)
  if type(a) == "number" and type(b) == "number" then return a < b end
  return tostring(a) < tostring(b)
end

-- The list's items as they are, then the others, by name.
local function fields_of(value, inside, depth)
  local fields, keys, count = {}, {}, #value
  for i = 1, math.min(count, MOST) do
    fields[i] = show(rawget(value, i), inside, depth + 1)
  end
  for key in next, value do
    local listed = type(key) == "number" and key >= 1 and key <= count
      and key % 1 == 0
    if not listed then keys[#keys + 1] = key end
  end
  table.sort(keys, by_name)
  for i = 1, math.min(#keys, MOST - #fields) do
    local key = keys[i]
    fields[#fields + 1] = show_key(key) .. " = "
      .. show(rawget(value, key), inside, depth + 1)
  end
  if count + #keys > MOST then fields[#fields + 1] = "..." end
  return fields
end

local function show_table(value, inside, depth)
  inside[value] = true
  local fields = fields_of(value, inside, depth)
  inside[value] = nil
  if #fields == 0 then return "{}" end
  local line = "{ " .. table.concat(fields, ", ") .. " }"
  local room = WIDTH - 2 * depth
  if #line <= room and not line:find("\n", 1, true) then return line end
  local indent = ("  "):rep(depth)
  return "{\n" .. indent .. "  "
    .. table.concat(fields, ",\n" .. indent .. "  ") .. "\n" .. indent .. "}"
end

function show(value, inside, depth)
  if type(value) == "string" then return show_string(value) end
  local meta = getmetatable(value)
  local named = type(meta) == "table" and rawget(meta, "__tostring")
  if type(value) ~= "table" or named or inside[value] or depth >= DEEPEST then
    return tostring(value)
  end
  return show_table(value, inside, depth)
end

--- What the REPL prints for a value: a table with its fields, anything else as
--- `print` does.
return function(value)
  if type(value) ~= "table" then return tostring(value) end
  return show(value, {}, 0)
end
