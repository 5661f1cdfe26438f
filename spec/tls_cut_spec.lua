-- TLS through a proxy that forwards one byte at a time, or ends at any byte:
-- handshakes, records and close_notify are cut at every position.

local support = require("spec.support.tls_proxy")

local LIMIT = 20

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

-- What may come of a connection that is cut. The end that the server's
-- close_notify makes may only be seen while the way down is whole.
local EXPECTED = {
  up = { ETLS = true, ETRUNCATED = true, ECONNRESET = true, EPIPE = true, EOF = true },
  down = { ETLS = true, ETRUNCATED = true, ECONNRESET = true, EPIPE = true },
}
local VARIES = 48 -- bytes by which one conversation may be shorter than another

for _, version in ipairs({ "1.2", "1.3" }) do
  describe("TLS " .. version, function()
    it("works one byte at a time", function()
      local listener, handled = support.echo_server(version)
      local address, counts = support.proxy(listener:address(), support.byte_by_byte)
      local good, message = support.converse(address, version)
      assert.is_true(good, message)
      assert.equal(1, handled.count)
      local bytes = counts:get({ timeout = LIMIT })
      assert.is_true(bytes[1] > 300 and bytes[2] > 500)
      listener:close()
    end)

    for _, way in ipairs({ "up", "down" }) do
      it("says what happened when it is cut anywhere on the way " .. way, function()
        local listener = support.echo_server(version)
        local address, counts = support.proxy(listener:address(), support.byte_by_byte)
        assert.is_true(support.converse(address, version))
        local total = counts:get({ timeout = LIMIT })[way == "up" and 1 or 2]
        local failed = 0
        for limit = 0, total - 1 do
          address = support.proxy(listener:address(), cut(way, limit, limit % 2 == 1))
          local good, message, code, where = support.converse(address, version)
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
