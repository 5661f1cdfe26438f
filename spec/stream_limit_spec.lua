-- max and max_buffer_size (R6), and what they bound (R7).
local expect = require "spec.support.expect"
local transports = require "spec.support.transports"

transports.each("limits", function(pair)
  local a, b
  local pair_with, abort_all = transports.keeping(pair)
  before_each(function() a, b = pair_with() end)
  after_each(abort_all)

  local function fails(code, data, message, got)
    assert.is_nil(data)
    assert.equal(code, got)
    assert.is_string(message)
    assert.is_false(b:closed())
    assert.is_false(b:reading())
  end

  -- Everything at once and byte by byte must end alike.
  local function both_ways(text, check)
    a:write(text)
    check()
    local task = weir.spawn(function()
      for at = 1, #text do
        a:write(text:sub(at, at))
        a:flush()
        weir.sleep(0)
      end
    end)
    check()
    task:join()
  end

  it("max counts through the end of the delimiter: 6 is enough for 6, 5 is not", function()
    both_ways("abcd\r\n", function()
      fails("EMSGSIZE", b:read_until("\r\n", { max = 5, timeout = 5 }))
      fails("EMSGSIZE", b:read_until({ "\r\n", "x" }, { max = 5, timeout = 5 }))
      fails("EMSGSIZE", b:read_until("\r\n", { max = 5, inclusive = false, timeout = 5 }))
      assert.equal("abcd\r\n", b:read_until("\r\n", { max = 6, timeout = 5 }))
    end)
  end)

  it("max is exceeded by a delimiter that comes later, in one packet with it or not", function()
    both_ways("abcdef\n", function()
      fails("EMSGSIZE", b:read_until("\n", { max = 3, timeout = 5 }))
      assert.equal("abcdef\n", b:read_until("\n", { max = 50, timeout = 5 }))
    end)
  end)

  it("no read can bring more than a Lua string holds, whatever max_buffer_size", function()
    a, b = pair_with({ max_buffer_size = 2 ^ 40 })
    a:write("abc")
    local data, message, code = b:read_bytes(2 ^ 31, { timeout = 5 })
    fails("ENOBUFS", data, message, code)
    assert.matches("max_buffer_size %(2147418112 bytes%)$", message)
    assert.equal("ETIMEDOUT", (select(3, b:read_bytes(2147418112, { timeout = 0.01 }))))
    assert.equal("abc", b:read_bytes(3))
  end)

  it("a read fails as soon as it cannot succeed any more, and no sooner", function()
    a:write("abcd")
    assert.equal("a", b:read_bytes(1))
    -- "bcd" leaves room for one byte: a delimiter of two does not fit.
    fails("EMSGSIZE", b:read_until("\r\n", { max = 4, timeout = 5 }))
    assert.equal("ETIMEDOUT", (select(3, b:read_until("\n", { max = 4, timeout = 0.01 }))))
    assert.equal("ETIMEDOUT", (select(3, b:read_until("\r\n", { max = 5, timeout = 0.01 }))))
    a:write("\r")
    assert.equal("ETIMEDOUT", (select(3, b:read_until("\r\n", { max = 5, timeout = 0.01 }))))
    fails("EMSGSIZE", b:read_until("\n", { max = 4, timeout = 5 }))
    a:write("\n")
    assert.equal("bcd\r\n", b:read_until("\r\n", { max = 5, timeout = 5 }))
    fails("EMSGSIZE", b:read_until("\n", { max = 0, timeout = 5 }))
    fails("EMSGSIZE", b:read_until("\r\n", { max = 1, timeout = 5 }))
  end)

  it("max bounds read_bytes at once, 0 included", function()
    fails("EMSGSIZE", b:read_bytes(11, { max = 10, timeout = 5 }))
    fails("EMSGSIZE", b:read_bytes(1, { max = 0, timeout = 5 }))
    assert.equal("", b:read_bytes(0, { max = 0 }))
    a:write("1234567890")
    assert.equal("1234567890", b:read_bytes(10, { max = 10 }))
  end)

  it("max bounds read_some and a partial read_bytes without failing", function()
    a:write("hello")
    assert.equal("he", b:read_some({ max = 2 }))
    assert.equal("l", b:read_bytes(50, { partial = true, max = 1 }))
    assert.equal("lo", b:read_bytes(50, { partial = true }))
    assert.equal("", b:read_bytes(0, { partial = true }))
    a:write("world")
    assert.equal("wor", b:read_bytes(3, { partial = true }))
    assert.equal("ld", b:read_some())
  end)

  it("max fails read_until_close with the first byte too many", function()
    a:write("123456")
    fails("EMSGSIZE", b:read_until_close({ max = 5, timeout = 5 }))
    a:close()
    fails("EMSGSIZE", b:read_until_close({ max = 5, timeout = 5 }))
    assert.equal("123456", b:read_until_close({ max = 6, timeout = 5 }))
    assert.equal("", b:read_until_close({ max = 0, timeout = 5 }))
  end)

  it("a callback hears of it later, not in the call", function()
    a:write("abcdef\n")
    assert.equal("a", b:read_bytes(1))
    local results
    b:read_until("\n", { max = 2 }, function(...) results = { ... } end)
    assert.is_nil(results)
    weir.sleep(0)
    assert.equal("EMSGSIZE", results[3])
    assert.is_nil(results[1])
    assert.equal("bcdef\n", b:read_until("\n"))
  end)

  it("a match that ends exactly at max_buffer_size succeeds", function()
    a, b = pair_with({ max_buffer_size = 8 })
    both_ways("123456\r\n", function()
      assert.equal("123456\r\n", b:read_until("\r\n", { timeout = 5 }))
    end)
    a:write("12345678")
    assert.equal("12345678", b:read_bytes(8, { timeout = 5 }))
    a:write("1234567;")
    assert.equal("1234567;", b:read_until_regex(";", { timeout = 5 }))
    a:write("\7abcdefg")
    assert.equal("abcdefg", b:read_frame("u8", { timeout = 5 }))
  end)

  it("a full buffer without a match fails with ENOBUFS, bytes kept", function()
    a, b = pair_with({ max_buffer_size = 8 })
    both_ways("12345678", function()
      fails("ENOBUFS", b:read_until("\n", { timeout = 5 }))
      fails("ENOBUFS", b:read_until({ "\n", ";" }, { timeout = 5 }))
      fails("ENOBUFS", b:read_until_regex("\\n", { timeout = 5 }))
      fails("ENOBUFS", b:read_bytes(9, { timeout = 5 }))
      fails("ENOBUFS", b:read_until("\n", { max = 9, timeout = 5 }))
      fails("EMSGSIZE", b:read_until("\n", { max = 8, timeout = 5 }))
      fails("EMSGSIZE", b:read_until("\n", { max = 7, timeout = 5 }))
      assert.equal("12345678", b:read_bytes(8))
    end)
  end)

  it("read_bytes beyond max_buffer_size fails at once", function()
    a, b = pair_with({ max_buffer_size = 8 })
    fails("ENOBUFS", b:read_bytes(9))
    fails("ENOBUFS", b:read_bytes(9, { max = 9 }))
    fails("EMSGSIZE", b:read_bytes(9, { max = 8 }))
    fails("EMSGSIZE", b:read_bytes(9, { max = 7 }))
    fails("ENOBUFS", b:read_bytes(2 ^ 53))
  end)

  it("read_until_close takes exactly max_buffer_size, and fails beyond", function()
    a, b = pair_with({ max_buffer_size = 8 })
    a:write("12345678")
    a:close()
    assert.equal("12345678", b:read_until_close({ timeout = 5 }))
    a, b = pair_with({ max_buffer_size = 8 })
    a:write("123456789")
    a:close()
    fails("ENOBUFS", b:read_until_close({ timeout = 5 }))
    assert.equal("12345678", b:read_bytes(8))
    assert.equal("9", b:read_until_close())
  end)

  it("max_buffer_size of 1 is one byte at a time", function()
    a, b = pair_with({ max_buffer_size = 1 })
    weir.spawn(function() a:write("ab\n") end)
    assert.equal("a", b:read_bytes(1, { timeout = 5 }))
    fails("ENOBUFS", b:read_until("\n", { timeout = 5 }))
    assert.equal("b", b:read_some({ timeout = 5 }))
    assert.equal("\n", b:read_until("\n", { timeout = 5 }))
  end)

  it("small reads empty a large flow through a small buffer", function()
    a, b = pair_with({ max_buffer_size = 10240 })
    weir.spawn(function() a:write(("x"):rep(102400)) end)
    for _ = 1, 100 do assert.equal(1024, #b:read_bytes(1024, { timeout = 5 })) end
    weir.spawn(function() a:write((("y"):rep(1023) .. "\n"):rep(100)) end)
    for _ = 1, 100 do assert.equal(1024, #b:read_until("\n", { max = 4096, timeout = 5 })) end
  end)

  it("no more is buffered than a read needs plus one chunk", function()
    a, b = pair_with({ read_chunk_size = 1024 })
    local to, block = a, ("x"):rep(1048576)
    local writer = weir.spawn(function()
      for _ = 1, 64 do
        if not to:write(block) then return end
      end
    end)
    assert.equal(1, #b:read_bytes(1, { timeout = 5 }))
    assert.is_true(b:buffered() <= 1024)
    assert.equal(10000, #b:read_bytes(10000, { timeout = 5 }))
    assert.is_true(b:buffered() <= 1024)
    fails("EMSGSIZE", b:read_until("\n", { max = 20000, timeout = 5 }))
    assert.is_true(b:buffered() <= 20000 + 1024)
    for _ = 1, 50 do weir.sleep(0) end
    assert.is_true(b:buffered() <= 20000 + 1024)
    assert.equal("waiting", writer:status())
    writer:cancel()
  end)

  it("one that nobody reads from is not read, a slow reader holds the sender", function()
    a, b = pair_with({ max_buffer_size = 5 * 1024 * 1024, high_water = 65536 })
    local sent = 0
    local writer = weir.spawn(function()
      for _ = 1, 10 * 16 do
        a:write(("x"):rep(65536))
        sent = sent + 65536
      end
    end)
    for _ = 1, 100 do weir.sleep(0) end
    assert.equal(0, b:buffered())
    assert.equal(1048576, #b:read_bytes(1048576, { timeout = 5 }))
    local before = sent
    for _ = 1, 100 do weir.sleep(0) end
    assert.is_true(b:buffered() <= 65536)
    assert.is_true(sent < 10 * 1048576)
    assert.is_true(sent >= before)
    for _ = 2, 10 do assert.equal(1048576, #b:read_bytes(1048576, { timeout = 5 })) end
    writer:join({ timeout = 5 })
  end)

  it("one that is only watched for its end holds a chunk, and no more", function()
    a, b = pair_with({ read_chunk_size = 1000 })
    b:set_close_callback(function() end)
    a:write(("x"):rep(700))
    a:flush()
    weir.sleep(0)
    a:write(("x"):rep(100000), function() end)
    expect.soon(function() return b:buffered() >= 1000 end)
    for _ = 1, 20 do weir.sleep(0) end
    assert.equal(1000, b:buffered())
    assert.equal(100700, #b:read_bytes(100700))
  end)

  it("chunks of one byte bring everything, too", function()
    a, b = pair_with({ read_chunk_size = 1 })
    a:write("line\r\n" .. ("x"):rep(200))
    a:close()
    assert.equal("line\r\n", b:read_until("\r\n", { timeout = 5 }))
    assert.equal(("x"):rep(200), b:read_until_close({ timeout = 5 }))
  end)

  it("read_chunk_size is never more than max_buffer_size", function()
    a, b = pair_with({ max_buffer_size = 100, read_chunk_size = 65536 })
    weir.spawn(function() a:write(("x"):rep(5000)) end)
    assert.equal("x", b:read_bytes(1, { timeout = 5 }))
    assert.is_true(b:buffered() <= 100)
    for _ = 1, 49 do
      assert.equal(100, #b:read_bytes(100, { timeout = 5 }))
      assert.is_true(b:buffered() <= 100)
    end
  end)
end)
