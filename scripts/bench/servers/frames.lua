-- Echoes frames: a length in four bytes, most significant first, then so
-- many bytes.

local bit = require("bit")
local listen = require("listen")

local band, rshift, char = bit.band, bit.rshift, string.char

local function prefix(length)
  return char(band(rshift(length, 24), 255), band(rshift(length, 16), 255),
    band(rshift(length, 8), 255), band(length, 255))
end

local function task(stream)
  while true do
    local payload = stream:read_frame("u32be")
    if not payload then break end
    stream:write({ prefix(#payload), payload })
  end
  stream:close()
end

local function callback(stream)
  local function on_frame(payload)
    if not payload then return stream:close() end
    stream:write({ prefix(#payload), payload })
    stream:read_frame("u32be", on_frame)
  end
  stream:read_frame("u32be", on_frame)
end

listen.serve({ task = task, callback = callback })
