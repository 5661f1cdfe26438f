-- TLS through a proxy that forwards one byte at a time, or stops at any byte:
-- handshakes, records and close_notify are cut at every position.

local support = require("spec.support.tls_peers")

local LIMIT = 20
local STRIDE = 5 -- of the positions at which a connection is cut, per round

local certificates

-- Forwards byte by byte, at most `limit` (nil: all of them); then both
-- connections end. Returns how many went through.
local function forward(from, to, limit)
  local count = 0
  while not limit or count < limit do
    local byte = from:read_bytes(1, { timeout = LIMIT })
    if not byte then break end
    count = count + 1
    if not to:write(byte) then break end
    to:flush({ timeout = LIMIT })
  end
  if limit and count == limit then
    from:abort()
    to:close()
  else
    to:shutdown()
  end
  return count
end

-- A proxy to `address` for one connection; `limits` are counts of bytes up and
-- down. Returns its address, and a channel with how many went each way.
local function proxy(address, limits)
  local counts = weir.channel(1)
  local listener
  listener = assert(weir.listen("127.0.0.1:0", function(client)
    listener:close()
    local server = assert(weir.connect(address, { timeout = LIMIT }))
    local up = weir.spawn(forward, client, server, limits.up)
    local down = forward(server, client, limits.down)
    counts:put({ up:join(), down })
    client:close()
    server:close()
  end))
  return listener:address(), counts
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

-- Says two lines and ends; whatever fails is returned.
local function converse(address, version)
  local stream, message, code = weir.connect(address, { connect_timeout = LIMIT,
    timeout = LIMIT, tls = { ca = certificates.root.cert, min_version = version,
      max_version = version } })
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

-- What may come of a connection that is cut.
local EXPECTED = { ETLS = true, ETRUNCATED = true, ECONNRESET = true, EPIPE = true, EOF = true }

setup(function() certificates = support.certificates() end)

for _, version in ipairs({ "1.2", "1.3" }) do
  describe("TLS " .. version, function()
    it("works one byte at a time", function()
      local listener, handled = echo_server(version)
      local address, counts = proxy(listener:address(), {})
      local good, message = converse(address, version)
      assert.is_true(good, message)
      assert.equal(1, handled.count)
      local count = counts:get({ timeout = LIMIT })
      assert.is_true(count[1] > 300 and count[2] > 500)
      listener:close()
    end)

    for _, way in ipairs({ "up", "down" }) do
      it("says what happened when it is cut anywhere on the way " .. way, function()
        local listener = echo_server(version)
        local address, counts = proxy(listener:address(), {})
        assert.is_true(converse(address, version))
        local total = counts:get({ timeout = LIMIT })[way == "up" and 1 or 2]
        local failed = 0
        for limit = 0, total - 1, STRIDE do
          address = proxy(listener:address(), { [way] = limit })
          local good, message, code, where = converse(address, version)
          if not good then
            failed = failed + 1
            assert.is_true(EXPECTED[code] == true, tostring(code) .. " " .. tostring(message))
            assert.is_true(where ~= "connect" or message:find(address, 1, true) ~= nil, message)
          end
        end
        assert.is_true(failed > total / STRIDE / 2)
        listener:close()
      end)
    end
  end)
end
