-- A TCP proxy: each connection is forwarded to a target, both ways at once. A
-- side that ends is ended on the other side as well, while the rest flows on.
--
--     weir tcp_proxy.lua LISTEN-ADDRESS TARGET-ADDRESS
--     weir tcp_proxy.lua :8080 www.example.com:80

local listen_at, target = arg[1], arg[2]
if not target or arg[3] then
  io.stderr:write("usage: tcp_proxy.lua LISTEN-ADDRESS TARGET-ADDRESS\n")
  os.exit(2)
end

local function fail(message, ...)
  io.stderr:write("tcp_proxy: ", message, "\n")
  for _, stream in ipairs({ ... }) do stream:abort() end
end

-- One direction, in C. What fails here must not look like an end over there.
local function forward(from, to)
  local copied, message, code = from:copy_to(to)
  if copied then
    to:shutdown()
  elseif code ~= "ECLOSED" then -- the other direction has not said so yet
    fail(message, from, to)
  end
end

local function serve(client)
  local server, message = weir.connect(target, { connect_timeout = 30 })
  if not server then return fail(message, client) end
  local back = weir.spawn(forward, server, client)
  forward(client, server)
  back:join()
  client:close()
  server:close()
end

local listener, message = weir.listen(listen_at, serve)
if not listener then
  fail(message)
  os.exit(1)
end
print(listener:address() .. " -> " .. target)
