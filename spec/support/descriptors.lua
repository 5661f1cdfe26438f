-- How many descriptors this weir has open.

local ffi = require("ffi")

ffi.cdef("int fcntl(int fd, int command, ...);")

local M = {}

local MOST, F_GETFD = 4096, 1

function M.count()
  local count = 0
  for fd = 0, MOST - 1 do
    if ffi.C.fcntl(fd, F_GETFD) >= 0 then count = count + 1 end
  end
  return count
end

--- The same, once what earlier specs left to be collected or is still closing
--- has gone: when it has not changed for a while.
function M.settled()
  collectgarbage()
  collectgarbage()
  local count, same = M.count(), 0
  for _ = 1, 400 do
    weir.sleep(0.005)
    local now = M.count()
    same = now == count and same + 1 or 0
    count = now
    if same == 4 then break end
  end
  return count
end

--- Whether it comes to `count`, given a few turns.
function M.settle(count)
  for _ = 1, 1000 do
    if M.count() == count then return true end
    weir.sleep(0.01)
  end
  return false, M.count() .. " descriptors are open, not " .. count
end

return M
