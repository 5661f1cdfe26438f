-- Echoes every line to whoever sent it, a task per connection:
--
--     weir echo_server.lua [address]       (127.0.0.1:7000 unless given)

local listener = assert(weir.listen(arg[1] or "127.0.0.1:7000", function(stream)
  while true do
    local line = stream:read_until("\n")
    if not line then break end
    stream:write(line)
  end
  stream:close()
end))

print("listening on " .. listener:address())
