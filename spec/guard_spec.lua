local expect = require("spec.support.expect")

-- An on_error that puts what it gets into a channel.
local function catcher()
  local caught = weir.channel(math.huge)
  return function(raised, traceback)
    caught:put({ raised = raised, traceback = traceback })
  end, caught
end

describe("guard", function()
  it("gives f's results, and f its arguments", function()
    local on_error = catcher()
    local function check(...)
      assert.equal(3, select("#", ...))
      assert.same({ 1, nil, 3 }, { ... })
    end
    check(weir.guard(on_error, function(...) return ... end, 1, nil, 3))
  end)

  it("catches an error in f itself, with its traceback, and goes on", function()
    local on_error, caught = catcher()
    local function culprit() error("no luck") end
    assert.equal(0, select("#", weir.guard(on_error, function() culprit() end)))
    local failure = caught:get({ timeout = 5 })
    assert.matches("guard_spec%.lua:%d+: no luck$", failure.raised)
    assert.matches("no luck.*stack traceback:.*in function 'culprit'", failure.traceback)
  end)

  it("catches an error after a wait in f", function()
    local on_error, caught = catcher()
    weir.guard(on_error, function() weir.sleep(0) error("late", 0) end)
    assert.equal("late", caught:get({ timeout = 5 }).raised)
  end)

  it("catches errors three callbacks and a spawned task later", function()
    local on_error, caught = catcher()
    weir.guard(on_error, function()
      weir.after(0, function()
        weir.sleep(0, function()
          weir.defer(function()
            weir.spawn(function()
              weir.sleep(0)
              error("deep", 0)
            end)
          end)
        end)
      end)
    end)
    local failure = caught:get({ timeout = 5 })
    assert.equal("deep", failure.raised)
    assert.matches("stack traceback:.*guard_spec%.lua", failure.traceback)
  end)

  it("catches errors of every kind of handler", function()
    local function fail() error("here", 0) end
    local a, b = weir.pair()
    local on_error, caught = catcher()
    local listener, watch, handle
    weir.guard(on_error, function()
      a:read_some(fail)
      a:set_close_callback(fail)
      listener = weir.listen("127.0.0.1:0", fail)
      handle = weir.signal("USR2", fail)
      watch = weir.watch(b:fd(), "w", fail)
      weir.channel(1):put(1, fail)
    end)
    b:write("x")
    local client = weir.connect(listener:address())
    io.popen("kill -USR2 $PPID"):close()
    for _ = 1, 5 do assert.equal("here", caught:get({ timeout = 5 }).raised) end
    a:close()
    assert.equal("here", caught:get({ timeout = 5 }).raised)
    watch:cancel()
    handle:cancel()
    listener:close()
    client:close()
    b:close()
  end)

  it("ends with f: what is registered afterwards is not its own", function()
    local on_outer, outer = catcher()
    local on_inner, inner = catcher()
    weir.guard(on_outer, function()
      weir.guard(on_inner, function() weir.sleep(0) end)
      weir.defer(function() error("outside", 0) end)
    end)
    assert.equal("outside", outer:get({ timeout = 5 }).raised)
    assert.equal("ETIMEDOUT", (select(3, inner:get({ timeout = 0 }))))
  end)

  it("nested: the inner one catches, and its own error goes outward", function()
    local on_outer, outer = catcher()
    local function on_inner(raised) error("inner: " .. raised, 0) end
    weir.guard(on_outer, function()
      weir.guard(on_inner, function()
        weir.defer(function() error("later", 0) end)
        error("at once", 0)
      end)
    end)
    assert.equal("inner: at once", outer:get({ timeout = 5 }).raised)
    assert.equal("inner: later", outer:get({ timeout = 5 }).raised)
  end)

  it("on_error may wait", function()
    local done = weir.channel(1)
    weir.guard(function(raised)
      weir.sleep(0)
      done:put(raised)
    end, function() weir.defer(function() error("x", 0) end) end)
    assert.equal("x", done:get({ timeout = 5 }))
  end)

  it("leaves an error that a join took", function()
    local on_error, caught = catcher()
    weir.guard(on_error, function()
      assert.equal("ETASK", (select(3, weir.spawn(error, "joined"):join())))
    end)
    assert.equal("ETIMEDOUT", (select(3, caught:get({ timeout = 0 }))))
  end)

  it("passes error objects on as they are, nil too", function()
    local object, seen = {}, {}
    local function on_error(raised) seen[#seen + 1] = { raised } end
    weir.guard(on_error, error, object)
    weir.guard(on_error, error, nil)
    weir.guard(function(raised) assert.equal(5, raised) end, error, 5, 0)
    weir.guard(on_error, error, setmetatable({}, { __tostring = function() error("no") end }))
    assert.equal(object, seen[1][1])
    assert.is_nil(seen[2][1])
    assert.is_table(seen[3][1])
  end)

  it("holds inside coroutines and deadlines", function()
    local on_error, caught = catcher()
    coroutine.wrap(function()
      weir.guard(on_error, function()
        weir.deadline(5, function() weir.sleep(0) error("in both", 0) end)
      end)
    end)()
    assert.equal("in both", caught:get({ timeout = 5 }).raised)
  end)

  it("refuses what are not two functions", function()
    assert.has_error(function() weir.guard(print) end,
      "guard: two functions expected, on_error and f, got function and nil")
    expect.raises("guard: two functions expected, on_error and f, got nil and function",
      function() weir.guard(nil, print) end)
  end)
end)

describe("locals", function()
  -- Runs f in a task of its own, and gives its result, or its error.
  local function within(f)
    local result, message, code = weir.spawn(f):join()
    assert.is_nil(code, message)
    return result
  end

  it("are the task's own table, the same each time", function()
    within(function()
      assert.equal(weir.locals(), weir.locals())
      weir.locals().a = 1
      weir.sleep(0)
      assert.equal(1, weir.locals().a)
    end)
  end)

  it("are inherited by tasks and callbacks, read-through", function()
    assert.same({ "task", "own", "later" }, within(function()
      weir.locals().a = "task"
      local done = weir.channel(1)
      weir.after(0, function()
        weir.locals().b = "own"
        weir.spawn(function()
          local locals = weir.locals()
          weir.sleep(0.001)
          done:put({ locals.a, locals.b, locals.c })
        end)
      end)
      weir.locals().c = "later"
      return done:get({ timeout = 5 })
    end))
  end)

  it("written in a callback are not the registrant's", function()
    within(function()
      weir.locals().a = 1
      weir.spawn(function() weir.locals().a = 2 end):join()
      assert.equal(1, weir.locals().a)
    end)
  end)

  it("do not leak to those who inherit nothing", function()
    within(function() weir.locals().secret = 1 end)
    assert.is_nil(within(function() return weir.locals().secret end))
    for _ = 1, 100 do
      assert.is_nil(within(function() return rawget(weir.locals(), "secret") end))
    end
  end)

  it("stay the task's own in a guard, and after it", function()
    within(function()
      weir.locals().before = 1
      weir.guard(error, function()
        assert.equal(1, rawget(weir.locals(), "before"))
        weir.locals().inside = 2
      end)
      assert.equal(2, weir.locals().inside)
    end)
    within(function()
      weir.guard(error, function() weir.locals().inside = 1 end)
      assert.equal(1, weir.locals().inside)
      weir.guard(error, function() assert.equal(1, weir.locals().inside) end)
    end)
  end)

  it("pass through a chain of callbacks without end", function()
    local done = weir.channel(1)
    weir.spawn(function()
      weir.locals().first = "kept"
      local function step(n)
        weir.locals().n = n
        if n == 300 then
          done:put({ weir.locals().first, weir.locals().n })
        else
          weir.defer(function()
            assert(weir.locals().n == n)
            step(n + 1)
          end)
        end
      end
      step(1)
    end)
    assert.same({ "kept", 300 }, done:get({ timeout = 10 }))
  end)
end)
