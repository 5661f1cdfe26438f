-- Runs a command for each connection, whose input and output are the peer's:
-- what inetd does, with any command that is a filter.
--
--     weir exec_server.lua ADDRESS COMMAND [ARGUMENTS…]
--     weir exec_server.lua 127.0.0.1:7002 sort -n

local address = arg[1]
local command = { unpack(arg, 2) }
if not command[1] then
  io.stderr:write("usage: exec_server.lua ADDRESS COMMAND [ARGUMENTS...]\n")
  os.exit(2)
end

local function say(...)
  io.stderr:write(table.concat({ "exec_server: ", ... }), "\n")
end

local function serve(client)
  local process, message = weir.process(command, {
    stderr = "inherit", group = true,
    env = { PEER = client:peer_address() },
  })
  if not process then
    say(message)
    return client:abort()
  end
  -- The peer's end is the command's end of input. A command that does not
  -- read it all is none of our business, and one whose peer is lost is over.
  local feeder = weir.spawn(function()
    local _, _, code = client:copy_to(process.stdin)
    process.stdin:close()
    if code == "ECONNRESET" then process:kill() end
  end)
  if not process.stdout:copy_to(client) then process:kill() end
  local how, what = process:wait()
  if how == "exit" and what == 0 then client:close() else client:abort() end
  say(("%d: %s %s"):format(process:pid(), how, what))
  feeder:join()
end

local listener, message = weir.listen(address, serve)
if not listener then
  say(message)
  os.exit(1)
end
print("listening on " .. listener:address())
