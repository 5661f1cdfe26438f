-- Whatever a task waits in can be cancelled and timed out: nil, message, code
-- come back, bytes and slots are as before, and the stream stays usable (R25).
local expect = require("spec.support.expect")
local transports = require("spec.support.transports")

local ffi = require("ffi")

-- Operations that wait on a stream whose peer sends "12" and reads nothing.
local READS = {
  read_bytes = function(stream, options) return stream:read_bytes(100, options) end,
  read_until = function(stream, options) return stream:read_until("\n", options) end,
  read_until_list = function(stream, options) return stream:read_until({ "\n", "x" }, options) end,
  read_until_regex = function(stream, options) return stream:read_until_regex("[a-z]+\n", options) end,
  read_until_close = function(stream, options) return stream:read_until_close(options) end,
  read_frame = function(stream, options) return stream:read_frame("u16be", options) end,
  read_into = function(stream, options) return stream:read_into(ffi.new("char[100]"), 100, options) end,
}
local WRITES = {
  write = function(stream, options) return stream:write("more", options) end,
  flush = function(stream, options) return stream:flush(options) end,
  shutdown = function(stream, options) return stream:shutdown(options) end,
  send_file = function(stream, options) return stream:send_file("/etc/passwd", options) end,
}

local function waiting(f, ...)
  local task = weir.spawn(f, ...)
  weir.sleep(0)
  assert.equal("waiting", task:status())
  return task
end

local function assert_code(code, value, message, got)
  assert.is_nil(value)
  assert.is_string(message)
  assert.equal(code, got)
end

-- f(options) fails in each way that something else may fail it.
local function fails_in_every_way(f)
  local task = waiting(f)
  task:cancel()
  assert_code("ECANCELED", task:join())
  assert_code("ETIMEDOUT", f({ timeout = 0.001 }))
  assert_code("ETIMEDOUT", weir.deadline(0.001, f))
end

transports.each("a read that is cancelled or timed out", function(pair)
  for name, read in pairs(READS) do
    it("leaves bytes and slot: " .. name, function()
      local a, b = pair()
      b:write("12")
      b:flush()
      expect.soon(function()
        a:read_bytes(3, { timeout = 0.001 })
        return a:buffered() == 2
      end)
      fails_in_every_way(function(options) return read(a, options) end)
      assert.is_false(a:reading())
      assert.equal("12", a:peek())
      b:write("34")
      assert.equal("1234", a:read_bytes(4, { timeout = 5 }))
      a:abort()
      b:abort()
    end)
  end
end)

transports.each("a write that is cancelled or timed out", function(pair)
  for name, write in pairs(WRITES) do
    it("keeps what is queued, and its order: " .. name, function()
      local a, b = pair({ high_water = 1 })
      local big = ("x"):rep(8388608)
      a:write(big, function() end)
      fails_in_every_way(function(options) return write(a, options) end)
      local got = b:read_bytes(#big, { timeout = 30 })
      assert.is_true(got == big)
      if name == "write" then assert.equal("moremoremore", b:read_bytes(12, { timeout = 5 })) end
      if name ~= "shutdown" then assert.is_true(a:write("y", { timeout = 5 })) end
      a:abort()
      b:abort()
    end)
  end
end)

it("a TLS handshake that is cancelled ends the stream", function()
  local accepted, told = weir.channel(1), weir.channel(1)
  local listener = weir.listen("127.0.0.1:0", function(stream)
    accepted:put(true)
    told:put((select(3, stream:read_bytes(1000000, { timeout = 10 }))))
  end)
  local stream = weir.stream()
  local task = weir.spawn(function()
    return stream:connect(listener:address(), { tls = { verify = false } })
  end)
  accepted:get({ timeout = 5 })
  assert.equal("waiting", task:status())
  task:cancel()
  assert_code("ECANCELED", task:join())
  assert.is_true(stream:closed())
  assert.matches("^ECONNRESET$", (told:get({ timeout = 10 }):gsub("EOF", "ECONNRESET")))
  assert.equal("ETIMEDOUT", (select(3, weir.connect(listener:address(),
    { tls = { verify = false }, connect_timeout = 0.01 }))))
  listener:close()
end)

describe("what has no stream", function()
  it("is cancelled and timed out too", function()
    local channel, full = weir.channel(), weir.channel(1)
    full:put(1)
    local never = weir.spawn(function() channel:get() end)
    local operations = {
      function(options) return channel:get(options) end,
      function(options) return full:put(2, options) end,
      function(options) return never:join(options) end,
      function(options) return weir.any({ never }, options) end,
      function(options) return weir.all({ never }, options) end,
      function(options) return weir.udp("127.0.0.1:0"):receive(options) end,
    }
    for _, operation in ipairs(operations) do fails_in_every_way(operation) end
    never:cancel()
    never:join()
    assert.equal(1, full:get())
  end)

  it("a process's end may be waited for again", function()
    local process = weir.process({ "cat" })
    fails_in_every_way(function(options) return process:wait(options) end)
    process.stdin:close()
    assert.same({ "exit", 0 }, { process:wait({ timeout = 5 }) })
  end)
end)
