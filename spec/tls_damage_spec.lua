-- TLS connections of which one byte is changed on the way: wherever that is,
-- nobody takes wrong data for right, and the host goes on. The server is a
-- process of its own, for it reports some hundred failures.

local peers = require("spec.support.tls_peers")
local shell = require("spec.support.weir")
local support = require("spec.support.tls_proxy")

local LIMIT = 20
local PATIENCE = 0.3 -- seconds; a changed length may make both sides wait
local STRIDE = 3     -- of the positions
local AT_ONCE = 250  -- connections

local SERVER = [[
  local cert, key, version = ...
  local listener = assert(weir.listen("127.0.0.1:0", { timeout = 20,
    tls = { cert = cert, key = key, min_version = version, max_version = version } },
    function(stream)
      for line in function() return stream:read_until("\n") end do stream:write(line) end
      stream:close()
    end))
  print(listener:address())
  io.stdout:flush()
]]

-- Calls f with the server's address; the server must still be there after.
local function with_server(version, f)
  local folder = shell.folder({ ["server.lua"] = SERVER })
  local pair = peers.certificates().ec
  local server = assert(weir.process(shell.bound({ shell.binary, folder .. "/server.lua", pair.cert,
    pair.key, version }), { stdin = "null", stderr = "null" }))
  local good, message = pcall(function()
    f(assert(server.stdout:read_until("\n", { timeout = LIMIT, inclusive = false })))
  end)
  server:kill("TERM")
  local how, status = server:wait({ timeout = LIMIT })
  server.stdout:close()
  shell.remove(folder)
  if not good then error(message, 0) end
  assert.same({ "exit", 0 }, { how, status })
end

local function flip(byte) return string.char(255 - byte:byte()) end

-- Forwards, with the byte at `position` (from 0; nil: none) changed.
local function forward(from, to, position)
  local done = 0
  while true do
    local data = from:read_some({ timeout = LIMIT })
    if not data then break end
    local at = position and position - done
    if at and at >= 0 and at < #data then
      data = data:sub(1, at) .. flip(data:sub(at + 1, at + 1)) .. data:sub(at + 2)
    end
    done = done + #data
    if not to:write(data) then break end
  end
  to:shutdown()
end

local function damage(way, position)
  return function(client, server)
    local up = weir.spawn(forward, client, server, way == "up" and position or nil)
    forward(server, client, way == "down" and position or nil)
    up:join({ timeout = LIMIT })
  end
end

local EXPECTED = { ETLS = true, ETRUNCATED = true, ECONNRESET = true, EPIPE = true, EOF = true,
  ETIMEDOUT = true }

-- One conversation; true if it failed as it may, false if nothing was wrong.
local function try(address, version, way, position)
  local changed = support.proxy(address, damage(way, position))
  local good, message, code = support.converse(changed, version, PATIENCE)
  if good then return false end
  assert(EXPECTED[code], ("byte %d: %s %s"):format(position, tostring(code), tostring(message)))
  return true
end

-- How many bytes go that way.
local function length(address, version, way)
  local proxy, counts = support.proxy(address, support.byte_by_byte)
  assert.is_true(support.converse(proxy, version))
  return counts:get({ timeout = LIMIT })[way == "up" and 1 or 2]
end

for _, version in ipairs({ "1.2", "1.3" }) do
  for _, way in ipairs({ "up", "down" }) do
    it(("a changed byte on the way %s is noticed, TLS %s"):format(way, version), function()
      with_server(version, function(address)
        local total = length(address, version, way)
        local tried, failed, position = 0, 0, 0
        while position < total do
          local tasks = {}
          while position < total and #tasks < AT_ONCE do
            tasks[#tasks + 1] = weir.spawn(try, address, version, way, position)
            position = position + STRIDE
          end
          for _, task in ipairs(tasks) do
            local noticed, message = task:join({ timeout = LIMIT })
            assert.is_not_nil(noticed, message)
            tried, failed = tried + 1, failed + (noticed and 1 or 0)
          end
        end
        -- Nobody looks at the version in a record's header, for instance.
        assert.is_true(failed > tried * 0.8)
        assert.is_true(support.converse(address, version))
      end)
    end)
  end
end
