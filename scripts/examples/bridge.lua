-- A bridge between a unix socket and TCP, either way; written with callbacks.
-- SIGINT ends it as SIGTERM does: no new connections, the old ones go on to
-- their ends; and the socket's file is removed.
--
--     weir bridge.lua unix:/tmp/web.sock 127.0.0.1:80
--     weir bridge.lua :6379 unix:/run/redis.sock

local listen_at, target = arg[1], arg[2]
if not target or arg[3] then
  io.stderr:write("usage: bridge.lua LISTEN-ADDRESS TARGET-ADDRESS\n")
  os.exit(2)
end

local open = 0 -- connections

-- Calls done() when `from` has ended and all of it has gone to `to`.
local function forward(from, to, done)
  from:copy_to(to, function(copied)
    if copied then return to:shutdown(done) end
    from:abort()
    to:abort()
    done()
  end)
end

local function join(near, far)
  local directions = 2
  local function ended()
    directions = directions - 1
    if directions > 0 then return end
    near:close()
    far:close()
    open = open - 1
  end
  forward(near, far, ended)
  forward(far, near, ended)
end

local listener = assert(weir.listen(listen_at, function(near)
  open = open + 1
  weir.connect(target, function(far, message)
    if far then return join(near, far) end
    io.stderr:write("bridge: ", message, "\n")
    near:abort()
    open = open - 1
  end)
end))

weir.signal("INT", function()
  io.stderr:write(("bridge: %d connections go on\n"):format(open))
  listener:close()
end)

print(listener:address() .. " -> " .. target)
