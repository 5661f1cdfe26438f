-- Of a list of numbers.

local M = {}

--- The middle one, the smallest, the largest.
function M.summary(values)
  local sorted = {}
  for i, value in ipairs(values) do sorted[i] = value end
  table.sort(sorted)
  local middle = math.floor((#sorted + 1) / 2)
  local median = sorted[middle]
  if #sorted % 2 == 0 then median = (median + sorted[middle + 1]) / 2 end
  return { median = median, min = sorted[1], max = sorted[#sorted] }
end

--- The same of each a[i] / b[i]: what was measured in the same round is
--- compared with itself.
function M.ratio(a, b)
  local ratios = {}
  for i = 1, math.min(#a, #b) do ratios[i] = a[i] / b[i] end
  return M.summary(ratios)
end

return M
