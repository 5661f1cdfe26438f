-- A network and a mount namespace of one's own: where routes may be set and
-- files replaced. There is nothing but a loopback interface, which is down.
-- Containers may not allow it.

local weir_runs = require("spec.support.weir")

local M = {}

M.available = os.execute("unshare -rnm true 2>/dev/null") == 0

--- Runs `script` in another weir, in a new namespace, after the shell
--- commands `setup`. Returns what it printed, errors included.
function M.run(setup, script)
  local folder = weir_runs.folder({ ["script.lua"] = script })
  local pipe = io.popen(("unshare -rnm sh -ec '%s; exec timeout 30 %s %s/script.lua' 2>&1")
    :format(setup, weir_runs.binary, folder))
  local output = pipe:read("*a")
  pipe:close()
  weir_runs.remove(folder)
  return output
end

return M
