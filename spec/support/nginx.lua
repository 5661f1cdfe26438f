-- nginx, serving a folder on a unix socket and on a port.

local ports = require("spec.support.ports")
local weir_binary = require("spec.support.weir")

local M = {}

local CONFIGURATION = [[
  daemon off; pid %s/pid; error_log %s/error.log; worker_processes 1;
  events { worker_connections 64; }
  http {
    access_log off; client_body_temp_path %s/tmp; proxy_temp_path %s/tmp;
    fastcgi_temp_path %s/tmp; uwsgi_temp_path %s/tmp; scgi_temp_path %s/tmp;
    server { listen unix:%s/socket; listen 127.0.0.1:PORT; root %s/www; }
  }
]]

-- Waits until somebody accepts on `address`.
local function await(address)
  for _ = 1, 500 do
    local stream = weir.connect(address)
    if stream then return stream:close() end
    weir.sleep(0.01)
  end
  error("nobody listens on " .. address)
end

--- Starts it; returns { folder, address, tcp, stop = f }, the addresses of both
--- kinds. What is put into folder/www is served. Waits until it listens.
function M.start()
  local folder = weir_binary.folder()
  os.execute(("mkdir %s/www %s/tmp; chmod 755 %s %s/www"):format(
    folder, folder, folder, folder))
  local file = assert(io.open(folder .. "/nginx.conf", "w"))
  local port = ports.hold()
  file:write((CONFIGURATION:gsub("%%s", folder):gsub("PORT", port)))
  file:close()
  local process = assert(weir.process(weir_binary.bound({
    "sh", "-c", "PATH=$PATH:/usr/sbin exec nginx -p \"$0\" -c \"$0/nginx.conf\"",
    folder }), { stdin = "null", stdout = "null", stderr = "null" }))
  await("unix:" .. folder .. "/socket")
  ports.release(port)
  return {
    folder = folder,
    address = "unix:" .. folder .. "/socket",
    tcp = "127.0.0.1:" .. port,
    stop = function()
      process:kill()
      process:wait({ timeout = 20 })
      weir_binary.remove(folder)
    end,
  }
end

return M
