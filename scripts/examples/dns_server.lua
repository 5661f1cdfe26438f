-- A name server for a few hosts, over UDP and TCP:
--
--     weir dns_server.lua 127.0.0.1:5353 www.test=192.0.2.1 www.test=::1
--     dig @127.0.0.1 -p 5353 www.test AAAA

local ffi = require("ffi")
ffi.cdef("int inet_pton(int family, const char *text, void *address);")
local function u16(n) return string.char(math.floor(n / 256), n % 256) end

-- hosts[name][1] lists IPv4 addresses, [28] IPv6 ones: the types A and AAAA.
local hosts = {}
for i = 2, #arg do
  local name, text = arg[i]:lower():match("^(.+)=(.+)$")
  local bytes, four = ffi.new("char[16]"), not (text or ""):find(":")
  assert(name and ffi.C.inet_pton(four and 2 or 10, text, bytes) == 1,
    "name=address expected, got " .. arg[i])
  hosts[name] = hosts[name] or { [1] = {}, [28] = {} }
  local list = hosts[name][four and 1 or 28]
  list[#list + 1] = ffi.string(bytes, four and 4 or 16)
end

-- The first question: its name, its type, and the bytes that it takes.
local function parse(query)
  local labels, at, size = {}, 13, query:byte(13)
  while size and size > 0 do
    labels[#labels + 1] = query:sub(at + 1, at + size):lower()
    at = at + size + 1
    size = query:byte(at)
  end
  local type = (query:byte(at + 1) or 0) * 256 + (query:byte(at + 2) or 0)
  return table.concat(labels, "."), type, query:sub(13, at + 4)
end

local function answer(query, limit)
  local name, type, question = parse(query)
  if type == 0 or query:byte(3) >= 128 then return end -- no query
  local body, known, flags = {}, hosts[name], 0x84 + query:byte(3) % 2
  for i, ip in ipairs(known and known[type] or {}) do
    body[i] = "\192\12" .. u16(type) .. "\0\1\0\0\0\60" .. u16(#ip) .. ip
  end
  if 12 + #question + 28 * #body > limit then body, flags = {}, flags + 2 end
  return table.concat({ query:sub(1, 2), string.char(flags, known and 0 or 3),
    u16(1), u16(#body), u16(0), u16(0), question, table.concat(body) })
end

local socket = assert(weir.udp(arg[1] or "127.0.0.1:5353"))
assert(weir.listen(socket:local_address(), { timeout = 10 }, function(stream)
  for query in function() return stream:read_frame("u16be") end do
    local reply = answer(query, 65535)
    if reply then stream:write({ u16(#reply), reply }) end
  end
  stream:close()
end))
print("serving on " .. socket:local_address())
for query, from in function() return socket:receive() end do
  local reply = answer(query, 512)
  if reply then socket:send(reply, from) end
end
