-- Reads into, and writes of, memory that is not Lua's: FFI and string.buffer.
local ffi = require "ffi"
local string_buffer = require "string.buffer"
local transports = require "spec.support.transports"

ffi.cdef [[
  struct weir_spec_pair { uint16_t first; uint16_t second; };
]]

local function collect()
  collectgarbage()
  collectgarbage()
end

transports.each("memory", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  -- Lets what was written arrive by itself, the reader being in between.
  local function arrive(data)
    a:write(data)
    a:flush()
    weir.sleep(0)
  end

  it("read_into fills it across arrivals, leftovers feed the next", function()
    local memory = ffi.new("char[10]")
    local got = weir.channel(1)
    b:read_into(memory, 10, function(...) got:put({ ... }) end)
    assert.is_true(b:reading())
    arrive("hello")
    assert.is_true(b:reading())
    arrive("world!!")
    assert.same({ 10 }, got:get({ timeout = 5 }))
    assert.is_false(b:reading())
    assert.equal("helloworld", ffi.string(memory, 10))
    a:write("1234567890")
    assert.equal(10, b:read_into(memory, 10))
    assert.equal("!!12345678", ffi.string(memory, 10))
    assert.equal("90", b:read_bytes(2))
  end)

  it("read_into with partial gives what is there, at least a byte", function()
    local memory = ffi.new("char[10]")
    local got
    local task = weir.spawn(function() got = b:read_into(memory, 10, { partial = true }) end)
    weir.sleep(0)
    assert.is_nil(got)
    arrive("hey")
    task:join()
    assert.is_true(got >= 1 and got <= 3)
    assert.equal(("hey"):sub(1, got), ffi.string(memory, got))
    if got < 3 then b:read_bytes(3 - got) end
    a:write("1234567890AB")
    b:unread(b:read_bytes(12)) -- so that all of it is buffered
    assert.equal("1", b:read_bytes(1))
    assert.equal(10, b:read_into(memory, 10, { partial = true }))
    assert.equal("234567890A", ffi.string(memory, 10))
    assert.equal("B", b:read_bytes(1))
  end)

  it("read_into of nothing is 0, at once, with a callback later", function()
    assert.equal(0, b:read_into(ffi.new("char[1]"), 0))
    assert.equal(0, b:read_into(ffi.new("char[1]"), 0, { partial = true }))
    assert.equal(0, b:read_into(ffi.new("char[1]"), 0, { offset = 1 }))
    local got
    b:read_into(ffi.new("char[1]"), 0, function(n) got = n end)
    assert.is_nil(got)
    weir.sleep(0)
    assert.equal(0, got)
  end)

  it("read_into puts bytes at an offset, up to the last one", function()
    local memory = ffi.new("uint8_t[8]", string.byte("........", 1, 8))
    a:write("abcde")
    assert.equal(3, b:read_into(memory, 3, { offset = 2 }))
    assert.equal("..abc...", ffi.string(memory, 8))
    assert.equal(1, b:read_into(memory, 1, { offset = 7 }))
    assert.equal("..abc..d", ffi.string(memory, 8))
    assert.equal(1, b:read_into(memory, 1, { offset = 0 }))
    assert.equal("e.abc..d", ffi.string(memory, 8))
  end)

  it("read_into takes arrays, structs, references and pointers", function()
    local memory = ffi.new("struct weir_spec_pair[2]")
    a:write("\1\0\2\0abcdefgh")
    assert.equal(4, b:read_into(memory[0], 4))
    assert.equal(1, memory[0].first)
    assert.equal(2, memory[0].second)
    assert.equal(4, b:read_into(memory + 1, 4))
    assert.equal("abcd", ffi.string(ffi.cast("char *", memory) + 4, 4))
    local matrix = ffi.new("char[2][2]")
    assert.equal(2, b:read_into(matrix[1], 2))
    assert.equal(2, b:read_into(ffi.cast("void *", matrix), 2))
    assert.equal("ghef", ffi.string(matrix, 4))
    a:write("ij")
    assert.equal(1, b:read_into(matrix[1], 1, { offset = 1 }))
    assert.equal(1, b:read_into(ffi.cast("char *", matrix), 1, { offset = 0 }))
    assert.equal("jhei", ffi.string(matrix, 4))
  end)

  it("read_into refuses what does not fit or cannot be written", function()
    local function refused(pattern, ...)
      local ok, message = pcall(b.read_into, b, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    a:write("data")
    refused("9 bytes at offset 0 do not fit into 8", ffi.new("char[8]"), 9)
    refused("8 bytes at offset 1 do not fit into 8", ffi.new("char[8]"), 8, { offset = 1 })
    refused("0 bytes at offset 9 do not fit into 8", ffi.new("char[8]"), 0, { offset = 9 })
    refused("5 bytes at offset 0 do not fit into 4", ffi.new("struct weir_spec_pair"), 5)
    refused("got NULL", ffi.cast("char *", nil), 1)
    refused("got const char %*", ffi.cast("const char *", "constant"), 1)
    refused("got int64_t", 5LL, 1)
    refused("got int", ffi.new("int"), 4)
    refused("FFI memory", ffi.typeof("char[8]"), 1)
    refused("got void %(%*%)%(%)", ffi.cast("void (*)(void)", 0), 1)
    for _, wrong in ipairs({ "string", 5, true, {}, io.stdout, newproxy() }) do
      refused("FFI memory .*expected, got " .. type(wrong), wrong, 1)
    end
    refused("FFI memory .*expected, got nil", nil, 1)
    for _, wrong in ipairs({ -1, 1.5, 0 / 0, "1" }) do
      refused("bad option 'offset'", ffi.new("char[8]"), 1, { offset = wrong })
    end
    assert.equal("data", b:read_bytes(4))
  end)

  it("read_into that fails gives back what had come, whatever ends it", function()
    local memory = ffi.new("char[100]")
    a:write("ab")
    -- On a busy machine nothing may have come by then.
    for _ = 1, 500 do
      assert.equal("ETIMEDOUT", (select(3, b:read_into(memory, 10, { timeout = 0.01 }))))
      if b:buffered() == 2 then break end
    end
    assert.is_false(b:reading())
    assert.equal("ab", b:peek())
    local code
    local task = weir.spawn(function() code = select(3, b:read_into(memory, 10)) end)
    weir.sleep(0)
    arrive("cd")
    task:cancel()
    task:join()
    assert.equal("ECANCELED", code)
    assert.equal("a", b:read_bytes(1))
    a:write("ef")
    a:close()
    local count, message
    count, message, code = b:read_into(memory, 10)
    assert.is_nil(count)
    assert.matches("^read_into .*End of file %(5 bytes stay in the buffer%)$", message)
    assert.equal("EOF", code)
    assert.equal(5, b:buffered())
    assert.equal("bcdef", b:read_until_close())
  end)

  it("read_into is kept alive by the read alone, and so is its stream", function()
    local got = weir.channel(1)
    local c
    do
      local memory = ffi.new("char[100000]")
      local d
      c, d = pair()
      d:read_into(memory, 100000, function(n)
        got:put(n)
      end)
    end
    collect()
    c:write(("x"):rep(50000))
    c:flush()
    collect()
    for _ = 1, 100 do ffi.new("char[100000]") end
    c:write(("x"):rep(50000))
    assert.equal(100000, got:get({ timeout = 5 }))
    c:abort()
  end)

  it("read_into may take more than max_buffer_size: it is not buffered", function()
    local c, d = pair({ max_buffer_size = 1000, read_chunk_size = 100 })
    local memory = ffi.new("char[5000]")
    weir.spawn(function() c:write(("y"):rep(5000)) end)
    assert.equal(5000, d:read_into(memory, 5000, { timeout = 5 }))
    assert.equal(("y"):rep(5000), ffi.string(memory, 5000))
    c:abort()
    d:abort()
  end)

  it("read_into appends to a string.buffer", function()
    local buffer = string_buffer.new()
    buffer:put("<")
    a:write("hello world")
    assert.equal(5, b:read_into(buffer, 5))
    assert.equal("<hello", buffer:tostring())
    assert.equal(6, b:read_into(buffer, 100, { partial = true }))
    assert.equal("<hello world", buffer:tostring())
    assert.equal(0, b:read_into(buffer, 0))
    local got = weir.channel(1)
    b:read_into(buffer, 3, function(...) got:put({ ... }) end)
    buffer:reset() -- it may be used meanwhile
    for i = 1, 1000 do buffer:put(i) end
    buffer:reset()
    collect()
    arrive("x")
    arrive("yz")
    assert.same({ 3 }, got:get({ timeout = 5 }))
    assert.equal("xyz", buffer:tostring())
    a:write("12")
    assert.equal("ETIMEDOUT", (select(3, b:read_into(buffer, 3, { timeout = 0.01 }))))
    assert.equal("xyz", buffer:tostring())
    assert.equal("12", b:read_bytes(2))
  end)

  it("read_into of a string.buffer checks what it is given", function()
    local function refused(pattern, ...)
      local ok, message = pcall(b.read_into, b, string_buffer.new(), ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    refused("a whole number", -1)
    refused("a whole number", 1.5)
    refused("a whole number", "1")
    refused("'offset' is for FFI memory", 1, { offset = 0 })
    refused("unknown option", 1, { max = 5 })
    refused("bad option 'partial'", 1, { partial = 1 })
    refused("bad option 'timeout'", 1, { timeout = -1 })
    refused("options %(a table%) or callback expected", 1, "x")
    refused("callback %(a function%) expected", 1, {}, "x")
    b:read_some(function() end)
    refused("already reading", 1)
  end)

  it("keeps a megabyte of mixed reads in order", function()
    local random, parts = math.random, {}
    for i = 1, 16384 do parts[i] = ("%064d"):format(i) end
    local text = table.concat(parts)
    weir.spawn(function()
      local at = 1
      while at <= #text do
        local size = random(1, 40000)
        a:write(text:sub(at, at + size - 1))
        at = at + size
      end
    end)
    local got, size = {}, 0
    local memory = ffi.new("char[6000]")
    while size < #text do
      local n = math.min(random(0, 6000), #text - size)
      local data
      if random(2) == 1 then
        data = assert(b:read_bytes(n, { timeout = 5 }))
      else
        assert.equal(n, b:read_into(memory, n, { timeout = 5 }))
        data = ffi.string(memory, n)
      end
      got[#got + 1] = data
      size = size + n
    end
    assert.is_true(table.concat(got) == text)
  end)

  it("write takes FFI memory, whole or its first bytes", function()
    a:write(ffi.new("char[5]", "hello"))
    a:write(ffi.new("char[5]", "hello"), { length = 2 })
    a:write(ffi.new("char[5]", "hello"), { length = 0 })
    a:write(ffi.cast("const char *", "constant"), { length = 5 })
    a:write(ffi.new("struct weir_spec_pair", 0x6161, 0x6262))
    assert.equal("hello" .. "he" .. "const" .. "aabb", b:read_bytes(16))
  end)

  it("write takes a copy: the memory may change at once", function()
    local memory = ffi.new("char[100000]")
    ffi.fill(memory, 100000, 0x61)
    local task = weir.spawn(function()
      a:write(memory, { length = 100000 })
    end)
    weir.sleep(0)
    ffi.fill(memory, 100000, 0x62)
    assert.equal(("a"):rep(100000), b:read_bytes(100000))
    task:join()
  end)

  it("write refuses memory whose size is not known or too small", function()
    local function refused(pattern, ...)
      local ok, message = pcall(a.write, a, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    refused("'length' is needed for a pointer", ffi.cast("const char *", "x"))
    refused("'length' is 6, but there are 5 bytes", ffi.new("char[5]"), { length = 6 })
    refused("got NULL", ffi.cast("char *", nil), { length = 1 })
    refused("got int64_t", 5LL)
    refused("got a type", ffi.typeof("char[5]"))
    refused("'length' is for FFI memory, got string", "abc", { length = 1 })
    for _, wrong in ipairs({ -1, 1.5, 0 / 0, math.huge, "1" }) do
      refused("bad option 'length'", ffi.new("char[5]"), { length = wrong })
    end
    assert.is_false(a:writing())
  end)
end)
