-- TLS conversations through a proxy that does something to their bytes.

local peers = require("spec.support.tls_peers")

local M = {}

local LIMIT = 20
local count = 0 -- of the conversations

--- A proxy to `address` for one connection. Returns its address, and a channel
--- for what `carry(client, server)` returns, which does the work.
function M.proxy(address, carry)
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

--- Carries all there is, byte by byte; how many went up and down.
function M.byte_by_byte(client, server)
  local up = weir.spawn(forward, client, server)
  local down = forward(server, client)
  return up:join(), down
end

--- A listener that echoes lines, and a table with the count of its handlers.
function M.echo_server(version)
  local pair = peers.certificates().ec
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

--- Says two lines and ends; whatever fails is returned, and where. A port may
--- come again, and a resumed session is short: so each has its own context.
function M.converse(address, version, timeout)
  count = count + 1
  local stream, message, code = weir.connect(address, { connect_timeout = timeout or LIMIT,
    timeout = timeout or LIMIT, tls = { ca = peers.certificates().root.cert, min_version = version,
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

return M
