-- Forwards everything to a port on this machine, and back.

local listen = require("listen")

local function forward(from, to)
  from:copy_to(to)
  to:shutdown()
end

local function task(client)
  local server = assert(weir.connect("127.0.0.1:" .. listen.argument))
  local back = weir.spawn(forward, server, client)
  forward(client, server)
  back:join()
  server:close()
  client:close()
end

listen.serve({ task = task })
