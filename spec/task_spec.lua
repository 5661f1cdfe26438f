local expect = require("spec.support.expect")

local code_of = expect.code_of

-- A task that waits for ever, and one that ends when it is told.
local function suspended()
  local task = weir.spawn(function() return weir.channel():get() end)
  weir.sleep(0)
  return task
end

describe("a spawned task", function()
  it("starts at the next turn, with its arguments", function()
    local order = {}
    local task = weir.spawn(function(...)
      order[#order + 1] = { ... }
      return true
    end, 1, nil, 3)
    order[#order + 1] = "spawn returned"
    assert.equal("ready", task:status())
    assert.is_true(task:join())
    assert.same({ "spawn returned", { 1, nil, 3 } }, order)
  end)

  it("is refused where no function is given", function()
    expect.raises("bad argument #1 to 'spawn' %(function expected", function() weir.spawn() end)
    expect.raises("bad argument #1 to 'spawn' %(function expected", function() weir.spawn("print") end)
  end)

  it("and its like blame a line of the script, and name themselves, through pcall, too", function()
    for call, words in pairs({
      [weir.spawn] = "to 'spawn' (function expected, got no value)",
      [weir.any] = "to 'any' (table expected, got no value)",
      [weir.defer] = "to 'defer' (function expected, got no value)",
      [weir.process] = "to 'process' (a list of strings, the command first, expected)",
    }) do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches("^[^\n]*task_spec%.lua:%d+: bad argument #1 ", message)
      assert.matches(words, message, 1, true)
    end
  end)

  it("says what state it is in", function()
    local statuses, channel = {}, weir.channel()
    local task
    task = weir.spawn(function()
      statuses[#statuses + 1] = task:status()
      channel:get()
      return 1
    end)
    statuses[#statuses + 1] = task:status()
    weir.sleep(0)
    statuses[#statuses + 1] = task:status()
    channel:put(true)
    statuses[#statuses + 1] = task:status()
    task:join()
    statuses[#statuses + 1] = task:status()
    assert.same({ "ready", "running", "waiting", "ready", "done" }, statuses)
    local failed = weir.spawn(error, "x")
    failed:join()
    assert.equal("failed", failed:status())
    assert.matches("^weir%.task #%d+ %(failed%)$", tostring(failed))
  end)
end)

describe("join", function()
  it("gives all results, nils included", function()
    local task = weir.spawn(function(...) return ... end, 1, nil, 3, nil)
    local function check(...)
      assert.equal(4, select("#", ...))
      assert.same({ 1, nil, 3 }, { ... })
    end
    check(task:join())
    check(task:join())
    local none = weir.spawn(function() end)
    assert.equal(0, select("#", none:join()))
  end)

  it("gives nil, message, ETASK when the task raised", function()
    local value, message, code = weir.spawn(function() error("no luck", 0) end):join()
    assert.is_nil(value)
    assert.equal("no luck", message)
    assert.equal("ETASK", code)
  end)

  it("has words for an error that is no string", function()
    local function message_of(raised)
      return (select(2, weir.spawn(error, raised):join()))
    end
    assert.matches("table.*code = 42", message_of({ code = 42 }))
    assert.matches("nil", message_of(nil))
    assert.equal("words", message_of(setmetatable({}, { __tostring = function() return "words" end })))
    assert.matches("table", message_of(setmetatable({}, { __tostring = function() error("no") end })))
    assert.matches("table", message_of(setmetatable({}, { __tostring = function() return {} end })))
  end)

  it("tells every one who waits, and callbacks too", function()
    local results, channel = {}, weir.channel()
    local task = weir.spawn(function() return channel:get() end)
    local joiners = {}
    for i = 1, 3 do
      joiners[i] = weir.spawn(function() results[i] = task:join() end)
    end
    local told = weir.channel(1)
    assert.equal(0, select("#", task:join(function(...) told:put({ ... }) end)))
    weir.sleep(0)
    channel:put("value")
    assert.same({ "value" }, told:get({ timeout = 5 }))
    weir.all(joiners)
    assert.same({ "value", "value", "value" }, results)
  end)

  it("times out, and the task goes on", function()
    local task = suspended()
    local value, message, code = task:join({ timeout = 0.001 })
    assert.is_nil(value)
    assert.matches("^join task #%d+ spawned at .*task_spec%.lua:%d+: timed out after 0%.001 s$", message)
    assert.equal("ETIMEDOUT", code)
    assert.equal("waiting", task:status())
    task:cancel()
    assert.equal("ECANCELED", code_of(task:join()))
  end)

  it("refuses the task itself, and options it does not know", function()
    local task
    task = weir.spawn(function() task:join() end)
    assert.matches("cannot wait for itself", (select(2, task:join())))
    assert.has_error(function() task:join({ tiemout = 1 }) end,
      "join: unknown option 'tiemout' (known: timeout)")
    expect.raises("bad option 'timeout' %(seconds, 0 or more, expected, got %-1%)",
      function() task:join({ timeout = -1 }) end)
    expect.raises("options %(a table%) or callback expected", function() task:join(1) end)
  end)
end)

describe("cancel", function()
  it("before the first turn: the task never runs", function()
    local ran = false
    local task = weir.spawn(function() ran = true end)
    task:cancel()
    task:cancel()
    assert.equal("ECANCELED", code_of(task:join()))
    assert.is_false(ran)
    assert.equal("cancelled", task:status())
  end)

  it("fails what the task waits in, with a message that names it", function()
    local task = suspended()
    task:cancel()
    local value, message, code = task:join()
    assert.is_nil(value)
    assert.equal("channel get: Operation canceled", message)
    assert.equal("ECANCELED", code)
  end)

  it("counts once: what follows works, so a task can clean up", function()
    local codes = {}
    local task = weir.spawn(function()
      codes[1] = code_of(weir.sleep(100))
      codes[2] = weir.sleep(0)
    end)
    weir.sleep(0)
    task:cancel()
    task:join()
    assert.same({ "ECANCELED", true }, codes)
  end)

  it("fails the next wait of a task that does not wait now, once", function()
    local codes = {}
    local task
    task = weir.spawn(function()
      task:cancel()
      task:cancel()
      codes[1] = code_of(weir.sleep(0))
      codes[2] = weir.sleep(0)
    end)
    task:join()
    assert.same({ "ECANCELED", true }, codes)
  end)

  it("twice in a row, before the task has run again, counts once too", function()
    local codes = {}
    local task = weir.spawn(function()
      for i = 1, 2 do codes[i] = code_of(weir.sleep(i < 2 and 100 or 0)) or "slept" end
    end)
    weir.sleep(0)
    task:cancel()
    task:cancel()
    task:join()
    assert.same({ "ECANCELED", "slept" }, codes)
  end)

  it("leaves what completes at once alone", function()
    local channel, task = weir.channel(1), nil
    task = weir.spawn(function()
      task:cancel()
      local put = channel:put("at once")
      return put, code_of(weir.sleep(0))
    end)
    assert.same({ true, "ECANCELED" }, { task:join() })
  end)

  it("of a finished task is harmless, twice too", function()
    local task = weir.spawn(function() return 1 end)
    task:join()
    task:cancel()
    task:cancel()
    assert.equal("done", task:status())
    assert.equal(1, task:join())
  end)

  it("reaches a loop of operations that complete at once", function()
    local channel = weir.channel(math.huge)
    local task = weir.spawn(function()
      while true do
        local ok, _, code = channel:put(1)
        if not ok then return code end
      end
    end)
    weir.sleep(0)
    task:cancel()
    assert.equal("ECANCELED", (task:join({ timeout = 10 })))
  end)

  it("leaves a read's bytes and its slot as before", function()
    local a, b = weir.pair()
    local task = weir.spawn(function() return a:read_bytes(10) end)
    b:write("12345")
    b:flush()
    weir.sleep(0.001)
    task:cancel()
    assert.equal("ECANCELED", code_of(task:join()))
    assert.is_false(a:reading())
    b:write("67890")
    assert.equal("1234567890", a:read_bytes(10, { timeout = 5 }))
    a:close()
    b:close()
  end)

  it("of a write keeps its bytes queued, in order", function()
    local a, b = weir.pair({ high_water = 1 })
    local big = ("x"):rep(1048576)
    local task = weir.spawn(function() return a:write(big) end)
    weir.sleep(0)
    assert.equal("waiting", task:status())
    task:cancel()
    assert.equal("ECANCELED", code_of(task:join()))
    a:write("end", function() end)
    assert.equal(big .. "end", b:read_bytes(#big + 3, { timeout = 10 }))
    a:close()
    b:close()
  end)

  it("of a write is told after it was queued, however many went before", function()
    local a, b = weir.pair()
    local task = weir.spawn(function()
      local count = 0
      while true do
        count = count + 1
        local ok, _, code = a:write("x")
        if not ok then
          a:close()
          return count, code
        end
      end
    end)
    weir.sleep(0)
    task:cancel()
    local count, code = task:join({ timeout = 10 })
    assert.equal("ECANCELED", code)
    assert.equal(count, #b:read_until_close({ timeout = 10 }))
    b:close()
  end)

  it("while connecting closes the descriptor", function()
    -- Nobody accepts: what the queue does not hold goes on connecting.
    local listener = assert(weir.listen("127.0.0.1:0", { backlog = 1 }, function() end))
    listener:pause()
    local row = (" [0-9A-F]+:%04X 02 "):format(listener:address():match("%d+$"))
    local function connecting()
      local file = io.open("/proc/net/tcp")
      local count = select(2, file:read("*a"):gsub(row, ""))
      file:close()
      return count
    end
    local tasks, streams, cancelled = {}, {}, 0
    for i = 1, 4 do
      streams[i] = weir.stream()
      tasks[i] = weir.spawn(function() return streams[i]:connect(listener:address()) end)
    end
    weir.sleep(0.01)
    local before = connecting()
    for i = 1, 4 do
      if tasks[i]:status() == "waiting" then
        cancelled = cancelled + 1
        tasks[i]:cancel()
        assert.equal("ECANCELED", code_of(tasks[i]:join()))
        assert.is_true(streams[i]:closed())
        assert.is_nil(streams[i]:fd())
      end
    end
    assert.is_true(before > 0)
    assert.equal(before, cancelled)
    assert.equal(0, connecting())
    for i = 1, 4 do streams[i]:abort() end
    listener:close()
  end)
end)

describe("tasks", function()
  it("are cleaned up when nobody holds their handles", function()
    local weak = setmetatable({}, { __mode = "v" })
    for i = 1, 10 do
      weak[i] = weir.spawn(function() weir.sleep(0) return {} end)
    end
    weir.sleep(0.001)
    weir.sleep(0.001)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("unref and ref return the task", function()
    local task = suspended()
    assert.equal(task, task:unref())
    assert.equal(task, task:ref())
    task:cancel()
    task:join()
  end)

  it("are listed with what they wait for", function()
    local a, b = weir.pair()
    local task = weir.spawn(function()
      local data = a:read_bytes(70)
      return data
    end)
    b:write(("z"):rep(65))
    b:flush()
    weir.sleep(0.001)
    local found
    for _, entry in ipairs(weir.tasks()) do
      if entry.operation == "read_bytes" then found = entry end
    end
    assert.equal("waiting", found.status)
    assert.equal(a:id(), found.stream)
    assert.equal(65, found.buffered)
    assert.equal(("z"):rep(64), found.head)
    assert.matches("task_spec%.lua:%d+$", found.spawned_at)
    assert.matches("stack traceback:.*task_spec%.lua", found.traceback)
    assert.is_true(found.waiting >= 0)
    assert.is_false(found.main)
    b:write("12345")
    assert.equal(70, #task:join({ timeout = 5 }))
    a:close()
    b:close()
  end)

  it("streams are listed with their state", function()
    local a, b = weir.pair()
    a:read_some(function() end)
    local found
    for _, entry in ipairs(weir.streams()) do
      if entry.id == a:id() then found = entry end
    end
    assert.same({ true, "read_some", 0, 0, "open" },
      { found.reading, found.operation, found.buffered, found.queued, found.state })
    a:close()
    b:close()
  end)

  it("handles that the collector has finalized refuse, and crash nothing", function()
    local said
    do
      local held = {}
      local proxy = newproxy(true)
      getmetatable(proxy).__gc = function() said = { pcall(held.task.status, held.task) } end
      held.task = weir.spawn(function() end)
      held.proxy = proxy
      held.task:join()
    end
    collectgarbage()
    collectgarbage()
    assert.is_table(said)
  end)
end)
