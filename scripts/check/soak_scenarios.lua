-- What the soak does: each scenario has its own invariants, and holds however
-- often its tasks are cancelled.
local ffi = require("ffi")
local counts = require("soak_counts")

ffi.cdef [[
int kill(int, int); int getpid(void); int pipe(int[2]); int close(int);
long read(int, void *, size_t); long write(int, const void *, size_t);
]]

local M = { scenarios = {} }
local scenarios, last_id, random = M.scenarios, 0, math.random
local check, wait, later = counts.check, counts.wait, counts.later
local options, go = counts.options, counts.go
local join, await = counts.join, counts.await

function scenarios.channel()
  local channel = weir.channel(random(0, 3))
  local put, got, producers, consumers = {}, {}, {}, {}
  later("get", function(callback) channel:get(callback) end)
  later("put", function(callback) channel:put("to the callback", callback) end)
  for i = 1, random(3) do
    producers[i] = go(function()
      for _ = 1, random(10) do
        last_id = last_id + 1
        local id = last_id
        put[id] = wait("put", channel.put, channel, id, options()) or nil
      end
    end)
  end
  local function consume()
    repeat
      local id, _, code = wait("get", channel.get, channel, options())
      if id then
        check(not got[id], "%d was got twice", id)
        got[id] = true
      end
    until code == "ECLOSED"
  end
  for i = 1, random(3) do consumers[i] = go(consume) end
  consumers[#consumers + 1] = counts.begun(consume)
  if random(4) == 1 then channel:close() end
  for _, task in ipairs(producers) do join(task) end
  channel:close()
  consume()
  for _, task in ipairs(consumers) do join(task) end
  for id in pairs(put) do check(got[id], "%d was put and lost", id) end
  for id in pairs(got) do check(put[id], "%d was got and not put", id) end
end

-- The bytes that every stream carries, by their position.
local PERIOD = 65521
local bytes = {}
for i = 1, PERIOD do bytes[i] = string.char(random(0, 255)) end
bytes = table.concat(bytes):rep(2)

local function piece(position, size)
  local from = position % PERIOD
  return bytes:sub(from + 1, from + size)
end

local function matches(position, data)
  for at = 1, #data, PERIOD do
    local part = data:sub(at, at + PERIOD - 1)
    if part ~= piece(position + at - 1, #part) then return false end
  end
  return true
end

local READS = {
  { "read_bytes", function() return random(0, 30000) end },
  { "read_until", function() return string.char(random(0, 255)) end },
  { "read_until", function() return { "ab", "\0\1", "z" } end },
  { "read_until_regex", function() return "[a-f]{2}" end },
  { "read_some" },
  { "read_until_close" },
}

local function read_at_random(stream)
  local name, argument = unpack(READS[random(#READS)])
  if argument then
    return wait(name, stream[name], stream, argument(), options())
  end
  return wait(name, stream[name], stream, { timeout = random() * 0.01 })
end

-- What one end writes the other reads, byte for byte, whatever is cancelled.
local function transfer(from, to)
  local written, seen = 0, 0
  local writer = go(function()
    for _ = 1, random(12) do
      local size = random(0, 40000)
      local data = piece(written, size)
      local ok, _, code = wait("write", from.write, from, data, options())
      if not ok and code ~= "ECANCELED" and code ~= "ETIMEDOUT" then return end
      written = written + size
    end
  end)
  local over = false
  local function read()
    while not over do
      local data, _, code = read_at_random(to)
      if data then
        check(matches(seen, data), "other bytes than were written")
        seen = seen + #data
      elseif code == "EOF" then
        over = to:buffered() == 0
      elseif code ~= "ECANCELED" and code ~= "ETIMEDOUT" then
        over = true
      end
    end
  end
  local reader = counts.begun(read)
  join(writer)
  local abort = random(8) == 1
  later("flush", function(callback) from:flush(callback) end)
  if abort then from:abort() else from:close() end
  join(reader)
  read()
  check(abort or seen == written, "%d of %d bytes read", seen, written)
  to:close()
end

function scenarios.pair()
  transfer(weir.pair({ high_water = random(1, 100000) }))
end

-- Those that the listener has got, by what they said first: addresses are
-- used again, after connects that were cancelled.
M.accepted = {}

function M.accept(stream)
  local id = stream:read_until("\n", { inclusive = false })
  if not id then return stream:close() end
  M.accepted[id] = stream
end

function scenarios.tcp()
  local limit = random(3) == 1 and { connect_timeout = random() * 0.001 } or nil
  local client = wait("connect", weir.connect, M.listener:address(), limit)
  if not client then return end
  last_id = last_id + 1
  local id, server = tostring(last_id), nil
  client:write(id .. "\n")
  await("accepted", function()
    server = M.accepted[id]
    return server
  end)
  M.accepted[id] = nil
  if random(2) == 1 then client, server = server, client end
  transfer(client, server)
end

function scenarios.tree()
  local tasks = {}
  for i = 1, random(1, 6) do
    tasks[i] = go(function()
      wait("sleep", weir.sleep, random() * 0.004)
      if random(8) == 1 then error("on purpose") end
      if random(8) == 1 then error({ "on purpose" }) end
      return i
    end)
  end
  wait("any", weir.any, tasks, options())
  later("all", function(callback) weir.all(tasks, callback) end)
  wait("all", weir.all, tasks, options())
  for i, task in ipairs(tasks) do
    local value = join(task)
    check(value == nil or value == i, "task %d gave %s", i, tostring(value))
  end
end

function scenarios.deadline()
  local code = weir.deadline(random() * 0.005, function()
    return weir.deadline(random() * 0.005, function()
      local generator = coroutine.wrap(function()
        while true do
          local _, _, code = wait("sleep", weir.sleep, 1)
          coroutine.yield(code)
        end
      end)
      repeat
        local code = generator()
      until code == "ETIMEDOUT"
      return "ETIMEDOUT"
    end)
  end)
  check(code == "ETIMEDOUT", "deadline gave %s", tostring(code))
end

function scenarios.timers()
  local fired, ticks = 0, 0
  local after = weir.after(random() * 0.005, function() fired = fired + 1 end)
  local every
  every = weir.every(0.001, function()
    ticks = ticks + 1
    if ticks == 3 then every:cancel() end
    check(ticks <= 3, "a timer fired after its cancel")
  end)
  if random(2) == 1 then
    after:cancel()
    fired = fired + 1
  end
  await("timers", function() return ticks == 3 and fired == 1 end)
  wait("sleep", weir.sleep, 0.002)
  check(fired == 1, "after fired %d times", fired)
end

function scenarios.signal()
  local got = 0
  local handle = weir.signal("USR1", function(name)
    check(name == "USR1", "signal %s", name)
    got = got + 1
  end)
  ffi.C.kill(ffi.C.getpid(), 10)
  await("signal", function() return got > 0 end)
  handle:cancel()
end

function scenarios.guard()
  last_id = last_id + 1
  local id, caught = last_id, 0
  weir.guard(function(raised)
    check(raised == id, "the error of another guard")
    check(weir.locals().id == nil, "locals of what failed")
    caught = caught + 1
  end, function()
    weir.after(0, function()
      weir.locals().id = id
      weir.sleep(0, function()
        weir.spawn(function()
          check(weir.locals().id == id, "other locals")
          error(id, 0)
        end)
      end)
    end)
  end)
  await("guard", function() return caught == 1 end)
end

function scenarios.watch()
  local fds, got = ffi.new("int[2]"), 0
  check(ffi.C.pipe(fds) == 0, "no pipe")
  local handle
  handle = weir.watch(fds[0], "r", function()
    got = got + tonumber(ffi.C.read(fds[0], ffi.new("char[8]"), 8))
    if random(2) == 1 then weir.sleep(0.001) end
    handle:set("r")
  end)
  for _ = 1, 3 do
    ffi.C.write(fds[1], "x", 1)
    wait("sleep", weir.sleep, 0)
  end
  await("watch", function() return got == 3 end)
  handle:cancel()
  ffi.C.close(fds[0])
  ffi.C.close(fds[1])
end

return M
