-- Certificates for specs: made once, for everything that is on this machine.

local M = {}

M.cert, M.key = assert(weir.tls.self_signed({
  names = { "localhost", "127.0.0.1", "::1" },
}))

--- TLS options for both ends of a stream: `server` and `client`, which trusts
--- it and no other. `more` is added to both.
function M.both(more)
  local server = { cert = M.cert, key = M.key }
  local client = { ca = M.cert, server_name = "localhost" }
  for key, value in pairs(more or {}) do
    server[key], client[key] = value, value
  end
  return server, client
end

return M
