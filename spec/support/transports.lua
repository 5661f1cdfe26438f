-- The transports over which every stream spec runs: each gives two connected
-- streams.

local certificates = require "spec.support.certificates"

local M = {}

local function with(options, tls)
  local all = { tls = tls }
  for key, value in pairs(options or {}) do all[key] = value end
  return all
end

local function over(address, options, server_tls, client_tls)
  local channel = weir.channel()
  local listener = assert(weir.listen(address, with(options, server_tls),
    function(stream) channel:put(stream) end))
  local client = assert(weir.connect(listener:address(),
    with(options, client_tls)))
  local server = assert(channel:get())
  listener:close()
  return client, server
end

M.list = {
  { name = "tcp", pair = function(options) return over("127.0.0.1:0", options) end },
  { name = "tcp6", pair = function(options) return over("[::1]:0", options) end },
  { name = "unix", pair = function(options)
    return over("unix:" .. os.tmpname() .. ".sock", options)
  end },
  { name = "TLS 1.2", pair = function(options)
    return over("127.0.0.1:0", options, certificates.both({ max_version = "1.2" }))
  end },
  { name = "TLS 1.3", pair = function(options)
    return over("127.0.0.1:0", options, certificates.both({ min_version = "1.3" }))
  end },
  { name = "pair", pair = function(options) return weir.pair(options) end },
}

--- Calls describe(name, f) for each: f(pair) declares the specs.
function M.each(name, declare)
  for _, transport in ipairs(M.list) do
    getfenv(declare).describe(name .. " over " .. transport.name, function()
      declare(transport.pair, transport.name)
    end)
  end
end

return M
