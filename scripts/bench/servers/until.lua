-- Reads up to CR LF, however far away; answers with the length and the last
-- 64 bytes.

local listen = require("listen")

local function answer(stream, data)
  stream:write({ #data, " ", data:sub(-64) })
end

local function task(stream)
  while true do
    local data = stream:read_until("\r\n")
    if not data then break end
    answer(stream, data)
  end
  stream:close()
end

local function callback(stream)
  local function on_data(data)
    if not data then return stream:close() end
    answer(stream, data)
    stream:read_until("\r\n", on_data)
  end
  stream:read_until("\r\n", on_data)
end

listen.serve({ task = task, callback = callback })
