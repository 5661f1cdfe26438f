-- A line with a number asks for so many MiB of the payload, repeated.

local listen = require("listen")

local CHUNK, MIB = 65536, 1048576

-- The first MiB of the file; the rest of it is the same again.
local function load_chunks(path)
  local file = assert(io.open(path, "rb"))
  local chunks = {}
  for i = 1, MIB / CHUNK do chunks[i] = file:read(CHUNK) end
  file:close()
  return chunks
end

local chunks = load_chunks(listen.argument)

local function task(stream)
  while true do
    local line = stream:read_until("\n")
    if not line then break end
    for _ = 1, tonumber(line) do
      for i = 1, #chunks do stream:write(chunks[i]) end
    end
  end
  stream:close()
end

listen.serve({ task = task })
