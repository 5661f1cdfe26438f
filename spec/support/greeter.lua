-- A handler that says hello, and who comes to hear it.

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

return M
