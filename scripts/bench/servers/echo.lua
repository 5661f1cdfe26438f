-- Echoes lines, in both styles.

local listen = require("listen")

local function task(stream)
  while true do
    local line = stream:read_until("\n")
    if not line then break end
    stream:write(line)
  end
  stream:close()
end

local function callback(stream)
  local function on_line(line)
    if not line then return stream:close() end
    stream:write(line)
    stream:read_until("\n", on_line)
  end
  stream:read_until("\n", on_line)
end

listen.serve({ task = task, callback = callback })
