-- `scripts/bench/run` after everything is built: `main.lua BENCH-FOLDER
-- BUILD-FOLDER WEIR [options]`.

local root, build, weir = arg[1], arg[2], arg[3]
package.path = root .. "/driver/?.lua;" .. package.path

local chart = require("chart")
local json = require("json")
local markdown = require("markdown")
local measure = require("measure")
local peers = require("peers")
local report = require("report")
local workloads = require("workloads")

local USAGE = [=[
usage: scripts/bench/run [--quick] [--only NAME[,NAME…]] [--rounds N] [--list]
                         [--json FILE] [--svg FILE] [--markdown FILE]

Measures weir beside a bare C server on libev (and OpenSSL) and beside the
peers that are installed: CPU time of the server per unit of work, the median
of alternating rounds, and the ratio to C (C's cost ÷ the server's: higher is
cheaper). All runs in a network namespace, if the machine permits one, with
TCP settings of its own. --quick takes less than two minutes.
]=]

local function usage(message)
  io.stderr:write(message and "run: " .. message .. "\n" or "", USAGE)
  os.exit(message and 2 or 0)
end

local function parse(arguments)
  local options, i = { rounds = 5 }, 4
  local function value()
    i = i + 1
    return arguments[i] or usage(arguments[i - 1] .. " needs a value")
  end
  while arguments[i] do
    local option = arguments[i]
    if option == "--quick" then options.quick = true
    elseif option == "--list" then options.list = true
    elseif option == "--only" then options.only = value()
    elseif option == "--json" then options.json = value()
    elseif option == "--svg" then options.svg = value()
    elseif option == "--markdown" then options.markdown = value()
    elseif option == "--rounds" then options.given = tonumber(value())
    elseif option == "--help" or option == "-h" then usage()
    else usage("unknown option " .. option) end
    i = i + 1
  end
  options.rounds = options.given or 5
  return options
end

local function select_workloads(only)
  if not only then return workloads.all end
  local chosen = {}
  for wanted in only:gmatch("[^,]+") do
    local before = #chosen
    for _, workload in ipairs(workloads.all) do
      if workload.name == wanted then chosen[#chosen + 1] = workload end
    end
    if #chosen == before then usage("no workload " .. wanted) end
  end
  return chosen
end

local function command_output(command)
  local pipe = io.popen(command)
  local output = pipe:read("*a")
  pipe:close()
  return (output:gsub("%s+$", ""))
end

local function write_json(path, all)
  local entries = {}
  for i, entry in ipairs(all) do
    entries[i] = {
      name = entry.workload.name,
      title = entry.workload.title,
      figure = select(2, report.scale(entry.workload)),
      divisor = (report.scale(entry.workload)),
      servers = entry.results,
      notes = entry.notes,
    }
  end
  local file = assert(io.open(path, "w"))
  file:write(json.encode({
    machine = command_output("uname -srm"),
    processor = command_output(
      "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1"),
    workloads = entries,
  }), "\n")
  file:close()
end

local function list()
  for _, workload in ipairs(workloads.all) do
    print(("%-18s %s"):format(workload.name, workload.title))
  end
end

local options = parse(arg)
if options.list then return list() end

peers.configure(root, build, weir)
local cores = tonumber(command_output("nproc"))
measure.configure({
  build = build,
  generator = build .. "/generator",
  cores = cores,
  rounds = options.rounds,
  seconds = options.quick and 0.15 or 1,
  quick = options.quick,
})
if cores < 2 then
  print("One core only: server and generator share it.")
end

local all, earlier = {}, {}
for _, workload in ipairs(select_workloads(options.only)) do
  local results, notes = measure.run(workload)
  report.print(workload, results, notes, earlier)
  earlier[workload.name] = results
  all[#all + 1] = { workload = workload, results = results, notes = notes }
end
if options.json then write_json(options.json, all) end
if options.svg then chart.write(options.svg, all) end
if options.markdown then markdown.write(options.markdown, all) end
