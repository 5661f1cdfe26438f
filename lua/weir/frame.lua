-- Writing frames: what stream:read_frame reads.
local _, core = ...

local methods = core.stream_methods
local char, floor = string.char, math.floor

-- `size` bytes of `n`, the least significant one first.
local function little(n, size)
  local bytes = {}
  for i = 1, size do
    bytes[i] = n % 256
    n = floor(n / 256)
  end
  return char(unpack(bytes))
end

local function varint(n)
  local bytes = {}
  while n >= 128 do
    bytes[#bytes + 1] = char(n % 128 + 128)
    n = floor(n / 128)
  end
  return table.concat(bytes) .. char(n)
end

-- The bytes of each prefix, for a length of that many bytes; Lua's strings are
-- shorter than the greatest u64.
local prefixes = {
  u8 = { size = 1, encode = char },
  u16be = { size = 2, encode = function(n) return little(n, 2):reverse() end },
  u16le = { size = 2, encode = function(n) return little(n, 2) end },
  u32be = { size = 4, encode = function(n) return little(n, 4):reverse() end },
  u32le = { size = 4, encode = function(n) return little(n, 4) end },
  u64be = { size = 8, encode = function(n) return little(n, 8):reverse() end },
  varint = { size = 8, encode = varint },
  netstring = { size = 8, tail = ",",
    encode = function(n) return n .. ":" end },
}

-- Appends the strings in a nested list to `pieces`; their bytes.
local function flatten(data, pieces)
  if type(data) == "number" then data = tostring(data) end
  if type(data) == "string" then
    pieces[#pieces + 1] = data
    return #data
  elseif type(data) ~= "table" then
    error("write_frame: a string, or a list of strings and numbers, expected, "
      .. "got " .. type(data), 0)
  end
  local size = 0
  for i = 1, #data do size = size + flatten(data[i], pieces) end
  return size
end

-- The frame as a list of strings.
local function frame_of(prefix, data)
  local kind = prefixes[prefix]
  if not kind then
    error("write_frame: u8, u16be, u16le, u32be, u32le, u64be, varint or "
      .. "netstring expected, got " .. tostring(prefix), 0)
  end
  local pieces = { "" }
  local size = flatten(data, pieces)
  if size >= 256 ^ kind.size then
    error(("write_frame: %d bytes are more than %s can say")
      :format(size, prefix), 0)
  end
  pieces[1], pieces[#pieces + 1] = kind.encode(size), kind.tail
  return pieces
end

--- stream:write_frame(prefix, data, [options], [callback]): writes `data`
-- behind its length, as `write` does. Waits as `write` does.
function methods:write_frame(prefix, data, ...)
  local made, frame = pcall(frame_of, prefix, data)
  if not made then error(frame, 2) end
  return methods.write(self, frame, ...)
end
