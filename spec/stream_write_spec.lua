local expect = require("spec.support.expect")
local transports = require "spec.support.transports"

transports.each("writing", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  it("sends nested lists and numbers as one", function()
    assert.is_true(a:write({ "a", 1, { "b", { 2.5 } }, "" }))
    assert.equal("a1b2.5", b:read_bytes(6))
  end)

  it("completes for nothing at all", function()
    assert.is_true(a:write(""))
    assert.is_true(a:write({}))
    local done = weir.channel(1)
    a:write("", function(ok) done:put(ok) end)
    assert.is_true(done:get({ timeout = 5 }))
  end)

  it("tells each write, in order, when its last byte has left", function()
    local order, done = {}, weir.channel(1)
    for i = 1, 50 do
      a:write(("x"):rep(10000), function(ok)
        order[#order + 1] = ok and i
        if i == 50 then done:put(true) end
      end)
    end
    assert.equal(500000, #b:read_bytes(500000))
    assert.is_true(done:get({ timeout = 5 }))
    for i = 1, 50 do assert.equal(i, order[i]) end
  end)

  it("suspends above high_water, again and again, and all of it arrives", function()
    local c, d = pair({ high_water = 65536 })
    local written = 0
    local task = weir.spawn(function()
      for _ = 1, 100 do
        c:write(("y"):rep(65536))
        written = written + 65536
      end
      c:close()
    end)
    local total = 0
    while true do
      local data = d:read_some()
      if not data then break end
      total = total + #data
    end
    task:join()
    assert.equal(6553600, written)
    assert.equal(written, total)
  end)

  it("fails with ENOBUFS above max_write_buffer_size, queueing nothing", function()
    local c, d = pair({ max_write_buffer_size = 10 })
    local ok, _, code = c:write("12345678901")
    assert.is_nil(ok)
    assert.equal("ENOBUFS", code)
    assert.is_true(c:write("1234567890"))
    assert.equal("1234567890", d:read_bytes(10))
    c:abort()
    d:abort()
  end)

  it("keeps ten producers apart", function()
    local tasks = {}
    for i = 0, 9 do
      tasks[#tasks + 1] = weir.spawn(function()
        for _ = 1, 20 do assert(a:write((tostring(i)):rep(5000))) end
        return true
      end)
    end
    local counts = {}
    for _ = 1, 200 do
      local block = b:read_bytes(5000)
      assert.equal(block:sub(1, 1):rep(5000), block)
      counts[block:sub(1, 1)] = (counts[block:sub(1, 1)] or 0) + 1
    end
    assert.equal(10, #assert(weir.all(tasks)))
    for i = 0, 9 do assert.equal(20, counts[tostring(i)]) end
  end)

  it("writes FFI memory", function()
    local ffi = require "ffi"
    a:write(ffi.new("char[5]", "hello"), { length = 5 })
    assert.equal("hello", b:read_bytes(5))
  end)

  it("sends files, whole and in part", function()
    local path = os.tmpname()
    local file = io.open(path, "w")
    file:write(("0123456789"):rep(100000))
    file:close()
    weir.spawn(function()
      assert.equal(1000000, a:send_file(path))
      assert.equal(5, a:send_file(path, { offset = 3, length = 5 }))
    end)
    assert.equal(("0123456789"):rep(100000), b:read_bytes(1000000))
    assert.equal("34567", b:read_bytes(5))
    os.remove(path)
    local _, message, code = a:send_file(path)
    assert.equal("ENOENT", code)
    assert.matches(path, message, 1, true)
  end)

  it("raises for what cannot be written", function()
    expect.raises("write: a string, a number or a list of them expected, got nil", function() a:write(nil) end)
    expect.raises("write: a string, a number or a list of them expected, got boolean", function() a:write(true) end)
    expect.raises("write: .* got function in the list", function() a:write({ "a", print }) end)
  end)

  it("queues and returns true where it cannot wait", function()
    table.sort({ 2, 1 }, function(x, y)
      assert.is_true(a:write("x"))
      return x < y
    end)
    assert.equal("x", b:read_bytes(1))
  end)
end)
