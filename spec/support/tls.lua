-- Peers for the specs of TLS.

local ffi = require "ffi"

pcall(ffi.cdef, "int shutdown(int fd, int how);")
pcall(ffi.cdef, "ssize_t send(int fd, const void *data, size_t size, int flags);")

local M = {}

--- Two connected streams, the client's and the server's, over TCP.
function M.pair(server_tls, client_tls, options)
  local channel = weir.channel()
  local function with(tls)
    local all = { tls = tls, timeout = 10 }
    for key, value in pairs(options or {}) do all[key] = value end
    return all
  end
  local listener = assert(weir.listen("127.0.0.1:0", with(server_tls),
    function(stream) channel:put(stream) end))
  local client = assert(weir.connect(listener:address(), with(client_tls)))
  local server = assert(channel:get({ timeout = 5 }))
  listener:close()
  return client, server
end

--- Ends the connection below TLS, without close_notify.
function M.cut(stream)
  stream:flush()
  ffi.C.shutdown(stream:fd(), 1)
end

--- Sends bytes below TLS.
function M.inject(stream, bytes)
  ffi.C.send(stream:fd(), bytes, #bytes, 0)
end

--- What a client with these TLS options says first, byte for byte.
function M.client_hello(tls)
  local hello = weir.channel(1)
  local listener = assert(weir.listen("127.0.0.1:0", function(stream)
    hello:put(stream:read_some({ timeout = 10 }))
    stream:close()
  end))
  weir.connect(listener:address(), { tls = tls, connect_timeout = 10 })
  listener:close()
  return assert(hello:get({ timeout = 10 }))
end

--- weir.connect, with a timeout unless one is given.
function M.connect(address, options)
  options = options or {}
  options.timeout = options.timeout or 10
  return weir.connect(address, options)
end

--- A listener with `tls`, whose handlers answer each line in capitals.
function M.serve(tls, options)
  options = options or {}
  options.tls = tls
  return assert(weir.listen("127.0.0.1:0", options, function(stream)
    for line in stream:lines() do stream:write(line:upper() .. "\n") end
    stream:close()
  end))
end

--- Asserts that such a one answers.
function M.echo(stream)
  stream:write("hello\n")
  assert(stream:read_until("\n", { timeout = 5 }) == "HELLO\n")
end

return M
