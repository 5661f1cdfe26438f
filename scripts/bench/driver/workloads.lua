-- What is measured. Each workload names the generator's and the server's
-- part, the servers that can do it, the unit of work, and the ratio to C that
-- weir aims at, by server.

local M = {}

local ECHO = { "c", "task", "callback", "luv", "node", "tornado" }

local function with_redis()
  local servers = { unpack(ECHO) }
  servers[#servers + 1] = "redis"
  return servers
end

--- In the order of the report. `arguments` are the generator's (`quick` ones
--- replace them for a quick run), `tls` names the certificate. `targets` are
--- ratios to the first server, `at_most` are figures. `growth_of` names the
--- workload to which the cost per unit is compared, a unit being `scale`
--- times as much work.
M.all = {
  {
    name = "echo",
    title = "echo, 64-byte lines, 64 connections",
    unit = "line", service = "lines", generator = "echo",
    servers = with_redis(),
    targets = { task = 0.95, callback = 0.92 },
  },
  {
    name = "pipelined",
    title = "the same, 16 lines at a time",
    unit = "line", service = "lines", generator = "echo",
    arguments = { depth = 16 },
    servers = with_redis(),
    targets = { task = 0.62, callback = 0.52 },
  },
  {
    name = "bulk",
    title = "bulk, blocks of 64 KiB",
    unit = "GiB", service = "bulk", generator = "upload",
    arguments = { mib = 1024 }, quick = { mib = 256 },
    servers = { "c", "task", "callback", "into", "luv", "node", "tornado" },
    targets = { task = 0.80, callback = 0.80, into = 0.95 },
  },
  {
    name = "until_4",
    title = "read_until, the delimiter 4 MiB away",
    unit = "read", service = "until", generator = "until",
    arguments = { mib = 4, ["repeat"] = 32 },
    quick = { ["repeat"] = 12 }, quick_rounds = 3,
    servers = ECHO,
    targets = { task = 0.714, callback = 0.714 },
  },
  {
    name = "until_16",
    title = "read_until, the delimiter 16 MiB away",
    growth_of = "until_4", scale = 4,
    unit = "read", service = "until", generator = "until",
    arguments = { mib = 16, ["repeat"] = 8 },
    quick = { ["repeat"] = 4 }, quick_rounds = 3,
    servers = ECHO,
    targets = { task = 0.714, callback = 0.714 },
  },
  {
    name = "until_64",
    title = "read_until, the delimiter 64 MiB away",
    growth_of = "until_4", scale = 16,
    unit = "read", service = "until", generator = "until",
    arguments = { mib = 64, ["repeat"] = 2 },
    quick = { ["repeat"] = 1 }, quick_rounds = 2,
    servers = ECHO,
    targets = { task = 0.714, callback = 0.714 },
  },
  {
    name = "frames",
    title = "frames of 100 bytes, 16 at a time",
    unit = "frame", service = "frames", generator = "echo",
    arguments = { depth = 16, kind = "frame", size = 100 },
    servers = ECHO,
    targets = { task = 0.58 },
  },
  {
    name = "proxy",
    title = "proxy",
    unit = "GiB", service = "proxy", generator = "proxy",
    arguments = { mib = 1024 }, quick = { mib = 256 },
    servers = { "c", "task", "node", "tornado" },
    targets = { task = 0.95 },
  },
  {
    name = "send_file",
    title = "send_file",
    unit = "GiB", service = "file", generator = "download",
    arguments = { mib = 16, ["repeat"] = 64 },
    quick = { ["repeat"] = 16 },
    servers = { "c", "task", "nginx", "node", "tornado" },
    targets = { task = 0.98 },
  },
  {
    name = "tls_echo",
    title = "TLS 1.3 echo, 64-byte lines, 64 connections",
    unit = "line", service = "lines", generator = "echo", tls = "p256",
    servers = { "c", "task", "callback", "node", "tornado" },
    targets = { task = 0.95, callback = 0.95 },
  },
  {
    name = "tls_rsa",
    title = "TLS 1.3 handshake, RSA-2048",
    unit = "handshake", service = "lines", generator = "handshake",
    tls = "rsa",
    servers = { "c", "task", "nginx", "node", "tornado" },
    targets = { task = 0.97 },
  },
  {
    name = "tls_p256",
    title = "TLS 1.3 handshake, P-256",
    unit = "handshake", service = "lines", generator = "handshake",
    tls = "p256",
    servers = { "c", "task", "nginx", "node", "tornado" },
    targets = { task = 0.97 },
  },
  {
    name = "tls_resumed",
    title = "TLS 1.3 handshake, resumed",
    unit = "handshake", service = "lines", generator = "handshake",
    tls = "p256", arguments = { resume = "yes" },
    -- node sends no ticket in a session that was resumed.
    servers = { "c", "task", "nginx", "tornado" },
    targets = { task = 0.97 },
  },
  {
    name = "tls_send",
    title = "TLS 1.3, sent in bulk",
    unit = "GiB", service = "source", generator = "download", tls = "p256",
    arguments = { mib = 16, ["repeat"] = 64 },
    quick = { ["repeat"] = 8 },
    servers = { "c", "task", "nginx", "node", "tornado" },
    targets = { task = 1.15 },
  },
  {
    name = "tls_receive",
    title = "TLS 1.3, received in bulk",
    unit = "GiB", service = "bulk", generator = "upload", tls = "p256",
    arguments = { mib = 1024 }, quick = { mib = 64 },
    servers = { "c", "task", "into", "node", "tornado" },
    targets = { task = 0.95 },
  },
  {
    name = "memory",
    title = "resident bytes per idle connection, of 5,000",
    unit = "connection", service = "lines", generator = "idle",
    value = "resident", arguments = { connections = 5000 }, rounds = 1,
    servers = { "c", "callback", "task", "luv", "node", "tornado" },
    at_most = { callback = 700, task = 1300 },
  },
  {
    name = "tls_memory",
    title = "the same over TLS, of 1,000",
    unit = "connection", service = "lines", generator = "idle", tls = "p256",
    value = "resident", arguments = { connections = 1000 }, rounds = 1,
    servers = { "c", "callback", "task", "node", "tornado" },
    at_most = { callback = 15500, task = 15500 },
  },
  {
    name = "start",
    title = "start-up to the end of an empty script",
    unit = "start", generator = "start", value = "wall_ns",
    arguments = { ["repeat"] = 50 }, quick = { ["repeat"] = 8 },
    servers = { "luajit", "weir_empty", "node_empty", "tornado_empty" },
    targets = { weir_empty = 0.5 },
  },
  {
    name = "first_byte",
    title = "start-up to the first byte served",
    unit = "start", service = "lines", generator = "serve",
    value = "wall_ns",
    arguments = { ["repeat"] = 50 }, quick = { ["repeat"] = 15 },
    servers = { "luajit", "c", "task" },
    targets = { task = 0.4 },
  },
  {
    name = "connections_100",
    title = "connections that come and go, 100 at once",
    unit = "connection", service = "lines", generator = "connections",
    arguments = { connections = 100, ["repeat"] = 50 },
    quick = { ["repeat"] = 6 },
    servers = { "c", "task", "callback", "node", "tornado" },
  },
  {
    name = "connections_10000",
    title = "the same, 10,000 at once",
    unit = "connection", service = "lines", generator = "connections",
    arguments = { connections = 10000 }, quick_rounds = 1,
    servers = { "c", "task", "callback", "node", "tornado" },
    growth_of = "connections_100",
    growth_at_most = 1.15,
  },
}

return M
