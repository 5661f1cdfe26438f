-- What weir's benchmark servers share: `weir SERVER.lua STYLE PORT [FILE]`,
-- with BENCH_CERT and BENCH_KEY in the environment for TLS. PORT may be
-- fd:N, a socket that listens already.

local M = {}

M.style, M.port, M.argument = arg[1], arg[2], arg[3]

--- Listens where the command line says, and serves with `handlers[style]`.
function M.serve(handlers)
  local handler = handlers[M.style] or error("no style " .. tostring(M.style))
  local options = {}
  if os.getenv("BENCH_CERT") then
    options.tls = {
      cert = os.getenv("BENCH_CERT"),
      key = os.getenv("BENCH_KEY"),
    }
  end
  local address = M.port
  if not address:find("^fd:") then address = "127.0.0.1:" .. address end
  local listener, message = weir.listen(address, options, handler)
  if not listener then error(message) end
end

return M
