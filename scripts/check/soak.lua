-- The soak: small scenarios, many at a time, while somebody cancels tasks at
-- random. Every operation must complete exactly once, with a result or an error
-- that can be, and nothing may be left over.
--
--     weir soak.lua [seconds [seed]]

local seconds, seed = tonumber(arg[1]) or 10, tonumber(arg[2]) or 1
local AT_ONCE = 40
math.randomseed(seed)

local ffi = require("ffi")
ffi.cdef("int fcntl(int, int, ...);")

local counts = require("soak_counts")
local soak = require("soak_scenarios")
local check, live, random = counts.check, counts.live, math.random

local names = {}
for name in pairs(soak.scenarios) do names[#names + 1] = name end
table.sort(names)

local function descriptors()
  local count = 0
  for fd = 0, 1023 do
    if ffi.C.fcntl(fd, 1) >= 0 then count = count + 1 end -- F_GETFD
  end
  return count
end

local function run_scenarios(limit)
  while weir.now() < limit do
    local name = names[random(#names)]
    local scenario = counts.go(soak.scenarios[name])
    counts.begin("scenario " .. name)
    counts.join(scenario)
    counts.finish("scenario " .. name)
  end
end

-- Forgets the tasks that have ended.
local function cancel_some(limit)
  while weir.now() < limit do
    weir.sleep(0.0005)
    for _ = 1, math.min(4, #live) do
      local index = random(#live)
      live[index]:cancel()
      if counts.has_ended(live[index]) then
        live[index] = live[#live]
        live[#live] = nil
      end
    end
  end
end

local function check_nothing_left(before)
  for i = #live, 1, -1 do live[i] = nil end
  collectgarbage()
  collectgarbage()
  weir.sleep(0.01)
  for name, count in pairs(counts.started) do
    check(counts.ended[name] == count, "%s: %d began, %d ended", name, count,
      counts.ended[name] or 0)
  end
  for _, task in ipairs(weir.tasks()) do
    check(task.main, "task #%d is left:\n%s", task.id, task.traceback)
  end
  for _, stream in ipairs(weir.streams()) do
    check(false, "stream #%d is left: %s", stream.id, stream.state)
  end
  local now = descriptors()
  check(now == before, "%d descriptors, %d before", now, before)
end

local function total(count_of)
  local sum = 0
  for _, count in pairs(count_of) do sum = sum + count end
  return sum
end

local before = descriptors()
soak.listener = assert(weir.listen("127.0.0.1:0", soak.accept))

local limit, workers = weir.now() + seconds, {}
for i = 1, AT_ONCE do workers[i] = weir.spawn(run_scenarios, limit) end
workers[#workers + 1] = weir.spawn(cancel_some, limit)
for _, worker in ipairs(workers) do
  local _, message, code = worker:join({ timeout = seconds + 60 })
  check(code == nil, "a worker: %s", tostring(message))
end
soak.listener:close()
check_nothing_left(before)

print(("soak: %g s, seed %d: %d operations, %d faults"):format(seconds, seed,
  total(counts.ended), counts.faults))
os.exit(counts.faults == 0 and 0 or 1)
