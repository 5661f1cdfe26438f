-- What becomes of streams and descriptors: closed on exec, collected, reused
-- (R18, R19, T-13, T-14).
local ffi = require "ffi"
local descriptors = require "spec.support.descriptors"
local transports = require "spec.support.transports"
local weir_binary = require "spec.support.weir"

ffi.cdef("int fcntl(int fd, int command, ...);")

local F_GETFD, FD_CLOEXEC = 1, 1
local SOON = { timeout = 10 }

local function collect()
  collectgarbage()
  collectgarbage()
end

-- A pair of which one has this descriptor, which is free.
local function pair_with(number)
  local others = {}
  while true do
    local c, d = weir.pair()
    if c:fd() == number or d:fd() == number then
      for _, stream in ipairs(others) do stream:abort() end
      return c, d
    end
    assert.is_true(c:fd() < number or d:fd() < number, number .. " is not free")
    others[#others + 1], others[#others + 2] = c, d
  end
end

transports.each("a stream", function(pair, kind)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  it("has a descriptor that is closed on exec", function()
    for _, stream in ipairs({ a, b }) do
      assert.equal(FD_CLOEXEC, ffi.C.fcntl(stream:fd(), F_GETFD))
    end
  end)

  it("is not collected while a read waits, or a close callback", function()
    local events = weir.channel(10)
    do
      local c, d = pair()
      d:read_bytes(1, function(data) events:put(data) end)
      local other = c
      weir.after(0.01, function() other:write("x") end)
    end
    collect()
    assert.equal("x", events:get(SOON))
    do
      local c, d = pair()
      d:set_close_callback(function(_, code) events:put(code) end)
      local other = c
      weir.after(0.01, function() other:close() end)
    end
    collect()
    assert.equal("EOF", events:get(SOON))
  end)

  it("leaves no descriptor open, however it ends", function()
    local function use(way)
      local c, d = pair()
      c:write("x")
      if way == "abort" then
        c:abort()
        d:abort()
      elseif way == "close" then
        c:close()
        d:read_until_close(SOON)
        d:close()
      elseif way == "pending" then
        d:read_bytes(5, function() end)
        d:abort()
        c:read_some(SOON)
        c:abort()
      end
    end
    local before = descriptors.settled()
    for _, way in ipairs({ "abort", "close", "pending", "forget" }) do
      for _ = 1, 20 do use(way) end
    end
    -- The forgotten ones, and what closes behind its back, take a while.
    local left
    for _ = 1, 1000 do
      left = descriptors.count()
      if left <= before then break end
      collect()
      weir.sleep(0.01)
    end
    assert.is_true(left <= before, ("%d left of %d"):format(left, before))
  end)

  if transports.is_plain(kind) then
    it("that is closed leaves its number to another, which hears nothing of it", function()
      local codes = {}
      b:read_bytes(1, function(_, _, code) codes[#codes + 1] = code end)
      weir.spawn(function()
        local _, _, code = b:write(("x"):rep(20000000))
        codes[#codes + 1] = code
      end)
      weir.sleep(0)
      local number = b:fd()
      b:abort()
      weir.sleep(0)
      local c, d = pair_with(number)
      local got = {}
      c:read_some(function(data) got[#got + 1] = data end)
      d:read_some(function(data) got[#got + 1] = data end)
      for _ = 1, 5 do weir.sleep(0) end
      assert.same({}, got)
      c:write("to d")
      d:write("to c")
      for _ = 1, 10 do weir.sleep(0) end
      table.sort(got)
      assert.same({ "to c", "to d" }, got)
      assert.same({ "ECLOSED", "ECLOSED" }, codes)
      c:abort()
      d:abort()
    end)
  end
end)

describe("an error in a stream's callback", function()
  local function run(chunk)
    return weir_binary.run({ "-e", chunk })
  end

  local PRELUDE = [[
    local a, b = weir.pair()
    b:set_close_callback(function(_, code) print("over", code) end)
  ]]

  for name, chunk in pairs({
    read = [[b:read_bytes(1, function() error("boom") end) a:write("x")]],
    write = [[b:write("x", function() error("boom") end)]],
    flush = [[b:write("x") b:flush(function() error("boom") end)]],
    ["failed read"] = [[b:read_bytes(5, { max = 1 }, function() error("boom") end)]],
    ["wait in a read"] = [[b:read_bytes(1, function()
      b:read_bytes(1)
      error("boom")
    end) a:write("xy")]],
  }) do
    it(("(%s) is reported once and closes that stream; the host goes on"):format(name), function()
      local out, err, status = run(PRELUDE .. chunk .. [[
        print(select(3, a:read_until("never", { timeout = 10 })))
        local c, d = weir.pair()
        c:write("others live")
        print(b:closed(), d:read_some())
      ]])
      assert.matches("over%s+ETASK", out)
      assert.matches("true%s+others live", out)
      assert.equal(1, select(2, err:gsub("boom", "")))
      assert.equal(1, select(2, err:gsub("stack traceback", "")))
      assert.matches("stream #2", err)
      assert.equal(1, status)
    end)
  end

  it("(close callback) is reported, and the host goes on", function()
    local out, err, status = run([[
      local a, b = weir.pair()
      b:set_close_callback(function() error("boom") end)
      b:close()
      weir.sleep(0)
      print("goes on")
    ]])
    assert.equal("goes on\n", out)
    assert.matches("boom", err)
    assert.equal(1, status)
  end)

  it("(handler) closes the connection, and others are served", function()
    local out, err, status = run([[
      local listener = weir.listen("127.0.0.1:0", function(stream)
        local line = stream:read_until("\n")
        if line == "bad\n" then error("boom") end
        stream:write("good")
        stream:close()
      end)
      for _, line in ipairs({ "bad\n", "fine\n" }) do
        local stream = weir.connect(listener:address())
        stream:write(line)
        print(#stream:read_until_close({ timeout = 10 }))
      end
      listener:close()
    ]])
    assert.equal("0\n4\n", out)
    assert.matches("boom", err)
    assert.matches("stream #%d", err)
    assert.equal(1, status)
  end)

  it("names the stream also when that has been collected", function()
    local _, err, status = run([[
      do
        local a, b = weir.pair()
        b:read_bytes(1, function()
          collectgarbage()
          collectgarbage()
          error("boom")
        end)
        a:write("x")
      end
    ]])
    assert.matches("uncaught error on stream #2 %(unix, %w+%)", err)
    assert.equal(1, status)
  end)

  it("(of any kind of value) is told in one line and a traceback", function()
    for _, raise in ipairs({ "error()", "error({})", "error(setmetatable({}, { __tostring = function() "
      .. "return 'an object' end }))", "error(5)", "local x = nil .. 'x'" }) do
      local _, err, status = run(([[
        local a, b = weir.pair()
        b:read_bytes(1, function() %s end)
        a:write("x")
      ]]):format(raise))
      assert.matches("uncaught error on stream #2", err)
      assert.equal(1, status)
    end
  end)
end)
