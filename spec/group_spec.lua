-- weir.any and weir.all.

local expect = require("spec.support.expect")

local code_of = expect.code_of

-- A task that waits for ever, and one that ends when it is told.
local function suspended()
  local task = weir.spawn(function() return weir.channel():get() end)
  weir.sleep(0)
  return task
end

describe("any", function()
  it("gives the first to end and its results; the others go on", function()
    local slow = suspended()
    local fast = weir.spawn(function() return "fast", nil, 3 end)
    local function check(...)
      assert.equal(4, select("#", ...))
      local task, a, b, c = ...
      assert.equal(fast, task)
      assert.same({ "fast", nil, 3 }, { a, b, c })
    end
    check(weir.any({ slow, fast }))
    check(weir.any({ slow, fast }))
    assert.equal("waiting", slow:status())
    slow:cancel()
    assert.equal(slow, (weir.any({ slow })))
  end)

  it("gives ETASK of one that raised, and takes the error", function()
    local bad = weir.spawn(error, "bad", 0)
    local task, value, message, code = weir.any({ suspended(), bad })
    assert.equal(bad, task)
    assert.is_nil(value)
    assert.matches("bad", message)
    assert.equal("ETASK", code)
  end)

  it("times out and is cancelled, and its tasks go on", function()
    local tasks = { suspended(), suspended() }
    local value, message, code = weir.any(tasks, { timeout = 0.001 })
    assert.is_nil(value)
    assert.matches("^any of 2 tasks.*: timed out after 0%.001 s$", message)
    assert.equal("ETIMEDOUT", code)
    local waiter = weir.spawn(weir.any, tasks)
    weir.sleep(0)
    waiter:cancel()
    assert.equal("ECANCELED", code_of(waiter:join()))
    for _, task in ipairs(tasks) do
      assert.equal("waiting", task:status())
      task:cancel()
    end
  end)

  it("takes the same task twice, a callback, and refuses none at all", function()
    local told = weir.channel(1)
    local task = weir.spawn(function() return "x" end)
    weir.any({ task, task }, function(...) told:put({ ... }) end)
    assert.same({ task, "x" }, told:get({ timeout = 5 }))
    expect.raises("at least one task expected", function() weir.any({}) end)
    assert.has_error(function() weir.any({ 1 }) end, "any: tasks expected, got number at 1")
    expect.raises("table expected, got userdata", function() weir.any(task) end)
  end)
end)

describe("all", function()
  it("gives a list of each one's first result", function()
    local list = weir.all({
      weir.spawn(function() weir.sleep(0.002) return 1, "no" end),
      weir.spawn(function() return 2 end),
      weir.spawn(function() weir.sleep(0) return 3 end),
    })
    assert.same({ 1, 2, 3 }, list)
    assert.same({}, weir.all({}))
  end)

  it("fails with the first failure, at once", function()
    local slow = suspended()
    local value, message, code = weir.all({ slow,
      weir.spawn(function() weir.sleep(0) error("late", 0) end) })
    assert.is_nil(value)
    assert.equal("late", message)
    assert.equal("ETASK", code)
    assert.equal("waiting", slow:status())
    slow:cancel()
    local never = weir.spawn(print)
    never:cancel()
    assert.equal("ECANCELED", code_of(weir.all({ never })))
  end)

  it("times out and is cancelled, and its tasks go on", function()
    local channel = weir.channel()
    local tasks = { weir.spawn(function() return channel:get() end), weir.spawn(function() return 2 end) }
    assert.equal("ETIMEDOUT", code_of(weir.all(tasks, { timeout = 0.001 })))
    local waiter = weir.spawn(weir.all, tasks)
    weir.sleep(0)
    waiter:cancel()
    assert.equal("ECANCELED", code_of(waiter:join()))
    channel:put(1)
    assert.same({ 1, 2 }, weir.all(tasks, { timeout = 5 }))
  end)

  it("takes the same task twice, and a list that is changed meanwhile", function()
    local channel = weir.channel()
    local task = weir.spawn(function() return channel:get() end)
    local tasks = { task, task }
    local waiter = weir.spawn(function() return weir.all(tasks) end)
    task = nil
    weir.sleep(0)
    tasks[1], tasks[2] = nil, nil
    collectgarbage()
    collectgarbage()
    channel:put("x")
    assert.same({ "x", "x" }, waiter:join({ timeout = 5 }))
    assert.is_nil(task)
  end)
end)
