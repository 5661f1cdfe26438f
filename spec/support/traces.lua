-- What weir --trace writes, as specs read it.

local assert = require("luassert")

local M = {}

--- The same without what differs from run to run.
function M.mask(text)
  return (text:gsub("(127%.0%.0%.1):%d+", "%1:PORT"):gsub("/tmp/lua_%w+", "PATH")
    :gsub("fd %d+", "fd N"):gsub("TLS_%u[%u%d_]+", "CIPHER"))
end

--- The lines about `who`, without the time and the name.
function M.about(who, trace)
  local lines = {}
  for line in trace:gmatch("[^\n]+") do
    local name, rest = line:match("^ *%d+%.%d%d%d%d%d%d (%S+) +(.*)$")
    assert.truthy(name, line)
    if name == who then lines[#lines + 1] = M.mask(rest) end
  end
  return lines
end

return M
