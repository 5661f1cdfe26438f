-- The one calling convention (§1, R1 to R3), for every operation of a stream.
local ffi = require "ffi"
local expect = require("spec.support.expect")
local transports = require "spec.support.transports"
local weir_binary = require "spec.support.weir"

local SOON = { timeout = 10 }

local function packed(...)
  return { n = select("#", ...), ... }
end

-- Each operation: arguments, what it needs to be there, and what it gives.
local function operations(path)
  return {
    { "read_until", { "\n" }, "line\n", "line\n" },
    { "read_until", { { "\n", ";" } }, "line\n", "line\n", 1 },
    { "read_until_regex", { "(l)(x)?ine\\n" }, "line\n", "line\n", "l", false },
    { "read_bytes", { 4 }, "1234", "1234" },
    { "read_bytes", { 0 }, "", "" },
    { "read_some", {}, "x", "x" },
    { "read_frame", { "u8" }, "\2hi", "hi" },
    { "read_into", { ffi.new("char[4]"), 4 }, "1234", 4 },
    { "write", { "x" }, "", true },
    { "write", { {} }, "", true },
    { "flush", {}, "", true },
    { "send_file", { path }, "", 5 },
  }
end

transports.each("an operation", function(pair)
  local a, b, folder, path
  setup(function()
    folder = weir_binary.folder({ file = "12345" })
    path = folder .. "/file"
  end)
  teardown(function() weir_binary.remove(folder) end)
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  -- Arguments, then one more.
  local function with(arguments, last)
    local list = { unpack(arguments) }
    list[#arguments + 1] = last
    return unpack(list, 1, #arguments + 1)
  end

  local function check(operation, got)
    assert.equal(#operation - 3, got.n, operation[1])
    for i = 4, #operation do assert.equal(operation[i] or nil, got[i - 3], operation[1]) end
  end

  it("gives a callback what it gives a task, data being there or not", function()
    for _, operation in ipairs(operations(path)) do
      local name, arguments, needs = unpack(operation)
      local got = weir.channel(1)
      b:unread(needs)
      check(operation, packed(b[name](b, with(arguments, SOON))))
      b:unread(needs)
      b[name](b, with(arguments, function(...) got:put(packed(...)) end))
      check(operation, got:get(SOON))
      b[name](b, with(arguments, function(...) got:put(packed(...)) end))
      weir.sleep(0)
      a:write(needs)
      check(operation, got:get(SOON))
      assert.is_false(b:reading())
    end
  end)

  it("never calls back inside the call, and once", function()
    for _, operation in ipairs(operations(path)) do
      local name, arguments, needs = unpack(operation)
      local calls = 0
      b:unread(needs)
      assert.equal(0, select("#", b[name](b, with(arguments, function() calls = calls + 1 end))), name)
      assert.equal(0, calls)
      assert.is_true(b:flush(SOON))
      for _ = 1, 3 do weir.sleep(0) end
      assert.equal(1, calls, name)
    end
  end)

  it("fails a callback as it fails a task", function()
    b:close()
    for _, operation in ipairs(operations(path)) do
      local name, arguments = unpack(operation)
      local got = weir.channel(1)
      local direct = packed(b[name](b, with(arguments, SOON)))
      b[name](b, with(arguments, function(...) got:put(packed(...)) end))
      local called = got:get(SOON)
      assert.same(direct, called)
      -- What asks for nothing is done.
      if name ~= "flush" and arguments[1] ~= 0 then
        assert.is_nil(direct[1], name)
        assert.equal(3, direct.n)
        assert.matches("^" .. name .. " .+: .+", direct[2])
        assert.is_nil(direct[2]:find("\n", 1, true))
        assert.equal("ECLOSED", direct[3])
      end
    end
  end)

  it("waits through pcall, metamethods, iterators and coroutines", function()
    local waiting = setmetatable({}, {
      __index = function() return b:read_bytes(1, SOON) end,
      __call = function() return b:read_bytes(1, SOON) end,
      __add = function() return b:read_bytes(1, SOON) end,
    })
    local function arriving(data, f, ...)
      weir.spawn(function() a:write(data) end)
      return f(...)
    end
    assert.same({ true, "1" }, { arriving("1", pcall, b.read_bytes, b, 1, SOON) })
    assert.same({ true, "2" }, { arriving("2", xpcall, function() return b:read_bytes(1, SOON) end, print) })
    assert.equal("3", arriving("3", function() return waiting.field end))
    assert.equal("4", arriving("4", function() return waiting() end))
    assert.equal("5", arriving("5", function() return waiting + 1 end))
    local got = {}
    arriving("67", function()
      for data in function() return #got < 2 and b:read_bytes(1, SOON) or nil end do got[#got + 1] = data end
    end)
    assert.same({ "6", "7" }, got)
    local generator = coroutine.wrap(function()
      for _ = 1, 2 do coroutine.yield(b:read_bytes(1, SOON)) end
    end)
    assert.equal("8", arriving("8", generator))
    assert.equal("9", arriving("9", generator))
    local inner = coroutine.create(function()
      return coroutine.wrap(function() return b:read_bytes(1, SOON), "inner" end)()
    end)
    assert.same({ true, "A", "inner" }, { arriving("A", coroutine.resume, inner) })
    assert.equal("dead", coroutine.status(inner))
  end)

  it("raises across a C call, even if it could complete, and says how to get out", function()
    a:write("there")
    assert.equal("t", b:read_bytes(1))
    local function tries(way, call)
      local raised = {}
      call(function()
        for i, operation in ipairs(operations(path)) do
          local name, arguments = unpack(operation)
          raised[i] = name == "write" or select(2, pcall(b[name], b, unpack(arguments)))
        end
      end)
      for i, operation in ipairs(operations(path)) do
        local name = operation[1]
        if name ~= "write" then
          assert.matches(name .. " cannot wait here, across a C call.*callback.*weir%.spawn", raised[i], way)
        end
      end
    end
    tries("sort", function(f) table.sort({ 2, 1 }, function(x, y) f() return x < y end) end)
    tries("gsub", function(f) string.gsub("x", "x", function() f() end) end)
    tries("handler", function(f) xpcall(error, function() f() end) end)
    tries("require", function(f)
      package.loaded.weir_spec_module = nil
      package.preload.weir_spec_module = function() f() return true end
      require("weir_spec_module")
    end)
    tries("dofile", function(f)
      local script = os.tmpname()
      local file = io.open(script, "w")
      file:write("weir_spec_function()")
      file:close()
      rawset(_G, "weir_spec_function", f)
      dofile(script)
      rawset(_G, "weir_spec_function", nil)
      os.remove(script)
    end)
    tries("__gc", function(f)
      getmetatable(newproxy(true)).__gc = f
      collectgarbage()
      collectgarbage()
    end)
    tries("FFI callback", function(f)
      local callback = ffi.cast("int (*)(void)", function() f() return 0 end)
      jit.off(true, true)
      callback()
      callback:free()
    end)
    assert.equal("here", b:peek())
  end)

  it("with a callback works across a C call; a write queues and returns true", function()
    local got = weir.channel(10)
    table.sort({ 2, 1 }, function(x, y)
      assert.is_true(a:write("data\n"))
      b:read_until("\n", function(line) got:put(line) end)
      return x < y
    end)
    assert.equal("data\n", got:get(SOON))
  end)

  it("is refused while another read waits; writing is independent of reading", function()
    local order = weir.channel(10)
    weir.spawn(function() order:put(b:read_until("\n", SOON)) end)
    weir.sleep(0)
    assert.is_true(b:reading())
    expect.raises("already reading %(read_", function() b:read_bytes(1) end)
    assert.is_true(b:write("from b\n"))
    assert.equal("from b\n", a:read_until("\n", SOON))
    a:write("from a\n")
    assert.equal("from a\n", order:get(SOON))
  end)

  it("yields after 128 in a row that complete at once, successes or failures", function()
    for name, operate in pairs({
      reads = function() b:read_bytes(0) end,
      writes = function() b:write("") end,
      flushes = function() b:flush() end,
      failures = function() b:read_bytes(5, { max = 1 }) end,
      mixed = function() b:read_bytes(0) b:write("") b:read_bytes(5, { max = 1 }) end,
    }) do
      local others, before = 0, nil
      weir.sleep(0)
      weir.spawn(function()
        others = others + 1
      end)
      for i = 1, 200 do
        operate()
        if others > 0 and not before then before = i end
      end
      assert.is_true(before ~= nil and before <= 130, name)
    end
  end)

  it("in a callback may wait, read again, write and close", function()
    local done = weir.channel(10)
    b:read_until("\n", function(line)
      b:write("got " .. line)
      local second = b:read_until("\n", SOON)
      weir.sleep(0)
      b:read_until("\n", function(third)
        done:put(line .. second .. third)
        b:close()
        done:put(select(3, b:read_bytes(1)))
      end)
    end)
    a:write("1\n2\n3\n")
    assert.equal("1\n2\n3\n", done:get(SOON))
    assert.equal("ECLOSED", done:get(SOON))
    assert.equal("got 1\n", a:read_until("\n", SOON))
  end)
end)
