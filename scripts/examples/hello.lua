-- Serves and fetches in one script: a listener, a client, one line each way.
-- Needs no network: `weir hello.lua`.

local listener = assert(weir.listen("127.0.0.1:0", function(stream)
  local name = stream:read_until("\n", { inclusive = false })
  stream:write({ "hello, ", name, "\n" })
  stream:close()
end))

local stream = assert(weir.connect(listener:address()))
stream:write("world\n")
print((assert(stream:read_until("\n", { inclusive = false }))))
stream:close()
listener:close()
