-- The same servers by hand on luv, under LuaJIT: `luv_server.lua SERVICE
-- PORT`. Writes are gathered: one per event.

local uv = require("luv")

local service, port = arg[1], tonumber(arg[2])
local services = {}

--- Feeds `split(data, at)`, which returns the message and where the next
--- one starts, and sends back all answers at once.
local function messages(client, split)
  local rest = ""
  return function(data)
    if #rest > 0 then data = rest .. data end
    local answers, count, at = {}, 0, 1
    while true do
      local answer, after = split(data, at)
      if not answer then break end
      count = count + 1
      answers[count] = answer
      at = after
    end
    rest = at > 1 and data:sub(at) or data
    if count > 0 then client:write(answers) end
  end
end

function services.lines(client)
  return messages(client, function(data, at)
    local newline = data:find("\n", at, true)
    if newline then return data:sub(at, newline), newline + 1 end
  end)
end

function services.frames(client)
  return messages(client, function(data, at)
    if #data - at < 3 then return nil end
    local a, b, c, d = data:byte(at, at + 3)
    local after = at + 4 + ((a * 256 + b) * 256 + c) * 256 + d
    if after > #data + 1 then return nil end
    return data:sub(at, after - 1), after
  end)
end

function services.bulk(client)
  local blocks, parts, have = 0, {}, 0
  return function(data)
    parts[#parts + 1] = data
    have = have + #data
    if have < 65536 then return end
    local joined, at = table.concat(parts), 1
    while have >= 65536 do
      local block = joined:sub(at, at + 65535)
      at, have, blocks = at + 65536, have - 65536, blocks + 1
      if blocks % 1024 == 0 then client:write(block:sub(-64)) end
    end
    parts = { joined:sub(at) }
  end
end

services["until"] = function(client)
  local parts, size, last = {}, 0, ""
  return function(data)
    parts[#parts + 1] = data
    size = size + #data
    if (last .. data):find("\r\n", 1, true) then
      local all = table.concat(parts)
      client:write({ tostring(size), " ", all:sub(-64) })
      parts, size = {}, 0
    end
    last = data:sub(-1)
  end
end

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", port))
server:listen(4096, function()
  local client = uv.new_tcp()
  server:accept(client)
  client:nodelay(true)
  local on_data = services[service](client)
  client:read_start(function(_, data)
    if data then on_data(data) else client:close() end
  end)
end)
uv.run()
