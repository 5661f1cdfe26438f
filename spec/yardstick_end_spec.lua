-- What Tornado's own tests of connecting, failing and callbacks assert
-- (iostream_test.py, TestIOStreamMixin, TestPipeIOStream and the callback tests
-- of 5.1), each fact under its name there.
local ffi = require "ffi"
local dns = require "spec.support.dns"
local faults = require "weir.faults"
local transports = require "spec.support.transports"
local weir_binary = require "spec.support.weir"

ffi.cdef [[
  int pipe(int fds[2]);
  int close(int fd);
]]

local SOON = { timeout = 10 }

-- An address where nobody listens.
local function nobody()
  local listener = assert(weir.listen("127.0.0.1:0", print))
  local address = listener:address()
  listener:close()
  return address
end

describe("Tornado's", function()
  it("connection_refused: the code says so, in every form", function()
    local stream, message, code = weir.connect(nobody(), SOON)
    assert.is_nil(stream)
    assert.matches("^connect 127%.0%.0%.1:%d+: Connection refused$", message)
    assert.equal("ECONNREFUSED", code)
    stream = weir.stream()
    assert.equal("ECONNREFUSED", (select(3, stream:connect(nobody(), SOON))))
    assert.is_true(stream:closed())
    assert.equal("ECONNREFUSED", (select(3, stream:write("x"))))
    assert.equal("ECONNREFUSED", (select(3, stream:read_bytes(1))))
  end)

  it("connection_refused_legacy: the close callback runs, with that code, after connect's", function()
    local events = weir.channel(10)
    local stream = weir.stream()
    stream:set_close_callback(function(_, code) events:put("over " .. code) end)
    stream:connect(nobody(), SOON, function(_, _, code) events:put("connect " .. code) end)
    assert.equal("connect ECONNREFUSED", events:get(SOON))
    assert.equal("over ECONNREFUSED", events:get(SOON))
  end)

  it("gaierror: a name that cannot be resolved is the reason that is told", function()
    local server = dns.serve_zone({})
    local stream, message, code = dns.with(server, weir.connect, "nobody.test:54321", SOON)
    server.close()
    assert.is_nil(stream)
    assert.equal("connect nobody.test:54321: Name not found", message)
    assert.equal("ENOTFOUND", code)
  end)

  it("write_while_connecting: accepted at once, sent when connected, answered", function()
    local events = weir.channel(10)
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write(assert(stream:read_until("\n", SOON)))
      stream:close()
    end))
    local stream = weir.stream()
    stream:connect(listener:address(), SOON, function(s) events:put(s == stream and "connected") end)
    stream:write("early\n", function() events:put("written") end)
    assert.is_true(stream:writing())
    assert.equal("connected", events:get(SOON))
    assert.equal("written", events:get(SOON))
    assert.equal("early\n", stream:read_until_close(SOON))
    listener:close()
    stream:abort()
  end)

  it("read_callback_error: it is logged, the stream closed, the close callback runs", function()
    local out, err, status = weir_binary.run({ "-e", [[
      local a, b = weir.pair()
      b:set_close_callback(function(message, code) print("over", code) end)
      b:read_bytes(1, function() error("in the callback") end)
      a:write("x")
      print(a:read_bytes(1, { timeout = 10 }) or "peer ended")
      print(b:closed())
    ]] })
    assert.equal("over\tETASK\npeer ended\ntrue\n", out)
    assert.matches("in the callback.*stack traceback", err)
    assert.matches("stream #%d", err)
    assert.equal(1, select(2, err:gsub("stack traceback", "")))
    assert.equal(1, status)
  end)

  it("pipe_iostream: one end writes, the other reads, and the end shows", function()
    local fds = ffi.new("int[2]")
    assert.equal(0, ffi.C.pipe(fds))
    local reader, writer = weir.stream(fds[0]), weir.stream(fds[1])
    writer:write("hel")
    writer:write("lo world")
    assert.equal("hello ", reader:read_until(" ", SOON))
    assert.equal("wor", reader:read_bytes(3, SOON))
    writer:close()
    assert.equal("ld", reader:read_until_close(SOON))
    reader:close()
  end)

  it("pipe_iostream_big_write: a megabyte through a pipe", function()
    local fds = ffi.new("int[2]")
    assert.equal(0, ffi.C.pipe(fds))
    local reader, writer = weir.stream(fds[0]), weir.stream(fds[1])
    local text = ("0123456789abcdef"):rep(65536)
    weir.spawn(function()
      writer:write(text)
      writer:close()
    end)
    assert.is_true(reader:read_until_close(SOON) == text)
    reader:close()
  end)
