-- Keeps what a host reports of handshakes that fail, as they do in many specs
-- of TLS, out of the output of the tests. All else that is written to standard
-- error passes, even if this host crashes.

local ffi = require "ffi"

ffi.cdef [[
  int dup(int fd);
  int dup2(int from, int to);
  int fileno(void *file);
]]

local M = {}

--- For the specs of the block, or file, whose setup and teardown these are.
--- Processes that they start have to end with them.
function M.hide(setup, teardown)
  local filter, kept

  setup(function()
    filter = assert(io.popen("grep -v --line-buffered '^weir: TLS handshake with ' >&2", "w"))
    io.stderr:flush()
    kept = ffi.C.dup(2)
    assert(kept >= 0 and ffi.C.dup2(ffi.C.fileno(filter), 2) == 2)
  end)

  teardown(function()
    io.stderr:flush()
    assert(ffi.C.dup2(kept, 2) == 2)
    weir.stream(kept):close()
    filter:close()
  end)
end

return M
