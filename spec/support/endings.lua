-- A stream comes to its end: one way of many, with a read pending or not,
-- bytes queued or not, a close callback or not. `run` does it, and tells what
-- happened in which order.

local ffi = require "ffi"
local expect = require "spec.support.expect"

ffi.cdef "int setsockopt(int, int, int, const void *, unsigned);"

local M = {}

M.endings = { "together", "later", "reset", "close", "abort", "error" }
M.reads = { "satisfiable", "unsatisfiable", "none" }
M.writes = { "queued", "none" }
M.callbacks = { "set", "not", "late" }

-- More than the kernel takes of what nobody reads.
local BIG = ("0123456789abcdef"):rep(32768)
local PATIENCE = { timeout = 20 }

local function send_buffer(stream, size)
  local SOL_SOCKET, SO_SNDBUF = 1, 7
  ffi.C.setsockopt(stream:fd(), SOL_SOCKET, SO_SNDBUF, ffi.new("int[1]", size), 4)
end

local function turns(count)
  for _ = 1, count do weir.sleep(0) end
end

local function ignore() end

local Run = {}
Run.__index = Run

function Run:note(what)
  return function(result, _, code)
    local text = result == true and "true" or result or code or "nil"
    self.log[#self.log + 1] = what
    self[what] = self[what] and "twice" or text
  end
end

function Run:watch()
  local note = self:note("over")
  self.b:set_close_callback(function(message, code) note(nil, message, code) end)
end

function Run:await(what)
  local limit = weir.now() + PATIENCE.timeout
  while not self[what] do
    if weir.now() > limit then error("never told: " .. what, 2) end
    weir.sleep(0)
  end
end

function Run:pend()
  if self.cell.read == "satisfiable" then
    self.b:read_bytes(4, PATIENCE, self:note("read"))
  elseif self.cell.read == "unsatisfiable" then
    self.b:read_until("\n", PATIENCE, self:note("read"))
  end
end

-- "data" has come, and is buffered where a read is concerned.
function Run:arrive()
  self.a:write("data")
  self.a:flush(PATIENCE)
  if self.cell.read == "unsatisfiable" then
    expect.soon(function() return self.b:buffered() >= 4 end)
  elseif self.cell.read == "satisfiable" then
    self.b:unread(self.b:read_bytes(4, PATIENCE))
  end
end

-- What the script here does to the stream.
local here = {
  close = function(b) b:close() end,
  abort = function(b) b:abort() end,
  -- Behind what is queued it times out, and then it is told that.
  error = function(b) b:write("", { timeout = 0 }, function() error("boom") end) end,
}

function Run:finish()
  local a, b, ending = self.a, self.b, self.cell.ending
  if here[ending] then
    if self.cell.read == "unsatisfiable" then self:pend() end
    self:arrive()
    if self.cell.read == "satisfiable" then self:pend() end
    local told = #self.log
    here[ending](b)
    self.inside = #self.log > told
    return
  end
  self:pend()
  if ending == "together" then
    a:write("data")
    a:shutdown({}, ignore)
    return
  end
  a:write("data")
  a:flush(PATIENCE)
  if ending == "reset" then return a:abort() end
  if self.cell.read == "satisfiable" then self:await("read") end
  turns(5)
  a:shutdown({}, ignore)
end

-- The bytes that no read took are all still there.
function Run:take_rest()
  if self.cell.read == "satisfiable" then return end
  turns(20)
  self.early = self.over ~= nil
  self.rest = self.b:read_bytes(4, PATIENCE)
end

function Run:drain_output()
  if self.cell.writes ~= "queued" then return end
  turns(20)
  self.hasty = self.over ~= nil
  if self.cell.ending == "reset" then return self:await("write") end
  if self.b:fd() then send_buffer(self.b, 2 ^ 20) end
  self.received = self.a:read_bytes(#BIG, PATIENCE) == BIG
  self:await("write")
end

--- Runs a `cell` { ending =, read =, writes =, callback = } over two streams.
--- Returns what was told (`read`, `write`, `over`: a result or a code), the
--- `log` of it in order, and what the stream says afterwards.
function M.run(pair, cell)
  local a, b = pair()
  local run = setmetatable({ a = a, b = b, cell = cell, log = {} }, Run)
  send_buffer(b, 4096)
  if cell.callback == "set" then run:watch() end
  if cell.writes == "queued" then
    b:write(BIG, run:note("write"))
    turns(2)
    assert(b:writing(), "all of the output has left")
  end
  run:finish()
  if cell.read ~= "none" then run:await("read") end
  run:take_rest()
  run:drain_output()
  if cell.callback == "late" then run:watch() end
  if cell.callback ~= "not" then run:await("over") end
  turns(20)
  run.later = select(3, b:read_bytes(1, PATIENCE))
  run.closed = b:closed()
  if not run.closed and b:write("still") then
    run.answered = a:read_bytes(5, PATIENCE) == "still"
  end
  a:abort()
  b:abort()
  turns(1)
  return run
end

--- Calls f(cell) for each cell of the table whose ending is `ending`.
function M.each(ending, f)
  for _, read in ipairs(M.reads) do
    for _, writes in ipairs(M.writes) do
      for _, callback in ipairs(M.callbacks) do
        f({ ending = ending, read = read, writes = writes, callback = callback })
      end
    end
  end
end

return M
