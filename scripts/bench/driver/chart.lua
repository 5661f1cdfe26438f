-- A bar chart of the ratios, as SVG: one group of bars per workload.

local peers = require("peers")

local M = {}

local BAR, GAP, LEFT, WIDTH, RIGHT = 14, 18, 190, 420, 70
local colours = {
  c = "#8a8a8a", luajit = "#8a8a8a", task = "#1f6feb", callback = "#58a6ff",
  into = "#0a3069", weir_empty = "#1f6feb",
}
local OTHER = "#d0a215"

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;",
    [">"] = "&gt;" }))
end

local function text(x, y, anchor, words, weight)
  return ('<text x="%g" y="%g" text-anchor="%s"%s>%s</text>'):format(x, y,
    anchor, weight and ' font-weight="bold"' or "", escape(words))
end

local function bar(parts, y, name, ratio)
  local length = math.min(ratio, 1.5) / 1.5 * WIDTH
  parts[#parts + 1] = text(LEFT - 6, y + 11, "end", peers.all[name].title)
  parts[#parts + 1] = ('<rect x="%g" y="%g" width="%.1f" height="%g" ' ..
    'fill="%s"/>'):format(LEFT, y, length, BAR - 2, colours[name] or OTHER)
  parts[#parts + 1] = text(LEFT + length + 5, y + 11, "start",
    ("%.2f"):format(ratio))
end

local function group(parts, y, workload, results)
  parts[#parts + 1] = text(LEFT, y + 12, "start", workload.title, true)
  y = y + 18
  for _, name in ipairs(workload.servers) do
    local result = results[name]
    if result and result.ratio then
      bar(parts, y, name, result.ratio.median)
      y = y + BAR
    end
  end
  return y + GAP
end

--- Writes the chart: `all` is a list of { workload, results }. Longer is
--- faster; bars end at 1.5.
function M.write(path, all)
  local parts, y = {}, 34
  for _, entry in ipairs(all) do
    y = group(parts, y, entry.workload, entry.results)
  end
  local width = LEFT + WIDTH + RIGHT
  local one = LEFT + WIDTH / 1.5
  local file = assert(io.open(path, "w"))
  file:write(('<svg xmlns="http://www.w3.org/2000/svg" width="%d" ' ..
    'height="%d" font-family="sans-serif" font-size="11">\n'):format(width,
    y), '<rect width="100%" height="100%" fill="white"/>\n',
    text(LEFT, 20, "start",
      "C's cost per unit of work ÷ the server's (longer is cheaper)"),
    ('\n<line x1="%g" x2="%g" y1="28" y2="%g" stroke="#ccc"/>\n'):format(one,
      one, y), table.concat(parts, "\n"), "\n</svg>\n")
  file:close()
end

return M
