-- Channels: values handed from task to task.
--
-- Whoever cannot be served at once waits in a queue, first come, first served.
-- Putters wait only while the channel is full, getters only while it is empty.
local weir, core = ...

local Channel = {}
Channel.__index = Channel
Channel.__name = "weir.channel"

function Channel:__tostring()
  return string.format("weir.channel: %d of %g%s", self.last - self.first + 1,
    self.capacity, self.closed and " (closed)" or "")
end

local function check(self, name)
  if getmetatable(self) ~= Channel then
    error(("channel %s: a channel expected, got %s (write channel:%s(...))")
      :format(name, type(self), name), 3)
  end
end

local function push(self, value)
  self.last = self.last + 1
  self.items[self.last] = value
end

local function pop(self)
  local value = self.items[self.first]
  self.items[self.first] = nil
  self.first = self.first + 1
  return value
end

local function failed(name)
  return nil, name .. ": the channel is closed", "ECLOSED"
end

local function try_put(self, value)
  if self.closed then return true, failed("channel put") end
  if self.getters:wake(value) then return true, true end
  if self.last - self.first + 1 >= self.capacity then return false end
  push(self, value)
  return true, true
end

-- What the first putter waits with takes the place of what was got.
local function try_get(self)
  local waits, value = self.putters:first()
  if self.last >= self.first then
    local oldest = pop(self)
    if waits then
      push(self, value)
      self.putters:wake(true)
    end
    return true, oldest
  end
  if waits then
    self.putters:wake(true)
    return true, value
  end
  if self.closed then return true, failed("channel get") end
  return false
end

--- channel:put(value, [options], [callback]): true. Waits while it is full.
function Channel:put(value, ...)
  check(self, "put")
  if value == nil then
    error("channel put: nil cannot be put, it would say nothing (use false)", 2)
  end
  return self.putters:call(try_put, self, value, ...)
end

--- channel:get([options], [callback]): the oldest value. Waits for one.
function Channel:get(...)
  check(self, "get")
  return self.getters:call(try_get, self, nil, ...)
end

--- channel:close(): everyone who waits is told. What is in it can still be got.
function Channel:close()
  check(self, "close")
  self.closed = true
  while self.putters:wake(failed("channel put")) do end
  while self.getters:wake(failed("channel get")) do end
end

--- weir.channel([capacity]): how many values it holds (default 0, so that each
-- put waits for its get; math.huge for any number).
function weir.channel(capacity)
  if capacity == nil then capacity = 0 end
  if type(capacity) ~= "number" or capacity < 0
    or capacity ~= math.floor(capacity) then
    error("channel: a whole number, 0 or more, or math.huge expected", 2)
  end
  return setmetatable({
    capacity = capacity,
    items = {}, first = 1, last = 0,
    getters = core.queue("channel get"),
    putters = core.queue("channel put"),
    closed = false,
  }, Channel)
end
