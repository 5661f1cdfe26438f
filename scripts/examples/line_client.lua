-- Talks to a server from the terminal, or from a pipe, as nc does: standard
-- input goes there, what comes back goes to standard output, both at once.
--
--     weir line_client.lua ADDRESS        (host:port, unix:/path, tls://…)
--     printf 'GET / HTTP/1.0\r\n\r\n' | weir line_client.lua example.com:80
--
-- Where input ends, our side of the connection does; the answer may take its
-- time. Where the answer ends, so does the client.

local function fail(message)
  io.stderr:write("line_client: ", message, "\n")
  weir.exit(1)
end

if not arg[1] or arg[2] then
  io.stderr:write("usage: line_client.lua ADDRESS\n")
  weir.exit(2)
end

local stream, message = weir.connect(arg[1])
if not stream then fail(message) end

weir.spawn(function()
  local copied, reason, code = weir.stdin:copy_to(stream)
  if copied then
    stream:shutdown()
  elseif code ~= "EPIPE" and code ~= "ECLOSED" then
    fail(reason) -- of what came back, all may still be read
  end
end)

local copied, reason = stream:copy_to(weir.stdout)
if not copied then fail(reason) end
weir.exit(0)
