local expect = require("spec.support.expect")
local weir_binary = require("spec.support.weir")

-- Tells itself at once, so that nothing depends on when a signal arrives.
local KILL = [[
  local ffi = require("ffi")
  ffi.cdef("int kill(int, int); int getpid(void);")
  local numbers = { INT = 2, QUIT = 3, USR1 = 10, PIPE = 13, TERM = 15 }
  local function kill(name) ffi.C.kill(ffi.C.getpid(), numbers[name]) end
]]

local function run(code, ...)
  return weir_binary.run({ stdin = KILL:gsub("\n", " ") .. code, ... })
end

local function kill(name)
  io.popen("kill -" .. name .. " $PPID"):close()
end

describe("signal", function()
  it("calls f(name) in a task, each time, until cancelled", function()
    local got = weir.channel(math.huge)
    local handle = weir.signal("USR1", function(name)
      weir.sleep(0)
      got:put(name)
    end)
    assert.equal("weir.signal: USR1", tostring(handle))
    for _ = 1, 2 do
      kill("USR1")
      assert.equal("USR1", got:get({ timeout = 5 }))
    end
    handle:cancel()
    handle:cancel()
    assert.matches("%(over%)$", tostring(handle))
  end)

  it("calls several handlers in their order, and one may end another", function()
    local order, done = {}, weir.channel(1)
    local first, second, third
    first = weir.signal("USR1", function()
      order[#order + 1] = 1
      second:cancel()
    end)
    second = weir.signal("SIGUSR1", function() order[#order + 1] = 2 end)
    third = weir.signal("USR1", function()
      order[#order + 1] = 3
      done:put(true)
    end)
    kill("USR1")
    done:get({ timeout = 5 })
    assert.same({ 1, 3 }, order)
    first:cancel()
    third:cancel()
  end)

  it("refuses what it does not know, and what cannot be handled", function()
    local ok, message = pcall(weir.signal, "NOSUCH", print)
    assert.is_false(ok)
    assert.matches("unknown signal 'NOSUCH' %(known: .*HUP.*TERM", message)
    assert.has_error(function() weir.signal("KILL", print) end, "signal: KILL cannot be handled")
    expect.raises("signal: STOP cannot be handled", function() weir.signal("STOP", print) end)
    expect.raises("signal: unknown signal 'INT", function() weir.signal("INT\0", print) end)
    expect.raises("bad argument #2 to 'signal' %(function expected", function() weir.signal("TERM") end)
    expect.raises("signal: unknown signal '15'", function() weir.signal(15, print) end)
  end)

  it("does not keep the host", function()
    local out, err, status = run([[weir.signal("USR1", print) weir.signal("INT", print)]])
    assert.same({ "", "", 0 }, { out, err, status })
  end)

  it("handled no more does again what it did before", function()
    local out, _, status = run([[
      local handle
      handle = weir.signal("INT", function(name) print(name) handle:cancel() kill("INT") end)
      kill("INT")
      weir.sleep(10)]])
    assert.equal("INT\n", out)
    assert.equal(130, status)
    assert.equal(138, select(3, run([[
      weir.signal("USR1", print):cancel()
      kill("USR1")
      weir.sleep(10)]])))
  end)
end)

describe("SIGINT", function()
  it("ends with 130, and what was written leaves", function()
    local out, err, status = run([[
      local a, b = weir.pair()
      print("started")
      kill("INT")
      weir.sleep(10)
      print("late")]])
    assert.same({ "started\n", "", 130 }, { out, err, status })
  end)

  it("a second one ends at once, even if Lua never yields", function()
    assert.equal(130, select(3, run([[kill("INT") kill("INT") while true do end]])))
    assert.equal(130, select(3, run([[
      io.popen("sleep 0.1; kill -INT $PPID; sleep 0.1; kill -INT $PPID")
      while true do end]])))
  end)

  it("handled by the script replaces all that, the second one too", function()
    local out, err, status = run([[
      local count = 0
      weir.signal("INT", function()
        count = count + 1
        print(count)
        if count == 3 then weir.exit(9) end
        kill("INT")
      end)
      kill("INT")
      weir.sleep(10)]])
    assert.same({ "1\n2\n3\n", "", 9 }, { out, err, status })
  end)

  -- Two seconds are what Lua code that never waits has then.
  it("that came just before its handler is handled, and that is all", function()
    local out, err, status = run([[
      kill("INT")
      local told = weir.channel(1)
      local handle = weir.signal("INT", function() told:put("told") end)
      print(told:get({ timeout = 10 }))
      weir.sleep(2.1)
      handle:cancel()
      kill("INT")
      print("the first one again")
      weir.sleep(10)]])
    assert.same({ "told\nthe first one again\n", "", 130 }, { out, err, status })
  end)
end)

describe("SIGTERM", function()
  it("ends what never waits, after --grace; so does SIGINT at once", function()
    local running = {}
    for i, name in ipairs({ "INT", "TERM" }) do
      running[i] = assert(weir.process({ weir_binary.binary, "--grace=0.01", "-e",
        KILL .. ("kill('%s') while true do end"):format(name) }))
    end
    for i, status in ipairs({ 130, 143 }) do
      assert.equal("weir: Lua code has not waited since the signal that ends it\n",
        running[i].stderr:read_until_close({ timeout = 30 }))
      assert.same({ "exit", status }, { running[i]:wait({ timeout = 30 }) })
    end
  end)

  it("ends at once where nothing is under way, timers or not", function()
    local out, err, status = run([[
      weir.every(0.01, function() end):ref()
      weir.after(100, print)
      local listener = weir.listen("127.0.0.1:0", print)
      print("up")
      weir.defer(function() kill("TERM") end)]], "--grace", "30", "-")
    assert.same({ "up\n", "", 0 }, { out, err, status })
  end)

  it("ends idle connections, and lets handlers at work finish", function()
    local out, err, status = run([[
      local working, idle, listener
      local draining = weir.channel(1)
      listener = weir.listen("127.0.0.1:0", function(stream)
        local line, _, code = stream:read_until("\n", { inclusive = false })
        if not line then print("idle", code) return end
        print("working", line)
        kill("TERM")
        weir.sleep(0)
        weir.sleep(0)
        print("refused", (select(3, weir.connect(listener:address()))))
        draining:put(true)
        stream:write("answer\n")
        stream:close()
      end)
      idle = weir.connect(listener:address())
      working = weir.connect(listener:address())
      working:write("question\n")
      draining:get()
      working:read_until("\n", print)]], "--grace", "30", "-")
    assert.equal("", err)
    assert.matches("working\tquestion\n", out)
    assert.matches("answer\n\n$", out)
    assert.matches("idle\tECANCELED\n", out)
    assert.matches("refused\tECONNREFUSED\n", out)
    assert.equal(0, status)
  end)

  it("cuts off after --grace seconds, with the usual status", function()
    local out, err, status = run([[
      weir.defer(function() kill("TERM") end)
      weir.sleep(100)
      print("late")]], "--grace=0.01", "-")
    assert.same({ "", "", 0 }, { out, err, status })
    out, err, status = run([[
      weir.defer(function() kill("TERM") error("reported", 0) end)
      weir.sleep(100)]], "--grace=0.01", "-")
    assert.matches("reported", err)
    assert.same({ "", 1 }, { out, status })
  end)

  it("tells what --grace cut off why", function()
    local out, _, status = run([[
      local s = weir.connect(weir.listen("127.0.0.1:0", function() weir.sleep(100) end):address())
      s:start_tls({ verify = false, server_name = "x" }, function(_, message, code) print(message, code) end)
      weir.defer(function() kill("TERM") end)]], "--grace=0.01", "-")
    assert.matches("^start_tls .*: the host is ending\tECANCELED\n$", out)
    assert.equal(0, status)
  end)

  it("a second one kills at once, even if Lua never yields", function()
    assert.equal(143, select(3, run([[
      kill("TERM")
      weir.sleep(0.001)
      kill("TERM")
      while true do end]])))
    assert.equal(143, select(3, run([[
      io.popen("sleep 0.1; kill -TERM $PPID; sleep 0.1; kill -TERM $PPID")
      while true do end]])))
    assert.equal(130, select(3, run([[kill("TERM") kill("INT") while true do end]])))
  end)

  it("handled by the script replaces that", function()
    local out, err, status = run([[
      weir.signal("TERM", function(name) print(name) weir.exit(5) end)
      kill("TERM")
      weir.sleep(10)]])
    assert.same({ "TERM\n", "", 5 }, { out, err, status })
  end)
end)

describe("SIGPIPE", function()
  it("never kills, and may be handled", function()
    local out, err, status = run([[
      kill("PIPE")
      local a, b = weir.pair()
      b:abort()
      weir.sleep(0)
      a:write("x", function(...) print(select(3, ...)) end)
      weir.sleep(0.002)
      local handle = weir.signal("PIPE", print)
      kill("PIPE")
      weir.sleep(0.002)
      handle:cancel()
      kill("PIPE")
      weir.sleep(0.002)
      print("alive")]])
    assert.same({ "EPIPE\nPIPE\nalive\n", "", 0 }, { out, err, status })
  end)

  it("kills the programs that are started, as usual", function()
    local out = run([[print(io.popen("sh -c 'kill -PIPE $$'; echo $?"):read("*a"))]])
    assert.equal("141\n\n", out)
  end)
end)
