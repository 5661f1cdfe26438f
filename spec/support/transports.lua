-- The transports over which every stream spec runs: each gives two connected
-- streams.

local certificates = require "spec.support.certificates"
local faults = require "weir.faults"

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

-- Both ends with these faults (see src/io/faults.h).
local function faulty(pair, wanted)
  return function(options)
    local a, b = pair(options)
    for index, stream in ipairs({ a, b }) do
      local own = {}
      for key, value in pairs(wanted) do own[key] = value end
      own.seed = wanted.seed * 2 + index
      faults.wrap(stream, own)
    end
    return a, b
  end
end

local function tcp(options) return over("127.0.0.1:0", options) end

local function tls_1_3(options)
  return over("127.0.0.1:0", options, certificates.both({ min_version = "1.3" }))
end

M.list = {
  { name = "tcp", pair = tcp },
  { name = "tcp6", pair = function(options) return over("[::1]:0", options) end },
  { name = "unix", pair = function(options)
    return over("unix:" .. os.tmpname() .. ".sock", options)
  end },
  { name = "TLS 1.2", pair = function(options)
    return over("127.0.0.1:0", options, certificates.both({ max_version = "1.2" }))
  end },
  { name = "TLS 1.3", pair = tls_1_3 },
  { name = "pair", pair = function(options) return weir.pair(options) end },
  -- Small pieces and many waits; large pieces that come with the end.
  { name = "faults 1", pair = faulty(tcp, { seed = 1, most = 1000, wait = 3 }) },
  { name = "faults 2", pair = faulty(tcp, { seed = 2, wait = 4, join = true }) },
  { name = "faults 3", pair = faulty(weir.pair, { seed = 3, most = 3000, wait = 9, join = true }) },
  { name = "faults 4", pair = faulty(tls_1_3, { seed = 5, most = 9000, wait = 3 }) },
}

local plain = { tcp = true, tcp6 = true, unix = true, pair = true }

--- Are the stream's bytes those of its descriptor?
function M.is_plain(name) return plain[name] == true end

--- How many bytes of the stream wait to be sent.
function M.queued(stream)
  for _, one in ipairs(weir.streams()) do
    if one.id == stream:id() then return one.queued end
  end
end

--- The same pair(options), and a function that aborts all that it made.
function M.keeping(pair)
  local made = {}
  local function keep(options)
    local a, b = pair(options)
    made[#made + 1], made[#made + 2] = a, b
    return a, b
  end
  return keep, function()
    for _, stream in ipairs(made) do stream:abort() end
    made = {}
  end
end

-- Operations without a timeout of their own have this one, in seconds, so
-- that a spec that fails ends.
local LIMIT = 10

--- Calls describe(name, f) for each: f(pair) declares the specs.
function M.each(name, declare)
  for _, transport in ipairs(M.list) do
    local function pair(options)
      local all = with(options, options and options.tls)
      all.timeout = all.timeout or LIMIT
      return transport.pair(all)
    end
    getfenv(declare).describe(name .. " over " .. transport.name, function()
      declare(pair, transport.name)
    end)
  end
end

return M
