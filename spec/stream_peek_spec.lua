-- peek, unread, buffered: what is there, looked at and put back.
local expect = require("spec.support.expect")
local transports = require "spec.support.transports"

transports.each("the buffer", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  it("is looked at without waiting and without taking", function()
    assert.equal("", b:peek())
    assert.equal("", b:peek(5))
    a:write("abcdef")
    assert.equal("a", b:read_bytes(1))
    assert.equal(5, b:buffered())
    assert.equal("", b:peek(0))
    assert.equal("b", b:peek(1))
    assert.equal("bcdef", b:peek(5))
    assert.equal("bcdef", b:peek(6))
    assert.equal("bcdef", b:peek(2 ^ 53))
    assert.equal("bcdef", b:peek())
    assert.equal(5, b:buffered())
  end)

  it("is looked at while a read waits", function()
    a:write("ab")
    b:read_bytes(3, function() end)
    expect.soon(function() return b:buffered() == 2 end)
    assert.equal("ab", b:peek())
    assert.is_true(b:reading())
  end)

  it("is looked at where one cannot wait", function()
    a:write("abc")
    assert.equal("a", b:read_bytes(1))
    table.sort({ 2, 1 }, function(x, y)
      assert.equal("bc", b:peek())
      assert.is_true(b:unread(""))
      return x < y
    end)
  end)

  it("takes bytes back, in front, as often as wanted", function()
    assert.is_true(b:unread("c"))
    assert.is_true(b:unread("b"))
    assert.is_true(b:unread(""))
    assert.is_true(b:unread("\0a"))
    a:write("d\n")
    assert.equal("\0abcd\n", b:read_until("\n"))
    assert.equal(0, b:buffered())
  end)

  it("finds a delimiter that unread completes, searched before or not", function()
    for name, delimiter in pairs({ read_until = "\r\n", read_until_regex = "\r\n", lists = { "\r\n", "never" } }) do
      local read = b[name] or b.read_until
      a:write("\nwhat comes behind it")
      b:unread(b:read_bytes(21):sub(2))
      assert.equal("ETIMEDOUT", (select(3, read(b, delimiter, { timeout = 0.01 }))))
      b:unread("\n")
      b:unread("\r")
      assert.equal("\r\n", (read(b, delimiter)))
      assert.equal("what comes behind it", b:read_bytes(20))
    end
  end)

  it("takes back up to max_buffer_size, and says ENOBUFS beyond", function()
    local c, d = pair({ max_buffer_size = 10 })
    assert.is_true(d:unread("1234567890"))
    local ok, message, code = d:unread("x")
    assert.is_nil(ok)
    assert.equal("ENOBUFS", code)
    assert.matches("^unread .*max_buffer_size %(10 bytes%)$", message)
    assert.is_true(d:unread(""))
    assert.equal("1", d:read_bytes(1))
    assert.is_true(d:unread("x"))
    assert.equal("ENOBUFS", (select(3, d:unread("yz"))))
    assert.equal("x234567890", d:read_bytes(10))
    c:abort()
    d:abort()
  end)

  it("takes back after the peer's end, once more readable", function()
    a:write("abc")
    a:close()
    assert.equal("abc", b:read_until_close())
    assert.equal("EOF", (select(3, b:read_bytes(1))))
    assert.is_true(b:unread("line\nrest"))
    assert.equal("line\n", b:read_until("\n"))
    assert.equal("rest", b:read_until_close())
    assert.equal("EOF", (select(3, b:read_some())))
  end)

  it("takes back on a stream that is closed, too", function()
    a:write("abc")
    assert.equal("abc", b:read_bytes(3))
    b:close()
    assert.is_true(b:unread("abc"))
    assert.equal("abc", b:read_bytes(3))
    assert.equal("ECLOSED", (select(3, b:read_bytes(1))))
  end)

  it("refuses bytes while a read waits", function()
    b:read_bytes(1, function() end)
    expect.raises("already reading", function() b:unread("x") end)
    assert.equal(0, b:buffered())
  end)

  it("is read before anything else arrives, whatever the read", function()
    for _, case in ipairs({
      { "abc", "read_bytes", 3 }, { "abc", "read_some" }, { "abc", "read_until", "c" },
      { "abc", "read_until", { "c", "d" } }, { "abc", "read_until_regex", "a.c" },
      { "\3abc", "read_frame", "u8" },
    }) do
      local text, name, argument = unpack(case)
      b:unread(text)
      assert.equal("abc", (b[name](b, argument)))
      assert.equal(0, b:buffered())
    end
  end)
end)
