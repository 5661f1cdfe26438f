-- How each server is started, and what to install for it. A server is asked
-- for a service: `lines`, `frames`, `bulk`, `until`, `source`, `file`,
-- `proxy`; each listens on 127.0.0.1 at the port it is given.

local process = require("process")

local M = {}

local servers, build, weir

-- Lua scripts of weir's, by service.
local scripts = { lines = "echo" }

local function weir_command(style)
  return function(service, port, argument)
    local script = scripts[service] or service
    return { weir, servers .. script .. ".lua", style, port, argument }
  end
end

local NGINX = [[
daemon off;
master_process off;
pid @DIR@/nginx.pid;
error_log @DIR@/nginx.log error;
events { worker_connections 1000; }
http {
  access_log off;
  client_body_temp_path @DIR@/nginx.tmp;
  proxy_temp_path @DIR@/nginx.tmp;
  fastcgi_temp_path @DIR@/nginx.tmp;
  uwsgi_temp_path @DIR@/nginx.tmp;
  scgi_temp_path @DIR@/nginx.tmp;
  sendfile on;
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:@PORT@ @TLS@;
    root @DIR@;
  }
}
]]

-- nginx runs as its own worker, so that one process does all the work.
local function nginx_command(_, port, _, tls)
  local path = ("%s/nginx-%d.conf"):format(build, port)
  local certificate = tls and ("ssl; ssl_certificate %s; " ..
    "ssl_certificate_key %s; ssl_protocols TLSv1.3"):format(tls.BENCH_CERT, tls.BENCH_KEY) or ""
  local text = NGINX:gsub("@(%u+)@", {
    DIR = build,
    PORT = port,
    TLS = certificate,
  })
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return { "nginx", "-p", build, "-c", path }
end

local function redis_command(_, port)
  return { "redis-server", "--port", port, "--bind", "127.0.0.1", "--save",
    "", "--appendonly", "no", "--protected-mode", "no" }
end

--- Each: `command(service, port, argument, tls)` gives the command line,
--- `needs` the command it takes, `hint` where that comes from.
M.all = {
  c = {
    title = "C on libev",
    command = function(service, port, argument)
      return { build .. "/server", service, port, argument }
    end,
  },
  task = {
    title = "weir, task",
    weir = true,
    command = weir_command("task"),
  },
  callback = {
    title = "weir, callback",
    weir = true,
    command = weir_command("callback"),
  },
  into = {
    title = "weir, read_into",
    weir = true,
    command = weir_command("into"),
  },
  luv = {
    title = "luv, by hand",
    probe = { "luajit", "-e", "require('luv')" },
    hint = "apt install luajit lua-luv",
    command = function(service, port)
      return { "luajit", servers .. "luv_server.lua", service, port }
    end,
  },
  node = {
    title = "node",
    probe = { "node", "--version" },
    hint = "apt install nodejs",
    command = function(service, port, argument)
      return { "node", servers .. "node_server.js", service, port, argument }
    end,
  },
  tornado = {
    title = "Tornado",
    probe = { "/usr/bin/python3", "-c", "import tornado" },
    hint = "apt install python3-tornado",
    command = function(service, port, argument)
      return { "/usr/bin/python3", servers .. "tornado_server.py", service,
        port, argument }
    end,
  },
  nginx = {
    title = "nginx",
    probe = { "sh", "-c", "command -v nginx" },
    hint = "apt install nginx",
    command = nginx_command,
  },
  redis = {
    title = "redis PING",
    probe = { "sh", "-c", "command -v redis-server" },
    hint = "apt install redis-server",
    command = redis_command,
  },
}

local function start_up(title, command, hint)
  return {
    title = title,
    generator = "start",
    command = function() return command end,
    probe = { command[1], "--version" },
    hint = hint,
  }
end

M.all.luajit = start_up("luajit -e ''", { "luajit", "-e", "" },
  "apt install luajit")
M.all.luajit.probe = { "luajit", "-v" }
M.all.node_empty = start_up("node -e ''", { "node", "-e", "" },
  M.all.node.hint)
M.all.tornado_empty = start_up("python3, import tornado", {
  "/usr/bin/python3", "-c", "import tornado.tcpserver" },
  M.all.tornado.hint)
M.all.tornado_empty.probe = M.all.tornado.probe

--- Where things are: the folder of this benchmark, of what it builds, and
--- the weir to measure.
function M.configure(root, build_folder, weir_binary)
  servers, build, weir = root .. "/servers/", build_folder, weir_binary
  M.all.task.probe = { weir, "--version" }
  M.all.callback.probe = M.all.task.probe
  M.all.into.probe = M.all.task.probe
  M.all.weir_empty = start_up("weir -e ''", { weir, "-e", "" })
  for _, name in ipairs({ "task", "callback", "into",
    "weir_empty" }) do
    M.all[name].hint = "scripts/run --version builds it"
  end
end

local known = {}

--- Can this server be started here?
function M.installed(name)
  if known[name] == nil then
    local probe = M.all[name].probe
    known[name] = not probe or process.run(probe) ~= nil
  end
  return known[name]
end

return M
