-- A chat room: what one says, all the others read. The first line that a
-- client sends is its name; all read who joins and leaves.
--
--     weir chat_server.lua [address]       (127.0.0.1:7001 unless given)

local members = {}

local function tell(text, from)
  for member in pairs(members) do
    if member ~= from then member:write(text, function() end) end
  end
end

local function chat(stream)
  stream:write("your name? ")
  local name = stream:read_until("\n", { inclusive = false, max = 64 })
  if not name then return stream:close() end
  name = name:gsub("\r$", "")
  members[stream] = name
  tell("* " .. name .. " joins\n")
  for line in stream:lines("\n", { max = 4096 }) do
    tell(("<%s> %s\n"):format(name, (line:gsub("\r$", ""))), stream)
  end
end

local listener = assert(weir.listen(arg[1] or "127.0.0.1:7001", function(stream)
  stream:set_close_callback(function()
    local name = members[stream]
    members[stream] = nil
    if name then tell("* " .. name .. " leaves\n") end
  end)
  chat(stream)
end))

print("listening on " .. listener:address())
