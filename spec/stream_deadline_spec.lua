-- Timeouts and cancelling: bytes, order and slot stay (R4, R25, R37, T-3).
local ffi = require "ffi"
local expect = require("spec.support.expect")
local transports = require "spec.support.transports"

local SOON = { timeout = 10 }

transports.each("a deadline", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  local READS = {
    { "read_until", { "\n" }, "ab", "c\n", "abc\n" },
    { "read_until", { { "\n", ";" } }, "ab", "c\n", "abc\n" },
    { "read_until_regex", { "c\\n" }, "ab", "c\n", "abc\n" },
    { "read_bytes", { 4 }, "ab", "c\n", "abc\n" },
    { "read_frame", { "u8" }, "\3ab", "c", "abc" },
  }

  local function each_read(f)
    for _, read in ipairs(READS) do f(unpack(read)) end
    f("read_some", {}, "", "abc\n", "abc\n")
  end

  it("of a read leaves every byte and the slot, and says what was tried", function()
    each_read(function(name, arguments, first, second, expected)
      a:write(first)
      local options = { timeout = 0.005 }
      local list = { unpack(arguments) }
      list[#list + 1] = options
      local data, message, code = b[name](b, unpack(list))
      assert.is_nil(data)
      assert.equal("ETIMEDOUT", code)
      assert.matches("^" .. name .. " .+: timed out after 0%.005 s$", message)
      assert.is_false(b:reading())
      -- What came too late for it is still in the kernel.
      assert.equal(first, b:read_bytes(#first, { timeout = 10 }))
      assert.is_true(b:unread(first))
      a:write(second)
      options.timeout = 10
      assert.equal(expected, (b[name](b, unpack(list))))
    end)
  end)

  it("of 0 takes what is there, and fails if that is not enough", function()
    assert.equal("ETIMEDOUT", (select(3, b:read_bytes(1, { timeout = 0 }))))
    b:unread("x")
    assert.equal("x", b:read_bytes(1, { timeout = 0 }))
    local got = weir.channel(1)
    b:read_bytes(1, { timeout = 0 }, function(_, _, code) got:put(code) end)
    assert.equal("ETIMEDOUT", got:get(SOON))
  end)

  it("that is endless never passes", function()
    local got = weir.channel(1)
    b:read_bytes(1, { timeout = math.huge }, function(data) got:put(data) end)
    a:write("x")
    assert.equal("x", got:get(SOON))
  end)

  it("never passes before its time, however long Lua ran before", function()
    local before = weir.now()
    repeat until weir.now() - before > 0.02
    before = weir.now()
    assert.equal("ETIMEDOUT", (select(3, b:read_bytes(1, { timeout = 0.02 }))))
    assert.is_true(weir.now() - before >= 0.02)
  end)

  it("of the stream holds where an operation has none of its own", function()
    b:set_timeout(0.005)
    assert.equal("ETIMEDOUT", (select(3, b:read_bytes(1))))
    weir.spawn(function()
      weir.sleep(0.02)
      a:write("x")
    end)
    assert.equal("x", b:read_bytes(1, SOON))
    b:set_timeout(nil)
    local got = weir.channel(1)
    b:read_bytes(1, function(data) got:put(data) end)
    weir.sleep(0.02)
    a:write("y")
    assert.equal("y", got:get(SOON))
    b:set_timeout(0)
    assert.equal("ETIMEDOUT", (select(3, b:read_bytes(1))))
  end)

  it("around a function fails what it waits in, the earliest of both counts", function()
    assert.equal("ETIMEDOUT", (select(3, weir.deadline(0.005, function() return b:read_bytes(1, SOON) end))))
    assert.equal("ETIMEDOUT", (select(3, weir.deadline(10, function()
      return b:read_bytes(1, { timeout = 0.005 }) end))))
    a:write("x")
    assert.equal("x", weir.deadline(10, function() return b:read_bytes(1) end))
  end)

  it("fails again and again without losing order, one byte at a time", function()
    local text = "a line of text\n"
    for i = 1, #text - 1 do
      a:write(text:sub(i, i))
      assert.equal("ETIMEDOUT", (select(3, b:read_until("\n", { timeout = 0 }))))
    end
    a:write("\n")
    assert.equal(text, b:read_until("\n", SOON))
  end)

  it("is met once: what comes later belongs to the next read", function()
    local calls = {}
    b:read_until("\n", { timeout = 0.005 }, function(data, _, code) calls[#calls + 1] = data or code end)
    weir.sleep(0.02)
    a:write("line1\nline2\n")
    assert.equal("line1\n", b:read_until("\n", SOON))
    assert.equal("line2\n", b:read_until("\n", SOON))
    assert.same({ "ETIMEDOUT" }, calls)
  end)

  it("as cancelling: one wait fails, what follows works", function()
    each_read(function(name, arguments, first, second, expected)
      local codes = {}
      local task = weir.spawn(function()
        codes[1] = select(3, b[name](b, unpack(arguments)))
        codes[2] = b:reading()
        return (b[name](b, unpack(arguments)))
      end)
      weir.sleep(0)
      a:write(first)
      a:flush()
      weir.sleep(0)
      task:cancel()
      a:write(second)
      assert.equal(expected, task:join(SOON))
      assert.equal("ECANCELED", codes[1])
      assert.is_false(codes[2])
    end)
  end)

  it("as cancelling while it runs: the next wait fails, once", function()
    a:write("x")
    local codes, task = {}, nil
    task = weir.spawn(function()
      task:cancel()
      codes[1] = select(3, b:read_bytes(2, SOON))
      codes[2] = b:read_bytes(1, SOON)
    end)
    task:join(SOON)
    assert.equal("ECANCELED", codes[1])
    assert.equal("x", codes[2])
  end)

  it("of a write does not take its bytes back: they leave in order", function()
    local c, d = pair({ high_water = 1 })
    local block = ("x"):rep(16 * 1024 * 1024)
    local ok, message, code = c:write(block, { timeout = 0.005 })
    assert.is_nil(ok)
    assert.equal("ETIMEDOUT", code)
    assert.matches("^write .+: timed out after 0%.005 s$", message)
    assert.is_true(c:writing())
    assert.equal("ETIMEDOUT", (select(3, c:flush({ timeout = 0 }))))
    local task = weir.spawn(function() return select(3, c:write("then")) end)
    weir.sleep(0)
    task:cancel()
    assert.equal("ECANCELED", task:join(SOON))
    weir.spawn(function() c:write("end", { timeout = 10 }) end)
    assert.is_true(d:read_bytes(#block, SOON) == block)
    assert.equal("thenend", d:read_bytes(7, SOON))
    c:abort()
    d:abort()
  end)

  it("leaves no timer behind: a read in time is not failed later", function()
    expect.soon(function()
      a:write("x")
      return b:read_bytes(1, { timeout = 0.01 }) or not b:read_bytes(1, SOON)
    end)
    local got = weir.channel(1)
    b:read_bytes(1, function(data) got:put(data) end)
    weir.sleep(0.03)
    a:write("y")
    assert.equal("y", got:get(SOON))
  end)

  it("of read_into gives back, and the memory is free again", function()
    local memory = ffi.new("char[4]")
    a:write("ab")
    assert.equal("ETIMEDOUT", (select(3, b:read_into(memory, 4, { timeout = 0.005 }))))
    a:write("cd")
    assert.equal("abcd", b:read_bytes(4, SOON))
  end)
end)

it("a timeout among its options is the stream's", function()
  local c, d = weir.pair({ timeout = 0.005 })
  assert.equal("ETIMEDOUT", (select(3, d:read_some())))
  c:abort()
  d:abort()
end)

describe("a connect", function()
  it("that is cancelled ends its stream", function()
    local listener = assert(weir.listen("127.0.0.1:0", print))
    local stream = weir.stream()
    local code
    local task = weir.spawn(function() code = select(3, stream:connect("no-such-name.invalid:1")) end)
    weir.sleep(0)
    task:cancel()
    task:join(SOON)
    assert.is_true(code == "ECANCELED" or code == "ENOTFOUND" or code == "ECONNREFUSED", code)
    assert.is_true(stream:closed())
    assert.is_nil((stream:write("x")))
    expect.raises("connect: the stream is already in use", function() stream:connect(listener:address()) end)
    listener:close()
  end)
end)
