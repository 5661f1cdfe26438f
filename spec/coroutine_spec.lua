-- `call` must raise, and its message matches all of the patterns.
local expect = require("spec.support.expect")

local function refused(call, ...)
  local ok, message = call()
  assert.is_false(ok)
  for _, pattern in ipairs({ ... }) do assert.matches(pattern, message) end
end

describe("a task waits", function()
  it("through pcall, xpcall, metamethods and iterators", function()
    assert.same({ true, true }, { pcall(weir.sleep, 0) })
    assert.same({ true, true }, { xpcall(weir.sleep, debug.traceback, 0) })
    local function sleeps() return weir.sleep(0) end
    local object = setmetatable({}, {
      __index = sleeps, __call = sleeps, __add = sleeps, __concat = sleeps, __lt = sleeps, __eq = sleeps,
      __unm = sleeps, __newindex = sleeps, __le = sleeps, __tostring = function()
        weir.sleep(0)
        return "waited"
      end,
    })
    local other = setmetatable({}, getmetatable(object))
    assert.is_true(object.anything)
    assert.is_true(object())
    assert.is_true(object + 1)
    assert.is_true(object .. "")
    assert.is_true(object < other)
    assert.is_true(object <= other)
    assert.is_true(object == other)
    assert.is_true(-object)
    object.x = 1
    assert.equal("waited", tostring(object))
    local seen = {}
    for value in function(_, last)
      weir.sleep(0)
      if last < 3 then return last + 1 end
    end, nil, 0 do seen[#seen + 1] = value end
    assert.same({ 1, 2, 3 }, seen)
  end)

  it("inside coroutines, nested three deep, and each goes on in its place", function()
    local function numbers()
      return coroutine.wrap(function()
        for i = 1, 3 do
          weir.sleep(0)
          coroutine.yield(i)
        end
      end)
    end
    local function tenfold(source)
      return coroutine.wrap(function()
        for value in source do
          weir.sleep(0)
          coroutine.yield(value * 10)
          weir.sleep(0)
        end
      end)
    end
    local got = {}
    for value in tenfold(tenfold(numbers())) do
      weir.sleep(0)
      got[#got + 1] = value
    end
    assert.same({ 100, 200, 300 }, got)
  end)

  it("in generators, which keep their results apart from what the wait gives", function()
    local a, b = weir.pair()
    local function lines()
      return coroutine.wrap(function()
        for line in a:lines() do coroutine.yield(line, #line) end
        coroutine.yield(nil)
      end)
    end
    local got = {}
    local reader = weir.spawn(function()
      for line, length in lines() do got[#got + 1] = line .. length end
    end)
    for _, piece in ipairs({ "o", "ne\ntw", "o\n", "three" }) do
      b:write(piece)
      b:flush()
      weir.sleep(0)
    end
    b:close()
    reader:join({ timeout = 5 })
    assert.same({ "one3", "two3", "three5" }, got)
    a:close()
  end)

  it("and others run meanwhile, each resumed in the right coroutine", function()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = weir.spawn(function()
        local sum = 0
        for value in coroutine.wrap(function()
          for j = 1, 5 do
            weir.sleep(0.0001 * (i % 3))
            coroutine.yield(i * j)
          end
        end) do sum = sum + value end
        return sum
      end)
    end
    local sums = weir.all(tasks, { timeout = 10 })
    for i = 1, 20 do assert.equal(15 * i, sums[i]) end
  end)

  it("in a coroutine, more than 128 times in a row without a wait", function()
    local channel = weir.channel(math.huge)
    local produce = coroutine.wrap(function()
      for i = 1, 1000 do assert(channel:put(i)) end
      coroutine.yield("all")
    end)
    assert.equal("all", produce())
    local consume = coroutine.create(function()
      local sum = 0
      for _ = 1, 1000 do sum = sum + channel:get() end
      return sum
    end)
    assert.same({ true, 500500 }, { coroutine.resume(consume) })
    assert.equal("dead", coroutine.status(consume))
  end)

  it("is cancelled and timed out inside a coroutine", function()
    local task = weir.spawn(function()
      return coroutine.wrap(function() return (select(3, weir.sleep(100))) end)()
    end)
    weir.sleep(0)
    task:cancel()
    assert.equal("ECANCELED", task:join())
    local channel = weir.channel()
    local co = coroutine.create(function() return select(3, channel:get({ timeout = 0.001 })) end)
    assert.same({ true, "ETIMEDOUT" }, { coroutine.resume(co) })
  end)

  it("in a coroutine that catches its own errors", function()
    local co = coroutine.wrap(function()
      local ok, message = pcall(function()
        weir.sleep(0)
        error("inner", 0)
      end)
      coroutine.yield(ok, message)
      weir.sleep(0)
      error("outer", 0)
    end)
    assert.same({ false, "inner" }, { co() })
    local ok, message = pcall(co)
    assert.is_false(ok)
    assert.matches("outer$", message)
    assert.is_false((pcall(co)))
  end)
end)

describe("coroutines of a script", function()
  it("are what they were, where nothing waits", function()
    local co = coroutine.create(function(a, b)
      local c = coroutine.yield(a + b)
      local d, e = coroutine.yield(c * 2)
      return d, e
    end)
    assert.equal("suspended", coroutine.status(co))
    assert.same({ true, 3 }, { coroutine.resume(co, 1, 2) })
    assert.same({ true, 20 }, { coroutine.resume(co, 10) })
    assert.same({ true, "x", "y" }, { coroutine.resume(co, "x", "y") })
    assert.equal("dead", coroutine.status(co))
    local ok, message = coroutine.resume(co)
    assert.is_false(ok)
    assert.equal("cannot resume dead coroutine", message)
    expect.raises("bad argument #1 to 'resume' %(coroutine expected%)", function() coroutine.resume(print) end)
    expect.raises("bad argument #1 to 'wrap' %(function expected", function() coroutine.wrap(1) end)
    local thread
    thread = coroutine.create(function() return coroutine.running(), coroutine.isyieldable() end)
    assert.same({ true, thread, true }, { coroutine.resume(thread) })
  end)

  it("an error of one has its value, and a string its places", function()
    local object = {}
    local _, raised = pcall(coroutine.wrap(function() error(object) end))
    assert.equal(object, raised)
    local _, message = pcall(coroutine.wrap(function() error("no luck") end))
    assert.matches("coroutine_spec%.lua:%d+: no luck$", message)
  end)

  it("waiting in an operation are not resumed by others", function()
    local co = coroutine.create(function() return weir.sleep(0.002) end)
    local task = weir.spawn(function() return coroutine.resume(co) end)
    weir.sleep(0)
    local ok, message = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("waits in an operation", message)
    assert.same({ true, true }, { task:join({ timeout = 5 }) })
    local wrapped = coroutine.wrap(function() weir.sleep(0.002) return "result" end)
    task = weir.spawn(wrapped)
    weir.sleep(0)
    assert.has_error(wrapped, "cannot resume a coroutine that waits in an operation")
    assert.equal("result", task:join({ timeout = 5 }))
  end)
end)

describe("a task", function()
  it("is not resumed by hand", function()
    local thread
    local task = weir.spawn(function()
      thread = coroutine.running()
      return weir.sleep(0.002)
    end)
    weir.sleep(0)
    local ok, message = coroutine.resume(thread)
    assert.is_false(ok)
    assert.matches("cannot resume a task", message)
    assert.is_true(task:join({ timeout = 5 }))
    assert.is_false((coroutine.resume(thread)))
    local me = coroutine.running()
    assert.is_false((coroutine.resume(me)))
  end)

  it("that yields without an operation raises", function()
    refused(function() return pcall(coroutine.yield, 1) end, "coroutine%.yield", "weir%.sleep%(0%)")
    refused(function() return pcall(function() coroutine.yield() end) end, "coroutine%.yield")
    assert.is_true(weir.sleep(0))
  end)

  it("gives its thread to nobody else", function()
    local threads = {}
    for i = 1, 3 do
      weir.spawn(function() threads[i] = coroutine.running() end):join()
    end
    assert.are_not.equal(threads[1], threads[2])
    assert.are_not.equal(threads[2], threads[3])
  end)
end)

describe("waiting is refused, and the way out named,", function()
  local here = "coroutine_spec%.lua:%d+: "

  local function sleep() return weir.sleep(0) end

  it("across table.sort and string.gsub", function()
    refused(function()
      return pcall(function()
        table.sort({ 2, 1 }, function(a, b) weir.sleep(0) return a < b end)
      end)
    end, here, "sleep cannot wait here", "'sort' at .*coroutine_spec%.lua:%d+", "weir%.spawn", "callback")
    refused(function()
      return pcall(function() return (("x"):gsub("x", function() return sleep() and "y" end)) end)
    end, "sleep cannot wait here", "'gsub' at .*coroutine_spec%.lua:%d+", "weir%.spawn")
  end)

  it("under require and dofile", function()
    package.preload["weir.spec.waits"] = function() return weir.sleep(0) end
    refused(function() return pcall(function() require("weir.spec.waits") end) end,
      "sleep cannot wait here", "'require'", "weir%.spawn")
    package.preload["weir.spec.waits"] = nil
    local path = os.tmpname()
    local file = io.open(path, "w")
    file:write("weir.sleep(0)")
    file:close()
    refused(function() return pcall(function() dofile(path) end) end, "'dofile'", "weir%.spawn")
    os.remove(path)
  end)

  it("in an xpcall handler and in __gc", function()
    local said
    xpcall(error, function() said = { pcall(weir.sleep, 0) } end)
    refused(function() return unpack(said) end, "sleep cannot wait here", "xpcall handler", "weir%.spawn")
    said = nil
    do
      local proxy = newproxy(true)
      getmetatable(proxy).__gc = function() said = { pcall(weir.sleep, 0) } end
    end
    collectgarbage()
    collectgarbage()
    refused(function() return unpack(said) end, "sleep cannot wait here", "weir%.spawn")
  end)

  it("in an FFI callback", function()
    local ffi = require("ffi")
    pcall(ffi.cdef, "void qsort(void *, size_t, size_t, int (*)(const void *, const void *));")
    local said
    local numbers = ffi.new("int[2]", 2, 1)
    local callback = ffi.cast("int (*)(const void *, const void *)", function()
      said = { pcall(weir.sleep, 0) }
      return 0
    end)
    ffi.C.qsort(numbers, 2, 4, callback)
    callback:free()
    refused(function() return unpack(said) end, "sleep cannot wait here", "weir%.spawn")
  end)

  it("in a coroutine across a C call, in whichever of them that is", function()
    refused(function()
      return pcall(coroutine.wrap(function()
        table.sort({ 2, 1 }, function() weir.sleep(0) end)
      end))
    end, "cannot wait here", "'sort'")
    refused(function()
      return pcall(table.sort, { 2, 1 }, coroutine.wrap(function() weir.sleep(0) end))
    end, "cannot wait here", "weir%.spawn")
  end)

  it("even if the operation could complete at once", function()
    local channel, a, b = weir.channel(1), weir.pair()
    b:write("ready")
    b:flush()
    assert.equal("r", a:read_bytes(1))
    local done = weir.spawn(function() end)
    done:join()
    local calls = {
      function() channel:put(1) end, function() a:read_bytes(1) end, function() done:join() end,
      function() weir.all({}) end, function() weir.any({ done }) end, function() a:flush() end,
    }
    for _, call in ipairs(calls) do
      local inner
      pcall(table.sort, { 2, 1 }, function() inner = inner or { pcall(call) } end)
      refused(function() return unpack(inner) end, "cannot wait here")
    end
    assert.equal("eady", a:read_bytes(4))
    a:close()
    b:close()
  end)

  it("but callbacks, spawn, and writes work there", function()
    local a, b = weir.pair()
    local done, wrote = weir.channel(math.huge), nil
    table.sort({ 2, 1 }, function()
      wrote = wrote or a:write("queued")
      weir.sleep(0, function() done:put("callback") end)
      weir.spawn(function()
        weir.sleep(0.002)
        done:put("task")
      end)
      return false
    end)
    assert.is_true(wrote)
    assert.equal("queued", b:read_bytes(6, { timeout = 5 }))
    local told = {}
    repeat
      told[done:get({ timeout = 5 })] = true
    until told.callback and told.task
    a:close()
    b:close()
  end)
end)
