-- Listeners that say hello, or what they hear, and who comes for that.

local assert = require("luassert")

local M = {}

local T = 10

function M.hello(stream)
  stream:write("hello")
  stream:close()
end

--- What a client of `address` hears until the end.
function M.greeted(address)
  local stream = assert(weir.connect(address, { connect_timeout = T }))
  local said = stream:read_until_close({ timeout = T })
  stream:close()
  return said
end

--- A listener on `address` that says to each connection what it hears until
--- the peer's end.
function M.echo(address)
  return assert(weir.listen(address, function(stream)
    local data = stream:read_until_close({ timeout = T })
    stream:write(data or "")
    stream:close()
  end))
end

--- Sends "hello" to such a one and back, and closes.
function M.check_echo(stream)
  stream:write("hello")
  stream:shutdown()
  assert.equal("hello", stream:read_until_close({ timeout = T }))
  stream:close()
end

return M
