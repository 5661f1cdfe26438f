-- How many descriptors this weir has open.

local M = {}

function M.count()
  local pipe = io.popen("ls /proc/$PPID/fd | wc -l")
  local count = tonumber(pipe:read("*l"))
  pipe:close()
  return count
end

--- The same, once what earlier specs left to be collected or is still closing
--- has gone: when it has not changed for a while.
function M.settled()
  local count, same = M.count(), 0
  for _ = 1, 400 do
    collectgarbage()
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
  for _ = 1, 100 do
    if M.count() == count then return true end
    weir.sleep(0.01)
  end
  return false, M.count() .. " descriptors are open, not " .. count
end

return M
