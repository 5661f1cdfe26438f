-- When Lua's collector works, and what finalizers may do.
local weir_binary = require("spec.support.weir")

describe("the collector", function()
  it("keeps memory bounded, whatever is allocated between waits", function()
    collectgarbage()
    local before, most = collectgarbage("count"), 0
    for i = 1, 200 do
      for j = 1, 10 do assert(#(("x"):rep(20000) .. i .. j) > 20000) end
      weir.sleep(0)
      most = math.max(most, collectgarbage("count"))
    end
    assert.is_true(most < 3 * before + 2000)
  end)

  it("that a script stopped stays stopped", function()
    local weak = setmetatable({ {} }, { __mode = "v" })
    collectgarbage("stop")
    for i = 1, 200 do
      assert(#(("x"):rep(20000) .. i) > 20000)
      weir.sleep(0)
    end
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
end)
