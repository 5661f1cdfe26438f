-- Descriptors that belong to another library: here the C library's own calls,
-- through FFI.
local ffi = require("ffi")
local expect = require("spec.support.expect")

ffi.cdef [[
int socketpair(int, int, int, int[2]);
int pipe(int[2]);
int close(int);
long read(int, void *, size_t);
long write(int, const void *, size_t);
]]
local C = ffi.C

local open = {}

local function descriptors(make, ...)
  local fds = ffi.new("int[2]")
  local arguments = { ... }
  arguments[#arguments + 1] = fds
  assert(make(unpack(arguments)) == 0)
  open[fds[0]], open[fds[1]] = true, true
  return fds[0], fds[1]
end

local function pipe() return descriptors(C.pipe) end
local function pair() return descriptors(C.socketpair, 1, 1, 0) end

local function close(fd)
  open[fd] = nil
  C.close(fd)
end

-- Time enough for what is not to be told.
local function turns()
  for _ = 1, 5 do weir.sleep(0) end
end

local function take(fd)
  local buffer = ffi.new("char[100]")
  return ffi.string(buffer, C.read(fd, buffer, 100))
end

describe("a watch", function()
  after_each(function()
    for fd in pairs(open) do close(fd) end
  end)

  it("that another one's call cancels is not called any more", function()
    local reader, writer = pipe()
    local called, first, second = 0, nil, nil
    local function count()
      called = called + 1
      first:cancel()
      second:cancel()
    end
    first = weir.watch(reader, "r", count)
    second = weir.watch(reader, "r", count)
    C.write(writer, "x", 1)
    turns()
    assert.equal(1, called)
  end)

  it("tells when another library's descriptor is readable", function()
    local reader, writer = pipe()
    local got = weir.channel(1)
    local handle = weir.watch(reader, "r", function(events) got:put(events .. ":" .. take(reader)) end)
    assert.equal(("weir.watch: fd %d"):format(reader), tostring(handle))
    for _, text in ipairs({ "one", "two" }) do
      C.write(writer, text, #text)
      assert.equal("r:" .. text, got:get({ timeout = 5 }))
    end
    handle:cancel()
    handle:cancel()
    assert.matches("%(over%)$", tostring(handle))
  end)

  it("tells again while it is ready, but not before its function returned", function()
    local reader, writer = pipe()
    local running, most, calls, done = 0, 0, 0, weir.channel(1)
    local handle = weir.watch(reader, "r", function()
      running = running + 1
      most = math.max(most, running)
      weir.sleep(0.001)
      calls = calls + 1
      running = running - 1
      if calls == 3 then
        take(reader)
        done:put(true)
      end
    end)
    C.write(writer, "x", 1)
    assert.is_true(done:get({ timeout = 5 }))
    turns()
    assert.same({ 1, 3 }, { most, calls })
    handle:cancel()
  end)

  it("watches both directions, and is set anew", function()
    local ours, theirs = pair()
    local got, handle = weir.channel(math.huge), nil
    handle = weir.watch(ours, "rw", function(events)
      got:put(events)
      if events == "w" then handle:set("r") else handle:cancel() end
    end)
    assert.equal("w", got:get({ timeout = 5 }))
    assert.equal("ETIMEDOUT", (select(3, got:get({ timeout = 0.002 }))))
    C.write(theirs, "x", 1)
    assert.equal("r", got:get({ timeout = 5 }))
    handle = weir.watch(ours, "r", function(events)
      got:put(events)
      handle:cancel()
    end)
    assert.equal(handle, handle:set("rw"))
    assert.equal("rw", got:get({ timeout = 5 }))
  end)

  it("of two on one descriptor each has its own direction", function()
    local ours, theirs = pair()
    local got = weir.channel(math.huge)
    local reading, writing
    reading = weir.watch(ours, "r", function(events) got:put(events) reading:cancel() end)
    writing = weir.watch(ours, "w", function(events) got:put(events) writing:cancel() end)
    assert.equal("w", got:get({ timeout = 5 }))
    C.write(theirs, "x", 1)
    assert.equal("r", got:get({ timeout = 5 }))
  end)

  it("tells of the other side's end", function()
    local reader, writer = pipe()
    local got, handle = weir.channel(1), nil
    handle = weir.watch(reader, "r", function(events)
      got:put({ events, take(reader) })
      handle:cancel()
    end)
    close(writer)
    assert.same({ "r", "" }, got:get({ timeout = 5 }))
  end)

  it("cancelled does not tell, even if it was ready already", function()
    local reader, writer = pipe()
    local called = false
    local handle = weir.watch(reader, "r", function() called = true end)
    C.write(writer, "x", 1)
    handle:cancel()
    turns()
    assert.is_false(called)
  end)

  it("ends with nil, message, EBADF when it is set on a closed descriptor", function()
    local reader = pipe()
    local got = weir.channel(1)
    local handle = weir.watch(reader, "r", function(...) got:put({ ... }) end)
    weir.sleep(0)
    close(reader)
    handle:set("r")
    assert.same({ nil, ("watch %d: Bad file descriptor"):format(reader), "EBADF" }, got:get({ timeout = 5 }))
    assert.matches("%(over%)$", tostring(handle))
    local value, message, code = weir.watch(reader, "r", print)
    assert.is_nil(value)
    assert.equal(("watch %d: Bad file descriptor"):format(reader), message)
    assert.equal("EBADF", code)
  end)

  it("outlives that its descriptor is closed in the turn in which it begins", function()
    local reader = pipe()
    local got = weir.channel(1)
    weir.watch(reader, "r", function(...) got:put({ ... }) end)
    close(reader)
    assert.equal("EBADF", got:get({ timeout = 5 })[3])
  end)

  it("ends with an error in its function, which would raise for ever", function()
    local reader, writer = pipe()
    local caught, handle = weir.channel(math.huge), nil
    weir.guard(function(raised) caught:put(raised) end, function()
      handle = weir.watch(reader, "r", function() error("no", 0) end)
    end)
    C.write(writer, "x", 1)
    assert.equal("no", caught:get({ timeout = 5 }))
    turns()
    assert.equal("ETIMEDOUT", (select(3, caught:get({ timeout = 0 }))))
    assert.matches("%(over%)$", tostring(handle))
  end)

  it("lives without its handle, and its function is let go after it", function()
    local reader, writer = pipe()
    local got = weir.channel(1)
    local weak = setmetatable({}, { __mode = "v" })
    do
      local handle
      handle = weir.watch(reader, "r", function()
        take(reader)
        got:put(true)
        handle:cancel()
      end)
      weak[1] = handle
    end
    collectgarbage()
    collectgarbage()
    C.write(writer, "x", 1)
    assert.is_true(got:get({ timeout = 5 }))
    weir.sleep(0)
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("has no descriptor of weir's own to be asked for, and says what it expects", function()
    for _, wrong in ipairs({ -1, 1.5, "x" }) do
      expect.raises("bad argument #1 to 'watch' %(a whole number, 0 or more, expected",
        function() weir.watch(wrong, "r", print) end)
    end
    expect.raises('"r", "w" or "rw" expected', function() weir.watch(0, "x", print) end)
    expect.raises("bad argument #3 to 'watch' %(function expected", function() weir.watch(0, "r") end)
    local reader = pipe()
    local handle = weir.watch(reader, "r", print)
    expect.raises("bad argument #1 to 'set'", function() handle:set("no") end)
    assert.equal(handle, handle:unref())
    assert.equal(handle, handle:ref())
    handle:cancel()
  end)
end)