end)

transports.each("Tornado's", function(pair, kind)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  if transports.is_plain(kind) then
    it("read_until_close_with_error: what broke the read reaches its caller", function()
      faults.wrap(b, { seed = 1, reset_after = 3 })
      a:write("123456")
      local data, _, code = b:read_until_close(SOON)
      assert.is_nil(data)
      assert.equal("ECONNRESET", code)
      assert.matches("^123", b:read_some())
      assert.equal("ECONNRESET", (select(3, b:read_some(SOON))))
    end)

    it("inline_read_error: a descriptor closed underneath fails the read", function()
      ffi.C.close(b:fd())
      assert.equal("EBADF", (select(3, b:read_bytes(1, SOON))))
      assert.equal("EBADF", (select(3, b:read_bytes(1, SOON))))
    end)

    it("async_read_error_logging: a read that waits is told once, and nothing is printed", function()
      local codes = weir.channel(10)
      b:set_close_callback(function(_, code) codes:put("over " .. code) end)
      faults.wrap(b, { seed = 1, reset_after = 3 })
      b:read_bytes(10, function(_, _, code) codes:put("read " .. code) end)
      a:write("123456")
      assert.equal("read ECONNRESET", codes:get(SOON))
      assert.equal("over ECONNRESET", codes:get(SOON))
      assert.is_true(b:closed())
      assert.equal("123", b:read_bytes(3))
    end)
  end

  it("future_write: ten producers, each waiting for its own writes, none forgotten", function()
    local tasks = {}
    for i = 0, 9 do
      local block, to = tostring(i):rep(5000), a
      tasks[i + 1] = weir.spawn(function()
        local done = 0
        for _ = 1, 50 do
          assert(to:write(block))
          assert(to:flush())
          done = done + 1
        end
        return done
      end)
    end
    local counts = {}
    for _ = 1, 500 do
      local block = assert(b:read_bytes(5000, SOON))
      local digit = block:sub(1, 1)
      assert.is_true(block == digit:rep(5000))
      counts[digit] = (counts[digit] or 0) + 1
    end
    for i, done in ipairs(assert(weir.all(tasks, SOON))) do
      assert.equal(50, done)
      assert.equal(50, counts[tostring(i - 1)])
    end
  end)

  it("delayed_close_callback: both chunks, and then the close callback", function()
    local events = weir.channel(10)
    b:set_close_callback(function(_, code) events:put(code) end)
    a:write("12")
    b:read_bytes(1, function(first)
      events:put(first)
      b:read_bytes(1, function(second) events:put(second) end)
      a:close()
    end)
    assert.equal("1", events:get(SOON))
    assert.equal("2", events:get(SOON))
    assert.equal("EOF", events:get(SOON))
  end)

  it("read_until_max_bytes_inline_legacy: told once, and the stream stays open", function()
    a:write("123456")
    assert.equal("123456", b:read_bytes(6, SOON))
    b:unread("123456")
    local calls = {}
    b:read_until("def", { max = 5 }, function(...) calls[#calls + 1] = { ... } end)
    for _ = 1, 5 do weir.sleep(0) end
    assert.equal(1, #calls)
    assert.equal("EMSGSIZE", calls[1][3])
    assert.is_false(b:closed())
  end)

  it("streaming_callback_with_data_in_buffer: what is buffered comes first, then the rest", function()
    a:write("abcd\r\nefgh")
    assert.equal("abcd\r\n", b:read_until("\r\n", SOON))
    a:write("ijkl")
    a:close()
    local text = ""
    while true do
      local data, _, code = b:read_some(SOON)
      if not data then
        assert.equal("EOF", code)
        break
      end
      text = text .. data
    end
    assert.equal("efghijkl", text)
  end)

  it("streaming_callback: six in pieces, and the next read goes on behind", function()
    a:write("1234")
    a:flush()
    local text = ""
    weir.spawn(function() a:write("5678") end)
    while #text < 6 do text = text .. assert(b:read_bytes(6 - #text, { partial = true, timeout = 10 })) end
    assert.equal("123456", text)
    assert.equal("78", b:read_bytes(2, SOON))
  end)
end)
