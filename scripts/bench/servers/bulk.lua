-- Reads blocks of 64 KiB, and answers every 1024th with its last 64 bytes:
-- as strings in a task or in callbacks, or into memory of its own.

local ffi = require("ffi")
local listen = require("listen")

local BLOCK, BLOCKS, TAIL = 65536, 1024, 64

local function task(stream)
  local count = 0
  while true do
    local block = stream:read_bytes(BLOCK)
    if not block then break end
    count = count + 1
    if count % BLOCKS == 0 then stream:write(block:sub(-TAIL)) end
  end
  stream:close()
end

local function callback(stream)
  local count = 0
  local function on_block(block)
    if not block then return stream:close() end
    count = count + 1
    if count % BLOCKS == 0 then stream:write(block:sub(-TAIL)) end
    stream:read_bytes(BLOCK, on_block)
  end
  stream:read_bytes(BLOCK, on_block)
end

local function into(stream)
  local buffer = ffi.new("uint8_t[?]", BLOCK)
  local count = 0
  while stream:read_into(buffer, BLOCK) do
    count = count + 1
    if count % BLOCKS == 0 then
      stream:write(ffi.string(buffer + BLOCK - TAIL, TAIL))
    end
  end
  stream:close()
end

listen.serve({ task = task, callback = callback, into = into })
