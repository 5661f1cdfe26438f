-- Runs one workload: starts its servers, lets the generator load them in
-- turn, round after round, and stops them.

local peers = require("peers")
local process = require("process")
local statistics = require("statistics")

local M = {}

-- Servers have one core, the generator the other.
local SERVER_CORE, GENERATOR_CORE = 1, 0

local settings -- { build, generator, cores, rounds, seconds, quick }

--- Must come first.
function M.configure(given)
  settings = given
end

local function fields(line)
  local values = {}
  for key, value in line:gmatch("(%w+_?%w*)=(-?%d+)") do
    values[key] = tonumber(value)
  end
  return values
end

local function generate(core, arguments)
  local line = { "taskset", "-c", core, settings.generator }
  for _, argument in ipairs(arguments) do line[#line + 1] = argument end
  if settings.cores < 2 then line = { unpack(line, 4) } end
  local output, message = process.run(line)
  if not output then return nil, message end
  return fields(output)
end

local function free_port()
  return generate(GENERATOR_CORE, { "port" }).port
end

local function certificate(name)
  if not name then return nil end
  return {
    BENCH_CERT = ("%s/%s.pem"):format(settings.build, name),
    BENCH_KEY = ("%s/%s.key"):format(settings.build, name),
  }
end

-- What the service needs besides a port.
local function argument_for(workload, port)
  if workload.service == "proxy" then return free_port() end
  if workload.service == "source" or workload.service == "file" then
    return settings.build .. "/payload.bin", port
  end
end

local function start_server(workload, name)
  local port = free_port()
  local argument = argument_for(workload)
  local tls = certificate(workload.tls)
  local command = peers.all[name].command(workload.service, tostring(port),
    argument and tostring(argument), tls)
  for i = 1, #command do command[i] = tostring(command[i]) end
  local log = ("%s/%s-%s.log"):format(settings.build, workload.name, name)
  os.remove(log)
  local core = math.min(SERVER_CORE, settings.cores - 1)
  local pid = process.start(command, core, log, tls)
  local ready = generate(GENERATOR_CORE, { "await", "port=" .. port })
  if not ready or process.ended(pid) then
    process.stop(pid)
    return nil, "does not start; see " .. log
  end
  return { name = name, port = port, pid = pid, argument = argument }
end

local function generator_arguments(workload, server)
  local list = {
    workload.generator,
    "port=" .. server.port,
    "pid=" .. server.pid,
    "seconds=" .. settings.seconds,
  }
  local function add(arguments)
    for key, value in pairs(arguments or {}) do
      list[#list + 1] = key .. "=" .. value
    end
  end
  add(workload.arguments)
  if settings.quick then add(workload.quick) end
  if workload.tls then add({ tls = "yes" }) end
  if workload.service == "proxy" then add({ upstream = server.argument }) end
  if workload.generator == "download" then
    add({ file = settings.build .. "/payload.bin" })
    if server.name == "nginx" then add({ http = "/payload.bin" }) end
  end
  if server.name == "redis" then add({ kind = "redis" }) end
  return list
end

-- The generator starts the command itself, on the servers' core.
local function start_arguments(workload, name)
  local peer = peers.all[name]
  local list = { peer.generator or workload.generator }
  local amount = settings.quick and workload.quick or workload.arguments
  for key, value in pairs(amount) do list[#list + 1] = key .. "=" .. value end
  list[#list + 1] = "--"
  for _, word in ipairs(peer.command(workload.service, "fd:3")) do
    list[#list + 1] = word
  end
  return list
end

local function round(workload, server)
  if not server.pid then
    return generate(SERVER_CORE, start_arguments(workload, server.name))
  end
  return generate(GENERATOR_CORE, generator_arguments(workload, server))
end

local function start_all(workload)
  local started, notes = {}, {}
  for _, name in ipairs(workload.servers) do
    local server, message
    if not peers.installed(name) then
      message = "not installed: " .. peers.all[name].hint
    elseif workload.value == "wall_ns" then
      server = { name = name }
    else
      server, message = start_server(workload, name)
    end
    started[#started + 1] = server
    notes[name] = message
  end
  return started, notes
end

-- Nanoseconds (or bytes) per unit. Bulk work is counted in MiB, and told per
-- GiB.
local function per_unit(workload, values)
  local figure = values[workload.value or "server_ns"] / values.units
  return workload.unit == "GiB" and figure * 1024 or figure
end

-- Its core was full, and the server's was not. Where much is handed over at
-- once, the server waits for nothing; if it did not fit, sleeping tells.
local function generator_was_limit(values)
  if values.batches and values.batches > 0 then
    return values.torn > values.batches / 2 and
      values.waits > 8 * values.batches
  end
  if not values.wall_ns or not values.own_ns or values.own_ns == 0 then
    return false
  end
  return values.own_ns > 0.95 * values.wall_ns and
    values.server_ns < 0.9 * values.wall_ns
end

local function add_round(workload, server, results, notes)
  local values, message = round(workload, server)
  local result = results[server.name] or { rounds = {}, limited = 0 }
  results[server.name] = result
  if not values then
    notes[server.name] = "failed: " .. message:gsub("%s+$", "")
    return
  end
  table.insert(result.rounds, per_unit(workload, values))
  if generator_was_limit(values) then result.limited = result.limited + 1 end
end

-- Each round begins with another server, so that none always follows the
-- same one.
local function run_rounds(workload, servers, notes)
  local results, rounds = {}, workload.rounds or settings.rounds
  if settings.quick and workload.quick_rounds then
    rounds = workload.quick_rounds
  end
  for number = 1, rounds do
    for i = 1, #servers do
      local server = servers[(number + i - 2) % #servers + 1]
      if not notes[server.name] then
        add_round(workload, server, results, notes)
      end
    end
  end
  return results
end

-- All that there is to say of each server, the first one being the measure
-- of the others.
local function summarize(workload, results, notes)
  local base = results[workload.servers[1]]
  for name, result in pairs(results) do
    if notes[name] or #result.rounds == 0 then
      results[name] = nil
    else
      result.cost = statistics.summary(result.rounds)
      result.generator_limited = result.limited * 2 > #result.rounds
      result.limited = nil
    end
  end
  for _, result in pairs(results) do
    if base and base.cost then
      result.ratio = statistics.ratio(base.rounds, result.rounds)
    end
  end
end

--- Runs it; returns results by server's name, and notes on those that could
--- not be measured.
function M.run(workload)
  local servers, notes = start_all(workload)
  local results = run_rounds(workload, servers, notes)
  for _, server in ipairs(servers) do
    if server.pid then process.stop(server.pid) end
  end
  summarize(workload, results, notes)
  return results, notes
end

return M
