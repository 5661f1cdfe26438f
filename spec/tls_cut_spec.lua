-- TLS through a proxy that forwards one byte at a time, or ends at any byte:
-- handshakes, records and close_notify are cut at every position.

local support = require("spec.support.tls_peers")

local LIMIT = 20

local certificates
local count = 0 -- of the conversations

-- Forwards until `from` ends, byte by byte; how many there were.
local function forward(from, to)
  local bytes = 0
  for byte in function() return from:read_bytes(1, { timeout = LIMIT }) end do
    bytes = bytes + 1
    if not to:write(byte) or not to:flush({ timeout = LIMIT }) then break end
  end
  to:shutdown()
  return bytes
end

-- Forwards `limit` bytes at most; then `finish` ends both connections.
local function forward_some(from, to, limit, finish)
  while limit > 0 do
    local data = from:read_some({ timeout = LIMIT, max = limit })
    if not data or not to:write(data) then break end
    limit = limit - #data
  end
  to:flush({ timeout = LIMIT })
  finish()
end

-- A proxy to `address` for one connection. Returns its address, and a channel
-- for what `carry(client, server)` returns, which does the work.
local function proxy(address, carry)
  local results = weir.channel(1)
  local listener
  listener = assert(weir.listen("127.0.0.1:0", function(client)
    listener:close()
    local server = assert(weir.connect(address, { timeout = LIMIT }))
    results:put({ carry(client, server) })
    client:close()
    server:close()
  end))
  return listener:address(), results
end

local function byte_by_byte(client, server)
  local up = weir.spawn(forward, client, server)
  local down = forward(server, client)
  return up:join(), down
end

-- Cut after `limit` bytes on the way "up" or "down", by an end or a reset.
local function cut(way, limit, reset)
  return function(client, server)
    local function finish()
      local method = reset and "abort" or "close"
      client[method](client)
      server[method](server)
    end
    local up = weir.spawn(forward_some, client, server, way == "up" and limit or 2 ^ 40, finish)
    forward_some(server, client, way == "down" and limit or 2 ^ 40, finish)
    up:join({ timeout = LIMIT })
  end
end

local function echo_server(version)
  local pair = certificates.ec
  local handled = { count = 0 }
  local listener = assert(weir.listen("127.0.0.1:0", { timeout = LIMIT,
    tls = { cert = pair.cert, key = pair.key, min_version = version, max_version = version } },
    function(stream)
      handled.count = handled.count + 1
      for line in function() return stream:read_until("\n") end do stream:write(line) end
      stream:close()
    end))
  return listener, handled
end

-- Says two lines and ends; whatever fails is returned. A port may come again,
-- and a resumed session is short: so each has a context of its own.
local function converse(address, version)
  count = count + 1
  local stream, message, code = weir.connect(address, { connect_timeout = LIMIT,
    timeout = LIMIT, tls = { ca = certificates.root.cert, min_version = version,
      max_version = version, alpn = { ("%05d"):format(count) } } })
  if not stream then return nil, message, code, "connect" end
  for i = 1, 2 do
    local line = ("line %d\n"):format(i)
    stream:write(line)
    local got
    got, message, code = stream:read_until("\n")
    if got ~= line then
      stream:abort()
      return nil, message, code, "read"
    end
  end
  stream:shutdown()
  local rest
  rest, message, code = stream:read_until_close()
  stream:close()
  if rest ~= "" then return nil, message, code, "end" end
  return true
end

-- What may come of a connection that is cut. The end that the server's
-- close_notify makes may only be seen while the way down is whole.
local EXPECTED = {
  up = { ETLS = true, ETRUNCATED = true, ECONNRESET = true, EPIPE = true, EOF = true },
  down = { ETLS = true, ETRUNCATED = true, ECONNRESET = true, EPIPE = true },
}
local VARIES = 48 -- bytes by which one conversation may be shorter than another

setup(function() certificates = support.certificates() end)

for _, version in ipairs({ "1.2", "1.3" }) do
  describe("TLS " .. version, function()
    it("works one byte at a time", function()
      local listener, handled = echo_server(version)
      local address, counts = proxy(listener:address(), byte_by_byte)
      local good, message = converse(address, version)
      assert.is_true(good, message)
      assert.equal(1, handled.count)
      local bytes = counts:get({ timeout = LIMIT })
      assert.is_true(bytes[1] > 300 and bytes[2] > 500)
      listener:close()
    end)

    for _, way in ipairs({ "up", "down" }) do
      it("says what happened when it is cut anywhere on the way " .. way, function()
        local listener = echo_server(version)
        local address, counts = proxy(listener:address(), byte_by_byte)
        assert.is_true(converse(address, version))
        local total = counts:get({ timeout = LIMIT })[way == "up" and 1 or 2]
        local failed = 0
        for limit = 0, total - 1 do
          address = proxy(listener:address(), cut(way, limit, limit % 2 == 1))
          local good, message, code, where = converse(address, version)
          if way == "down" and limit < total - VARIES then assert.is_nil(good) end
          if not good then
            failed = failed + 1
            assert.is_true(EXPECTED[way][code], tostring(code) .. " " .. tostring(message))
            assert.is_true(where ~= "connect" or message:find(address, 1, true) ~= nil, message)
          end
        end
        assert.is_true(failed > total / 2)
        listener:close()
      end)
    end
  end)
end
