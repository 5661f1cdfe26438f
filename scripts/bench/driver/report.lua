-- The table on the terminal.

local peers = require("peers")

local M = {}

-- Figures are nanoseconds per unit unless the workload says otherwise.
local scales = {
  line = { 1e3, "µs of CPU time per line" },
  frame = { 1e3, "µs of CPU time per frame" },
  handshake = { 1e3, "µs of CPU time per handshake" },
  connection = { 1e3, "µs of CPU time per connection" },
  read = { 1e6, "ms of CPU time per read" },
  GiB = { 1e9, "s of CPU time per GiB" },
  start = { 1e6, "ms that pass" },
}

--- What a figure is divided by to be shown, and in which words.
function M.scale(workload)
  if workload.value == "resident" then return 1, "bytes per connection" end
  return unpack(scales[workload.unit])
end

local function number(value)
  if value >= 1000 then return ("%.0f"):format(value) end
  return ("%.3g"):format(value)
end

local function verdict(met, sign, target)
  return ("%s %s %s"):format(met and "ok" or "MISSED", sign, target)
end

-- Is the target met? As words; empty without a target.
local function judge(workload, name, result)
  local target = workload.targets and workload.targets[name]
  if target and result.ratio then
    return verdict(result.ratio.median >= target, "≥", target)
  end
  local most = workload.at_most and workload.at_most[name]
  if most then return verdict(result.cost.median <= most, "≤", most) end
  return ""
end

local function growth(workload, name, result, earlier)
  local small = earlier[workload.growth_of]
  small = small and small[name]
  if not small then return "" end
  local factor = result.cost.median / (workload.scale or 1) /
    small.cost.median
  result.growth = factor
  local text = (", grows %.2f"):format(factor)
  local most = workload.growth_at_most
  if most and name ~= workload.servers[1] and peers.all[name].weir then
    text = text .. " " .. verdict(factor <= most, "≤", most)
  end
  return text
end

local function row(workload, name, result, earlier)
  local divisor = M.scale(workload)
  local cost = result.cost
  local ratio = result.ratio and ("%.2f"):format(result.ratio.median) or "-"
  local spread = number(cost.min / divisor) .. "–" ..
    number(cost.max / divisor)
  -- Padding counts bytes; a dash between numbers is three of them.
  return ("  %-22s %8s  %-17s %6s  %s%s%s"):format(peers.all[name].title,
    number(cost.median / divisor), spread, ratio,
    judge(workload, name, result), growth(workload, name, result, earlier),
    result.generator_limited and " (the generator was the limit)" or "")
end

--- Prints one workload's results; `earlier` has those of former ones.
function M.print(workload, results, notes, earlier)
  local _, words = M.scale(workload)
  local base = peers.all[workload.servers[1]].title
  print(("\n%s: %s"):format(workload.title, words))
  print(("  %-22s %8s  %-17s %6s  (to %s)"):format("", "median", "min–max",
    "ratio", base))
  for _, name in ipairs(workload.servers) do
    if results[name] then
      print(row(workload, name, results[name], earlier))
    elseif notes[name] then
      print(("  %-22s %s"):format(peers.all[name].title, notes[name]))
    end
  end
  io.stdout:flush()
end

return M
