-- The transports over which every stream spec runs: each gives two connected
-- streams.

local M = {}

local function over(address, options)
  local channel = weir.channel()
  local listener = assert(weir.listen(address, options or {}, function(stream)
    channel:put(stream)
  end))
  local client = assert(weir.connect(listener:address(), options))
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
