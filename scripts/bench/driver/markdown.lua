-- The table for the README: a row for each workload, what a unit costs C, and
-- what it costs the others, as ratios to that.

local peers = require("peers")
local report = require("report")

local M = {}

local WEIR = { "task", "callback", "into", "weir_empty" }
local PEERS = { "c", "luv", "node", "node_empty", "tornado", "tornado_empty",
  "nginx", "redis" }

local function number(value)
  if value >= 100 then return ("%.0f"):format(value) end
  return ("%.3g"):format(value)
end

local function bytes(result)
  return ("%d bytes"):format(result.cost.median)
end

local function cost(workload, result)
  if workload.value == "resident" then return bytes(result) end
  local divisor, words = report.scale(workload)
  local unit = words:gsub(" of CPU time", ""):gsub(" that pass", "")
  local base = workload.servers[1]
  return number(result.cost.median / divisor) .. " " .. unit ..
    (base ~= "c" and " (" .. peers.all[base].title .. ")" or "")
end

-- "0.96" (or bytes) for each server of `names` that was measured; `titled` if
-- the reader cannot know which is which.
local function ratios(workload, results, names, titled)
  local parts = {}
  for _, name in ipairs(names) do
    local result = results[name]
    if result and result.ratio and name ~= workload.servers[1] then
      local text = workload.value == "resident" and bytes(result) or
        ("%.2f"):format(result.ratio.median)
      if titled then
        text = peers.all[name].title:match("^[^ ,]+") .. " " .. text
      elseif name == "callback" or name == "into" then
        text = text .. (name == "into" and " (`read_into`)" or " (callback)")
      end
      parts[#parts + 1] = text
    end
  end
  return table.concat(parts, ", ")
end

--- Writes the table: `all` is a list of { workload, results }.
function M.write(path, all)
  local file = assert(io.open(path, "w"))
  file:write("| work | C on libev | weir | others |\n|---|---|---|---|\n")
  for _, entry in ipairs(all) do
    local workload, results = entry.workload, entry.results
    local base = results[workload.servers[1]]
    if base then
      file:write(("| %s | %s | %s | %s |\n"):format(workload.title,
        cost(workload, base), ratios(workload, results, WEIR),
        ratios(workload, results, PEERS, true)))
    end
  end
  file:close()
end

return M
