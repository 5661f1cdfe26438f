-- What Tornado's own tests of reading and writing assert (iostream_test.py,
-- TestIOStreamWebMixin and TestReadWriteMixin), each fact under its name there.
local transports = require "spec.support.transports"

local SOON = { timeout = 10 }

-- What is on its way arrives.
local function turns()
  for _ = 1, 5 do weir.sleep(0) end
end

transports.each("Tornado's", function(pair)
  local a, b
  local pair_with, abort_all = transports.keeping(pair)
  before_each(function() a, b = pair_with() end)
  after_each(abort_all)

  -- Answers one request on `a` as an HTTP/1.0 server does.
  local function serve(body)
    local server = a
    weir.spawn(function()
      if not server:read_until("\r\n\r\n", SOON) then return end
      server:write({ "HTTP/1.1 200 OK\r\nContent-Length: ", #body, "\r\n\r\n", body })
      server:close()
    end)
  end

  it("connection_closed: all data comes before the close takes effect", function()
    serve("Hello")
    local events = {}
    local over = weir.channel(1)
    b:set_close_callback(function(_, code) events[#events + 1] = code over:put(true) end)
    b:write("GET / HTTP/1.0\r\n\r\n")
    b:read_until_close(SOON, function(data) events[#events + 1] = data end)
    over:get(SOON)
    assert.equal(2, #events)
    assert.matches("^HTTP/1.1 200 OK.*Hello$", events[1])
    assert.equal("EOF", events[2])
  end)

  it("read_until_close: starts with the status, ends with the body", function()
    serve(("x"):rep(100000) .. "end")
    b:write("GET / HTTP/1.0\r\n\r\n")
    local data = b:read_until_close(SOON)
    assert.equal("HTTP/1.1 200", data:sub(1, 12))
    assert.equal("xend", data:sub(-4))
  end)

  it("read_zero_bytes: nine, none, three", function()
    serve("Hello")
    b:write("GET / HTTP/1.0\r\n\r\n")
    assert.equal("HTTP/1.1 ", b:read_bytes(9, SOON))
    assert.equal("", b:read_bytes(0, SOON))
    assert.equal("200", b:read_bytes(3, SOON))
    assert.equal("Hello", b:read_until_close(SOON):sub(-5))
  end)

  it("future_interface: write and reads follow each other", function()
    serve("Hello")
    assert.is_true(b:write("GET / HTTP/1.0\r\n\r\n"))
    assert.equal("HTTP/1.1 200 OK\r\n", b:read_until("\r\n", SOON))
    local headers = b:read_until("\r\n\r\n", SOON)
    assert.equal("Hello", b:read_bytes(tonumber(headers:match("Length: (%d+)")), SOON))
  end)

  it("future_close_while_reading: read_bytes of a megabyte, the peer ends early", function()
    serve("Hello")
    b:write("GET / HTTP/1.0\r\n\r\n")
    local data, message, code = b:read_bytes(1024 * 1024, SOON)
    assert.is_nil(data)
    assert.matches("^read_bytes ", message)
    assert.equal("EOF", code)
    assert.is_true(b:buffered() > 5)
  end)

  it("future_read_until_close: the data, and then a read fails at once", function()
    a:write("data")
    a:close()
    assert.equal("data", b:read_until_close(SOON))
    local turned = false
    weir.defer(function() turned = true end)
    assert.equal("EOF", (select(3, b:read_bytes(1))))
    assert.is_false(turned)
  end)

  it("write_zero_bytes: completes, and nothing spins", function()
    local done = weir.channel(1)
    assert.is_true(a:write(""))
    a:write("", function(...) done:put({ ... }) end)
    assert.same({ true }, done:get(SOON))
    assert.is_false(a:writing())
    a:write("x")
    assert.equal("x", b:read_bytes(1, SOON))
  end)

  it("future_delayed_close_callback: what had come is read after the peer closed", function()
    local over = weir.channel(1)
    b:set_close_callback(function(_, code) over:put(code) end)
    a:write("12")
    assert.equal("1", b:read_bytes(1, SOON))
    a:close()
    turns()
    assert.equal("2", b:read_bytes(1, SOON))
    assert.equal("EOF", over:get(SOON))
  end)

  it("close_buffered_data: the half that is not buffered comes from the kernel", function()
    a, b = pair_with({ read_chunk_size = 256 })
    a:write(("A"):rep(512))
    assert.equal(("A"):rep(256), b:read_bytes(256, SOON))
    a:close()
    turns()
    assert.equal(("A"):rep(256), b:read_bytes(256, SOON))
    assert.equal("EOF", (select(3, b:read_bytes(1, SOON))))
  end)

  it("read_until_close_after_close: what is left", function()
    a:write("1234")
    assert.equal("1", b:read_bytes(1, SOON))
    a:close()
    turns()
    assert.equal("234", b:read_until_close(SOON))
  end)

  it("large_read_until: 4096 writes of 1 KiB, and then the delimiter", function()
    local writer, block = a, ("a"):rep(1024)
    weir.spawn(function()
      for _ = 1, 4096 do writer:write(block) end
      writer:write("\r\n")
    end)
    assert.equal(1024 * 4096 + 2, #b:read_until("\r\n", { timeout = 30 }))
  end)

  it("read_until_with_close_after_second_packet: the end of a read beyond 2048 bytes", function()
    local got = weir.channel(1)
    b:read_until("done", SOON, function(data) got:put(data) end)
    a:write(("x"):rep(2048))
    a:flush()
    turns()
    a:write("done")
    a:close()
    assert.equal(2052, #got:get(SOON))
  end)

  it("read_until_unsatisfied_after_close: EOF, whatever came", function()
    local got = weir.channel(1)
    b:read_until("done", SOON, function(_, _, code) got:put(code) end)
    a:write(("x"):rep(2048))
    a:flush()
    turns()
    a:write("foo")
    a:close()
    assert.equal("EOF", got:get(SOON))
    assert.equal(2051, #b:read_until_close())
  end)

  it("close_callback_with_pending_read: it runs, after the read was told", function()
    local events = weir.channel(10)
    b:set_close_callback(function(_, code) events:put("closed " .. code) end)
    a:write("OK\r\n")
    assert.equal("OK\r\n", b:read_until("\r\n", SOON))
    b:read_until("\r\n", function(_, _, code) events:put("read " .. code) end)
    a:close()
    assert.equal("read EOF", events:get(SOON))
    assert.equal("closed EOF", events:get(SOON))
  end)

  it("future_close_callback: an idle stream notices the end, and not before", function()
    local over = weir.channel(1)
    b:set_close_callback(function(_, code) over:put(code) end)
    a:write("x")
    assert.equal("x", b:read_bytes(1, SOON))
    assert.equal("ETIMEDOUT", (select(3, over:get({ timeout = 0.02 }))))
    a:close()
    assert.equal("EOF", over:get(SOON))
  end)

  it("read_bytes_partial: 50 of five, three of five, none", function()
    a:write("hello")
    assert.equal("hello", b:read_bytes(5, SOON))
    a:write("hello")
    a:flush()
    local got = b:read_bytes(50, { partial = true, timeout = 10 })
    while #got < 5 do got = got .. b:read_bytes(50, { partial = true, timeout = 10 }) end
    assert.equal("hello", got)
    a:write("world")
    assert.equal("wo", b:read_bytes(2, SOON))
    b:unread("wo")
    assert.equal("wo", b:read_bytes(3, { partial = true, timeout = 10 }):sub(1, 2))
    assert.equal("", b:read_bytes(0, { partial = true }))
  end)

  for name, read in pairs({
    read_until = function(stream, options, ...) return stream:read_until("def", options, ...) end,
    read_until_regex = function(stream, options, ...) return stream:read_until_regex("def", options, ...) end,
  }) do
    it(name .. "_max_bytes: 50 will do, 6 exactly, 5 will not", function()
      for _, max in ipairs({ 50, 6 }) do
        a:write("abcdef")
        assert.equal("abcdef", read(b, { max = max, timeout = 10 }))
      end
      local task = weir.spawn(function() return read(b, { max = 5, timeout = 10 }) end)
      weir.sleep(0)
      a:write("123456")
      assert.equal("EMSGSIZE", (select(3, task:join())))
      assert.is_false(b:closed())
      assert.equal("123456", b:read_bytes(6, SOON))
    end)

    it(name .. "_max_bytes_inline: data that is there fails the same way, not inside the call", function()
      a:write("123456")
      assert.equal("123456", b:read_bytes(6, SOON))
      b:unread("123456")
      local got
      read(b, { max = 5 }, function(...) got = { ... } end)
      assert.is_nil(got)
      weir.sleep(0)
      assert.equal("EMSGSIZE", got[3])
    end)

    it(name .. "_max_bytes_ignores_extra: a delimiter that ends beyond it is none", function()
      a:write("abcdef")
      assert.equal("EMSGSIZE", (select(3, read(b, { max = 5, timeout = 10 }))))
      assert.equal("abcdef", b:read_bytes(6, SOON))
    end)
  end

  it("small_reads_from_large_buffer and small_read_untils: no overflow", function()
    a, b = pair_with({ max_buffer_size = 10 * 1024 })
    local writer = a
    weir.spawn(function()
      writer:write(("a"):rep(1024 * 100))
      for _ = 1, 100 do writer:write(("a"):rep(1023) .. "\n") end
    end)
    for _ = 1, 100 do assert.equal(("a"):rep(1024), b:read_bytes(1024, SOON)) end
    for _ = 1, 100 do
      assert.equal(("a"):rep(1023) .. "\n", b:read_until("\n", { max = 4096, timeout = 10 }))
    end
  end)

  it("flow_control: a megabyte of ten, a pause, then the other nine", function()
    local MB = 1024 * 1024
    a, b = pair_with({ max_buffer_size = 5 * MB })
    local writer = a
    weir.spawn(function() writer:write(("a"):rep(10 * MB)) end)
    assert.equal(MB, #b:read_bytes(MB, SOON))
    for _ = 1, 100 do weir.sleep(0) end
    assert.is_true(b:buffered() <= 65536)
    for _ = 1, 9 do assert.equal(MB, #b:read_bytes(MB, SOON)) end
  end)
end)
