local expect = require("spec.support.expect")

describe("sleep", function()
  it("gives true, and never sleeps less than asked", function()
    for _, seconds in ipairs({ 0, 0.0001, 0.001, 0.0123 }) do
      local before = weir.now()
      assert.is_true(weir.sleep(seconds))
      assert.is_true(weir.now() - before >= seconds)
    end
  end)

  it("counts from its call, however long Lua ran before", function()
    local before = weir.now()
    while weir.now() - before < 0.01 do end
    before = weir.now()
    weir.sleep(0.005)
    assert.is_true(weir.now() - before >= 0.005)
  end)

  it("takes a callback, which never runs inside the call", function()
    local done, order = weir.channel(1), {}
    weir.sleep(0, function(...)
      order[#order + 1] = "callback"
      done:put({ ... })
    end)
    order[1] = "call returned"
    assert.same({ true }, done:get({ timeout = 5 }))
    assert.same({ "call returned", "callback" }, order)
  end)

  it("refuses what is no time", function()
    for _, wrong in ipairs({ -1, 0 / 0, "soon", {} }) do
      expect.raises("bad argument #1 to 'sleep' %(seconds, 0 or more, expected", function() weir.sleep(wrong) end)
    end
    expect.raises("bad argument #1 to 'sleep' %(seconds, 0 or more, expected", function() weir.sleep() end)
    assert.has_error(function() weir.sleep(0, { timeout = 1 }) end,
      "sleep: unknown option 'timeout' (known: none)")
  end)

  it("of for ever can be cancelled", function()
    local task = weir.spawn(weir.sleep, math.huge)
    weir.sleep(0)
    task:cancel()
    assert.equal("ECANCELED", (select(3, task:join())))
  end)
end)

describe("after", function()
  it("calls once, in a task, later", function()
    local calls, done = 0, weir.channel(1)
    local before = weir.now()
    local timer = weir.after(0.002, function(...)
      calls = calls + 1 + select("#", ...)
      weir.sleep(0)
      done:put(weir.now() - before)
    end)
    assert.equal(0, calls)
    assert.matches("^weir%.timer: 0x%x+$", tostring(timer))
    assert.is_true(done:get({ timeout = 5 }) >= 0.002)
    weir.sleep(0.005)
    assert.equal(1, calls)
    assert.matches("%(over%)$", tostring(timer))
    timer:cancel()
  end)

  it("cancelled does not call, and cancelling twice is harmless", function()
    local called = false
    local timer = weir.after(0.001, function() called = true end)
    timer:cancel()
    timer:cancel()
    weir.sleep(0.003)
    assert.is_false(called)
  end)

  it("is not lost when nobody holds the handle", function()
    local done = weir.channel(1)
    weir.after(0.002, function() done:put(true) end)
    collectgarbage()
    collectgarbage()
    assert.is_true(done:get({ timeout = 5 }))
  end)

  it("fires in the order of the times", function()
    local order, done = {}, weir.channel(1)
    weir.after(0.006, function() done:put(true) end)
    weir.after(0.004, function() order[#order + 1] = 3 end)
    weir.after(0.002, function() order[#order + 1] = 2 end)
    weir.after(0, function() order[#order + 1] = 1 end)
    done:get({ timeout = 5 })
    assert.same({ 1, 2, 3 }, order)
  end)

  it("refuses what is no time and no function", function()
    expect.raises("bad argument #1 to 'after' %(seconds, 0 or more, expected", function() weir.after(-1, print) end)
    expect.raises("bad argument #1 to 'after' %(seconds, 0 or more, expected", function() weir.after(0 / 0, print) end)
    expect.raises("bad argument #2 to 'after' %(function expected", function() weir.after(1) end)
    expect.raises("bad argument #2 to 'after' %(function expected", function() weir.after(1, "f") end)
  end)
end)

describe("every", function()
  it("fires until cancelled, also from inside", function()
    local ticks, done, timer = 0, weir.channel(1), nil
    timer = weir.every(0.001, function()
      ticks = ticks + 1
      if ticks == 3 then
        timer:cancel()
        done:put(true)
      end
    end)
    assert.is_true(done:get({ timeout = 10 }))
    weir.sleep(0.005)
    assert.equal(3, ticks)
  end)

  it("does not drift: the n-th firing is never before n intervals", function()
    local start, done, timer = weir.now(), weir.channel(1), nil
    local ticks, early = 0, 0
    timer = weir.every(0.002, function()
      ticks = ticks + 1
      if weir.now() - start < ticks * 0.002 then early = early + 1 end
      local busy = weir.now()
      while weir.now() - busy < 0.0005 do end
      if ticks == 10 then
        timer:cancel()
        done:put(true)
      end
    end)
    done:get({ timeout = 10 })
    assert.equal(0, early)
  end)

  it("stays on its grid after a stall, and makes up for nothing", function()
    local interval, fired, done, timer = 0.01, {}, weir.channel(1), nil
    local start = weir.now()
    timer = weir.every(interval, function()
      fired[#fired + 1] = weir.now() - start
      if #fired == 1 then
        while weir.now() - start < 5.5 * interval do end
      elseif #fired == 3 then
        timer:cancel()
        done:put(true)
      end
    end)
    done:get({ timeout = 10 })
    -- Of the firings at 2 to 5 intervals at most one is left, then the grid.
    assert.is_true(fired[3] >= 6 * interval)
  end)

  it("goes on after an error in its function", function()
    local ticks, caught, timer = 0, {}, nil
    local done = weir.channel(1)
    weir.guard(function(raised) caught[#caught + 1] = raised end, function()
      timer = weir.every(0.001, function()
        ticks = ticks + 1
        if ticks == 2 then
          timer:cancel()
          done:put(true)
        end
        error("tick " .. ticks, 0)
      end)
    end)
    done:get({ timeout = 5 })
    weir.sleep(0)
    assert.same({ "tick 1", "tick 2" }, caught)
  end)

  it("refuses 0 seconds", function()
    expect.raises("bad argument #1 to 'every' %(more than 0 seconds expected", function() weir.every(0, print) end)
    expect.raises("bad argument #1 to 'every' %(seconds, 0 or more, expected", function() weir.every(-1, print) end)
  end)
end)

describe("defer", function()
  it("calls in the next turn, in order, before what comes later", function()
    local order, done = {}, weir.channel(1)
    weir.defer(function()
      order[#order + 1] = 1
      weir.defer(function()
        order[#order + 1] = 3
        done:put(true)
      end)
    end)
    weir.defer(function() order[#order + 1] = 2 end)
    order[#order + 1] = 0
    done:get({ timeout = 5 })
    assert.same({ 0, 1, 2, 3 }, order)
    expect.raises("bad argument #1 to 'defer' %(function expected", function() weir.defer() end)
  end)
end)

it("a timer cancelled in the turn that it expires in is not called", function()
  local called, timers = 0, {}
  for i = 1, 2 do
    timers[i] = weir.after(0.001, function()
      called = called + 1
      timers[3 - i]:cancel()
    end)
  end
  local until_then = weir.now() + 0.002
  while weir.now() < until_then do end
  weir.sleep(0.005)
  assert.equal(1, called)
end)

describe("the clocks", function()
  it("are monotonic seconds and wall-clock seconds", function()
    local first = weir.now()
    assert.is_true(weir.now() >= first)
    assert.is_true(math.abs(weir.time() - os.time()) < 5)
    local uptime = io.open("/proc/uptime")
    if uptime then
      assert.is_true(weir.now() > 0)
      uptime:close()
    end
  end)

  it("go on while Lua runs", function()
    local before = weir.now()
    for _ = 1, 1e7 do
      if weir.now() > before then break end
    end
    assert.is_true(weir.now() > before)
  end)

  it("handles have ref and unref, which return them", function()
    local timer = weir.every(100, print)
    assert.equal(timer, timer:unref())
    assert.equal(timer, timer:ref())
    timer:cancel()
  end)
end)
