local expect = require("spec.support.expect")

local code_of = expect.code_of

local function sleep_long()
  return code_of(weir.sleep(100))
end

describe("a deadline", function()
  it("gives f's results, and f its arguments", function()
    local function check(...)
      assert.equal(4, select("#", ...))
      assert.same({ 1, nil, 3 }, { ... })
    end
    check(weir.deadline(10, function(...) return ... end, 1, nil, 3, nil))
  end)

  it("fails what f waits in, and ends with f", function()
    local value, message, code = weir.deadline(0.001, weir.sleep, 100)
    assert.is_nil(value)
    assert.matches("^sleep: timed out", message)
    assert.equal("ETIMEDOUT", code)
    assert.is_true(weir.sleep(0))
  end)

  it("fails everything from then on until f returns", function()
    local codes = weir.deadline(0.001, function()
      local seen = {}
      for i = 1, 3 do seen[i] = sleep_long() end
      seen[4] = code_of(weir.channel():get())
      seen[5] = code_of(weir.sleep(0))
      return seen
    end)
    assert.same({ "ETIMEDOUT", "ETIMEDOUT", "ETIMEDOUT", "ETIMEDOUT", "ETIMEDOUT" }, codes)
  end)

  it("of 0 seconds lets nothing wait, but what completes at once does", function()
    local channel = weir.channel(1)
    assert.same({ true, "ETIMEDOUT" }, { weir.deadline(0, function()
      return channel:put(1), code_of(channel:put(2))
    end) })
  end)

  it("ends a loop of operations that complete at once", function()
    local channel = weir.channel(math.huge)
    assert.equal("ETIMEDOUT", weir.deadline(0.001, function()
      while true do
        local ok, _, code = channel:put(1)
        if not ok then return code end
      end
    end))
  end)

  it("nested: the earliest counts, inside and outside", function()
    assert.equal("ETIMEDOUT", weir.deadline(0.001, function()
      return weir.deadline(100, sleep_long)
    end))
    local inner, outer = weir.deadline(100, function()
      return weir.deadline(0.001, sleep_long), weir.sleep(0)
    end)
    assert.equal("ETIMEDOUT", inner)
    assert.is_true(outer)
  end)

  it("goes before a longer timeout, and after a shorter one", function()
    local channel = weir.channel()
    local _, message = weir.deadline(100, function() return channel:get({ timeout = 0.001 }) end)
    assert.equal("channel get: timed out after 0.001 s", message)
    assert.equal("ETIMEDOUT", code_of(weir.deadline(0.001, function()
      return channel:get({ timeout = 100 })
    end)))
  end)

  it("covers joins; the joined and the spawned go on", function()
    local channel, spawned = weir.channel(), nil
    local joined = weir.spawn(function() return channel:get() end)
    assert.equal("ETIMEDOUT", code_of(weir.deadline(0.001, function()
      spawned = weir.spawn(function() return channel:get() end)
      return joined:join()
    end)))
    channel:put(1)
    channel:put(2)
    assert.same({ 1, 2 }, weir.all({ joined, spawned }, { timeout = 5 }))
  end)

  it("leaves a stream usable, its bytes where they were", function()
    local a, b = weir.pair()
    b:write("12")
    b:flush()
    assert.equal("ETIMEDOUT", code_of(weir.deadline(0.001, a.read_bytes, a, 4)))
    b:write("34")
    assert.equal("1234", a:read_bytes(4, { timeout = 5 }))
    a:close()
    b:close()
  end)

  it("does not cover callbacks registered within it", function()
    local done, channel = weir.channel(1), weir.channel()
    weir.deadline(0, function()
      channel:get(function(value) done:put({ value, weir.sleep(0) }) end)
    end)
    weir.sleep(0.001)
    channel:put("later")
    assert.same({ "later", true }, done:get({ timeout = 5 }))
  end)

  it("reaches into coroutines resumed within it", function()
    local co = coroutine.wrap(function()
      while true do coroutine.yield(sleep_long()) end
    end)
    assert.equal("ETIMEDOUT", weir.deadline(0.001, co))
    assert.equal("ETIMEDOUT", weir.deadline(0.001, function() return coroutine.wrap(co)() end))
  end)

  it("inside a generator does not bind its consumer", function()
    local generator = coroutine.wrap(function()
      weir.deadline(0.001, function()
        coroutine.yield("first")
        coroutine.yield(sleep_long())
      end)
      coroutine.yield(weir.sleep(0))
    end)
    assert.equal("first", generator())
    assert.is_true(weir.sleep(0.002))
    assert.equal("ETIMEDOUT", generator())
    assert.is_true(generator())
  end)

  it("lets errors through as they are, and ends", function()
    local raised = {}
    local ok, got = pcall(weir.deadline, 0, error, raised)
    assert.is_false(ok)
    assert.equal(raised, got)
    assert.is_true(weir.sleep(0))
  end)

  it("refuses what is no time and no function", function()
    assert.has_error(function() weir.deadline("1", print) end,
      "deadline: seconds, 0 or more, expected, got string")
    assert.has_error(function() weir.deadline(-1, print) end,
      "deadline: seconds, 0 or more, expected, got -1")
    expect.raises("deadline: seconds, 0 or more, expected, got nan", function() weir.deadline(0 / 0, print) end)
    assert.has_error(function() weir.deadline(1) end, "deadline: a function expected, got nil")
  end)
end)
