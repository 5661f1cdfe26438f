-- Any line asks for the file.

local listen = require("listen")

local function task(stream)
  while stream:read_until("\n") do
    stream:send_file(listen.argument)
  end
  stream:close()
end

listen.serve({ task = task })
