-- Sends every datagram back to where it came from:
--
--     weir udp_echo.lua [address]          (127.0.0.1:7000 unless given)
--     echo hello | nc -u -w1 127.0.0.1 7000

local socket = assert(weir.udp(arg[1] or "127.0.0.1:7000"))

print("listening on " .. socket:local_address())

while true do
  local data, from, code = socket:receive()
  if code == "ECANCELED" then break end -- the host is ending
  if data then
    socket:send(data, from)
  else
    io.stderr:write("udp_echo: ", from, "\n")
  end
end
