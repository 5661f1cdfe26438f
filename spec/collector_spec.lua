-- When Lua's collector works, and what finalizers may do.
local weir_binary = require("spec.support.weir")

describe("the collector", function()
  it("keeps memory bounded, whatever is allocated between waits", function()
    -- In a weir of its own, where nothing else is allocated.
    local out, err, status = weir_binary.run({ stdin = [[
      collectgarbage()
      local before, most, kept = collectgarbage("count"), 0, {}
      for i = 1, 200 do
        for j = 1, 10 do kept[j] = ("x"):rep(20000) .. i .. j end
        weir.sleep(0)
        most = math.max(most, collectgarbage("count"))
      end
      print(most < 3 * before + 2000 or most)]] })
    assert.same({ "true\n", "", 0 }, { out, err, status })
  end)

  it("does not look at everything in each turn", function()
    assert.same({ "true\n", "", 0 }, { weir_binary.run({ stdin = [[
      weir.sleep(0)
      collectgarbage()
      local weak = setmetatable({ {} }, { __mode = "v" })
      for _ = 1, 20 do weir.sleep(0) end
      print(weak[1] ~= nil)]] }) })
  end)

  it("keeps memory bounded when long strings are read", function()
    local out, err, status = weir_binary.run({ stdin = [[
      local a, b = weir.pair()
      local piece = ("x"):rep(65536)
      weir.spawn(function()
        for i = 1, 500 do a:write(i .. piece, { timeout = 10 }) end
        a:close()
      end)
      local before, most, count = collectgarbage("count"), 0, 0
      while b:read_bytes(65536, { timeout = 10 }) do
        count = count + 1
        most = math.max(most, collectgarbage("count"))
      end
      print(count, most < 3 * before + 8000 or most)]] })
    assert.same({ "500\ttrue\n", "", 0 }, { out, err, status })
  end)

  it("that a script stopped stays stopped", function()
    local weak = setmetatable({ {} }, { __mode = "v" })
    collectgarbage("stop")
    for i = 1, 200 do
      assert(#(("x"):rep(20000) .. i) > 20000)
      weir.sleep(0)
    end
    weir.sleep(0.15) -- also while the host is idle
    assert.is_table(weak[1])
    collectgarbage("restart")
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("works in an idle host too", function()
    local done = weir.channel(1)
    getmetatable(newproxy(true)).__gc = function() done:put(true, function() end) end
    assert.is_true(done:get({ timeout = 20 }))
  end)

  it("calls finalizers where no task runs, which is said to what needs one", function()
    local done = weir.channel(1)
    getmetatable(newproxy(true)).__gc = function()
      local said = {}
      for name, argument in pairs({ guard = print, deadline = 1, locals = false }) do
        said[#said + 1] = (select(2, pcall(weir[name], argument, print)))
      end
      done:put(said, function() end)
    end
    local said = done:get({ timeout = 20 })
    assert.equal(3, #said)
    for _, message in ipairs(said) do
      assert.matches("^%l+: no task runs here$", (message:gsub("^[^\n]-:%d+: ", "")))
    end
  end)
end)

describe("weir.streams", function()
  it("may be asked while the collector closes streams that nobody has any more", function()
    assert.same({ "done\n", "", 0 }, { weir_binary.run({ stdin = [[
      local weak = setmetatable({ {} }, { __mode = "v" })
      for _ = 1, 10 do
        for _ = 1, 300 do weir.pair() end
        collectgarbage("restart")
        for _ = 1, 3 do weir.streams() end
      end
      while weak[1] do weir.streams() end -- it has gone on working
      print("done")]] }) })
  end)
end)

describe("a finalizer", function()
  it("that raises is reported, and harms nobody else", function()
    local out, err, status = weir_binary.run({ stdin = [[
      local a, b = weir.pair()
      weir.spawn(function()
        while true do
          local data = a:read_some()
          if not data then break end
          a:write(data)
        end
      end)
      for i = 1, 3000 do
        getmetatable(newproxy(true)).__gc = function() error("in __gc", 0) end
        b:write(("x"):rep(i % 100 + 1))
        assert(#b:read_bytes(i % 100 + 1) == i % 100 + 1)
      end
      b:close()
      print("alive")]] })
    assert.equal("alive\n", out)
    assert.matches("^weir: error in a finalizer %(__gc%): in __gc\n", err)
    assert.is_nil(err:gsub("weir: error in a finalizer %(__gc%): in __gc\n", ""):match("%S"))
    assert.equal(1, status)
  end)

  it("may call weir: spawn, close, write, register callbacks", function()
    local a, b = weir.pair()
    local told = weir.channel(math.huge)
    do
      local proxy = newproxy(true)
      getmetatable(proxy).__gc = function()
        weir.spawn(function() told:put("spawned") end)
        weir.defer(function() told:put("deferred") end)
        a:write("last words")
        a:close()
      end
    end
    collectgarbage()
    collectgarbage()
    assert.equal("last words", b:read_until_close({ timeout = 5 }))
    assert.equal("spawned", told:get({ timeout = 5 }))
    assert.equal("deferred", told:get({ timeout = 5 }))
    b:close()
  end)

  it("that reaches what has been finalized is refused, and crashes nothing", function()
    local out, err, status = weir_binary.run({ stdin = [[
      local makers = {
        stream = weir.stream, pair = weir.pair, tls = weir.tls.context,
        channel = function() return weir.channel() end,
        listener = function() return weir.listen("127.0.0.1:0", print) end,
        after = function() return weir.after(0, function() end) end,
        signal = function() return weir.signal("USR1", function() end) end,
        watch = function() return weir.watch(0, "r", function() end) end,
        task = function() return weir.spawn(function() end) end,
        udp = function() return weir.udp("127.0.0.1:0") end,
        process = function() return weir.process({ "true" }, { stdin = "null", stdout = "null", stderr = "null" }) end,
      }
      local called = 0
      local function try_everything(object)
        for name, method in pairs(debug.getmetatable(object).__index) do
          pcall(method, object)
          pcall(method, object, "r", function() end)
          pcall(method, object, function() end)
        end
        pcall(tostring, object)
      end
      local function make(name, first)
        local held, proxy = {}, nil
        if first then held.object = makers[name]({}) end
        proxy = newproxy(true)
        getmetatable(proxy).__gc = function()
          called = called + 1
          pcall(try_everything, held.object)
        end
        held.object, held.proxy = held.object or makers[name]({}), proxy
        weir.sleep(0.002)
        for _, over in ipairs({ "close", "cancel" }) do
          pcall(function() held.object[over](held.object) end)
        end
      end
      for name in pairs(makers) do
        make(name, true)
        make(name, false)
        weir.sleep(0)
        collectgarbage()
        collectgarbage()
      end
      print(called)
      weir.exit(0)]] })
    assert.same({ "", 0 }, { err, status })
    assert.is_true(tonumber(out) >= 20)
  end)
end)
