-- A DNS server for specs: over UDP and TCP, on one port of loopback, with
-- answers that the spec makes up.

local M = {}

local TYPES = { A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16,
  AAAA = 28, SRV = 33, NAPTR = 35, CAA = 257 }
local NAMES = {}
for name, number in pairs(TYPES) do NAMES[number] = name end

M.RCODES = { NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, NOTIMP = 4,
  REFUSED = 5 }

--- A number in two or four bytes.
function M.u16(n) return string.char(math.floor(n / 256) % 256, n % 256) end
function M.u32(n) return M.u16(math.floor(n / 65536)) .. M.u16(n % 65536) end

--- A string behind its length in a byte.
function M.text(data) return string.char(#data) .. data end

--- A domain name, not compressed.
function M.name(name)
  local labels = {}
  for label in name:gmatch("[^.]+") do labels[#labels + 1] = M.text(label) end
  return table.concat(labels) .. "\0"
end

--- An IPv4 address; an IPv6 one is given as eight numbers.
function M.ip(a, ...)
  if type(a) == "string" then
    return (a:gsub("(%d+)%.?", function(n) return string.char(n) end))
  end
  local groups = { a, ... }
  for i, group in ipairs(groups) do groups[i] = M.u16(group) end
  return table.concat(groups)
end

local function parse(query)
  local labels, at = {}, 13
  while query:byte(at) ~= 0 do
    labels[#labels + 1] = query:sub(at + 1, at + query:byte(at))
    at = at + query:byte(at) + 1
  end
  local number = query:byte(at + 1) * 256 + query:byte(at + 2)
  return table.concat(labels, "."), NAMES[number] or "TYPE" .. number,
    query:sub(13, at + 4)
end

-- A record is { type, rdata, name = …, ttl = … }; its name is the question's
-- unless given.
local function encode(record)
  return table.concat({ record.name and M.name(record.name) or "\192\12",
    M.u16(TYPES[record[1]] or tonumber(record[1]:match("%d+"))), M.u16(1),
    M.u32(record.ttl or 60), M.u16(#record[2]), record[2] })
end

local function reply(query, question, answer)
  local records = {}
  for i, record in ipairs(answer) do records[i] = encode(record) end
  local flags = 0x8580 + (answer.truncated and 0x200 or 0) + M.RCODES[answer.rcode or "NOERROR"]
  return table.concat({ query:sub(1, 2), M.u16(flags), M.u16(1),
    M.u16(answer.count or #records), M.u16(0), M.u16(0), question,
    table.concat(records) })
end

-- Two sockets on one port; the kernel's choice for one may be taken for the
-- other.
local function bind(address, serve)
  for _ = 1, 20 do
    local listener = assert(weir.listen(address or "127.0.0.1:0", serve))
    local socket = weir.udp(listener:address())
    if socket then return listener, socket end
    listener:close()
  end
  error("no port is free for both TCP and UDP")
end

--- decide(name, type, over) → a list of records, with `rcode`, `truncated`;
--- nil: no answer, ever. It may wait. The server has `address`, `queries`
--- (texts like "udp A name") and close().
function M.serve(decide, address)
  local server = { queries = {} }

  local function answer(query, over)
    local name, type, question = parse(query)
    server.queries[#server.queries + 1] = over .. " " .. type .. " " .. name
    local decided = decide(name, type, over)
    return decided and reply(query, question, decided)
  end

  local listener, socket = bind(address, function(stream)
    while true do
      local query = stream:read_frame("u16be", { timeout = 10 })
      local data = query and answer(query, "tcp")
      if not data then break end
      stream:write({ M.u16(#data), data })
    end
    stream:close()
  end)
  server.address = socket:local_address()
  weir.spawn(function()
    while true do
      local query, from = socket:receive()
      if not query then return end
      weir.spawn(function()
        local data = answer(query, "udp")
        if data then socket:send(data, from) end
      end)
    end
  end):unref()

  function server.close()
    socket:close()
    listener:close()
  end
  return server
end

--- Answers from a table: zone[name][type] is a list of rdatas.
function M.serve_zone(zone, address)
  return M.serve(function(name, type)
    local found = zone[name]
    if not found then return { rcode = "NXDOMAIN" } end
    local records = {}
    for i, rdata in ipairs(found[type] or {}) do records[i] = { type, rdata } end
    return records
  end, address)
end

local ffi = require("ffi")
ffi.cdef([[
  int setenv(const char *name, const char *value, int overwrite);
  int unsetenv(const char *name);
]])

--- f's results, where names are asked from `server` (when a call begins).
function M.with(server, f, ...)
  ffi.C.setenv("WEIR_NAMESERVERS", server.address, 1)
  local results = { pcall(f, ...) }
  ffi.C.unsetenv("WEIR_NAMESERVERS")
  assert(results[1], results[2])
  return unpack(results, 2, 4)
end

return M
