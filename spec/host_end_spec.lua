-- When the host ends (R22), and how it is left. Each is a weir of its own: the
-- lines that it prints, and nothing on standard error unless said.
local weir_binary = require("spec.support.weir")

local function run(code, ...)
  return weir_binary.run({ stdin = code, ... })
end

local function ends(expected, code, ...)
  local out, err, status = run(code, ...)
  assert.equal("", err)
  assert.equal(expected, (out:gsub("\n", " "):gsub(" $", "")))
  assert.equal(0, status)
end

describe("the host ends when nothing can happen any more:", function()
  it("after the last task, whatever is merely open", function()
    ends("done", [[
      a, b = weir.pair()
      stream = weir.stream()
      channel = weir.channel()
      accepted = weir.channel(1)
      listener = weir.listen("127.0.0.1:0", function(s) accepted:put(s) end)
      client, server = weir.connect(listener:address()), accepted:get()
      listener:close()
      weir.signal("USR1", print)
      print("done")]])
  end)

  it("not before timers, tasks and operations", function()
    ends("main deferred after spawned 1 2 slept", [[
      weir.after(0.002, function()
        print("after")
        weir.spawn(function()
          weir.sleep(0.002)
          print("spawned")
          local ticks, timer = 0, nil
          timer = weir.every(0.002, function()
            ticks = ticks + 1
            print(ticks)
            if ticks < 2 then return end
            timer:cancel()
            weir.sleep(0.002, function() print("slept") end)
          end)
        end)
      end)
      weir.defer(function() print("deferred") end)
      print("main")]])
  end)

  it("not while a listener listens, a watch watches, a peer may write", function()
    ends("r connected 1", [[
      local listener
      listener = weir.listen("127.0.0.1:0", function(stream)
        print("connected")
        stream:write("1\n")
        listener:close()
        stream:close()
      end)
      pipe = io.popen("echo x; exec 2>&-")
      local ffi = require("ffi")
      ffi.cdef("int fileno(void *); ")
      local handle
      handle = weir.watch(ffi.C.fileno(pipe), "r", function(events)
        print(events)
        handle:cancel()
        weir.connect(listener:address(), function(client)
          client:read_until("\n", { inclusive = false }, print)
        end)
      end)]])
  end)

  it("not while a stream has a close callback, or bytes to write", function()
    ends("main over nil", [[
      local listener
      listener = weir.listen("127.0.0.1:0", function(stream)
        listener:close()
        stream:set_close_callback(function(message) print("over " .. tostring(message)) end)
        weir.after(0.01, function() stream:close() end)
      end)
      weir.connect(listener:address())
      print("main")]])
    ends("1048576", [[
      local listener
      listener = weir.listen("127.0.0.1:0", function(stream)
        listener:close()
        print(#stream:read_until_close())
      end)
      local client = weir.connect(listener:address())
      client:write(("x"):rep(1048576), function() end)
      client:close()]])
  end)

  it("what is unref'd does not count", function()
    ends("done", [[
      weir.after(100, print):unref()
      weir.every(100, print):unref()
      weir.listen("127.0.0.1:0", print):unref()
      pipe = io.popen("sleep 0.2", "r")
      require("ffi").cdef("int fileno(void *);")
      weir.watch(require("ffi").C.fileno(pipe), "r", print):unref()
      weir.spawn(function() weir.sleep(100) end):unref()
      weir.spawn(function() weir.channel():get() end):unref()
      local listener = weir.listen("127.0.0.1:0", function(s) server = s end):unref()
      local client = weir.connect(listener:address()):unref()
      client:set_close_callback(print)
      client:read_some(print)
      print("done")]])
  end)

  it("a task unref'd while it waits, and one ref'd again", function()
    ends("ref'd", [[
      local task = weir.spawn(function() weir.sleep(100) end)
      local other = weir.spawn(function() weir.sleep(0.005) print("ref'd") end)
      weir.sleep(0)
      task:unref()
      other:unref()
      other:ref()]])
  end)

  it("a stream unref'd, whatever waits until its bytes have left", function()
    ends("done", [[
      a, b = weir.pair()
      a:unref():write(("x"):rep(5000000), print)
      a:flush(print)
      a:send_file("/etc/passwd", print)
      a:detach(print)
      print("done")]])
  end)

  it("a timer unref'd later, and one ref'd again", function()
    ends("fired", [[
      local timer = weir.after(0.005, function() print("fired") end)
      timer:unref()
      timer:ref()
      local long = weir.after(100, print)
      long:unref()]])
  end)

  it("callbacks that only tasks could call are dropped, without a word", function()
    ends("done", [[
      local channel = weir.channel()
      channel:get(print)
      a, b = weir.pair()
      a:read_some(print)
      print("done")]])
  end)

  it("the collector closes what is unreachable, and its peer is told", function()
    ends("EOF", [[
      local a, b = weir.pair()
      b = nil
      local _, _, code = a:read_some()
      print(code)]])
  end)
end)

describe("stop", function()
  it("leaves the loop after this turn, without a deadlock report", function()
    ends("before after stop", [[
      weir.every(100, print)
      weir.spawn(function() weir.channel():get() end)
      weir.sleep(0)
      print("before")
      weir.stop()
      print("after stop")
      weir.sleep(0)
      print("never")]])
  end)

  it("has the usual exit status", function()
    local _, err, status = run([[
      weir.defer(function() error("reported", 0) end)
      weir.sleep(0.001)
      weir.stop()]])
    assert.matches("reported", err)
    assert.equal(1, status)
  end)
end)

describe("exit", function()
  it("does not return, and ends with its status", function()
    for _, call in ipairs({ "weir.exit(3)", "os.exit(3)" }) do
      local out, err, status = run("print(1) " .. call .. " print(2)")
      assert.same({ "1\n", "", 3 }, { out, err, status })
    end
    assert.equal(0, select(3, run("weir.exit()")))
    assert.equal(0, select(3, run("weir.exit(true)")))
    assert.equal(1, select(3, run("weir.exit(false)")))
  end)

  it("refuses what is no status, at the caller's line", function()
    for _, status in ipairs({ "256", "-1", "1.5", "0/0", "'x'", "{}" }) do
      local _, err, exit = run("print(1)\nos.exit(" .. status .. ")")
      assert.matches("^weir: stdin:2: bad argument #1 to 'exit' "
        .. "%(a whole number from 0 to 255 expected", err)
      assert.equal(1, exit)
    end
    assert.equal(255, select(3, run("os.exit(255)")))
    assert.equal(weir.exit, os.exit)
    local ok, message = pcall(weir.exit, "x")
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'exit' ", message, 1, true)
  end)

  it("works while an error object puts itself into words", function()
    local _, err, status = run([[
      error(setmetatable({}, { __tostring = function() weir.exit(4) end }))]])
    assert.same({ "", 4 }, { err, status })
  end)

  it("works in callbacks, coroutines, finalizers and across C calls", function()
    for _, code in ipairs({
      "weir.after(0, function() weir.exit(4) end)",
      "coroutine.wrap(function() weir.exit(4) end)()",
      "table.sort({ 1, 2 }, function() weir.exit(4) end)",
      "getmetatable(newproxy(true)).__gc = function() weir.exit(4) end collectgarbage() collectgarbage()",
    }) do
      assert.equal(4, select(3, run(code)))
    end
  end)

  it("flushes streams, for at most their linger", function()
    local got = weir.channel(1)
    local listener = weir.listen("127.0.0.1:0", function(stream)
      weir.sleep(0.01)
      got:put(#stream:read_until_close())
      stream:close()
    end)
    local script = [[local stream = weir.connect("%s")
      stream:write(("x"):rep(8388608), function() end)
      weir.exit(5)]]
    local pipe = io.popen(("timeout 60 '%s' -e '%s'; echo $?"):format(
      weir_binary.binary, script:format(listener:address())))
    assert.equal(8388608, got:get({ timeout = 30 }))
    assert.equal("5\n", pipe:read("*a"))
    pipe:close()
    listener:close()
  end)

  it("reports errors of tasks that nobody joined", function()
    local _, err, status = run([[
      task = weir.spawn(function() error("unseen", 0) end)
      weir.sleep(0)
      weir.exit(6)]])
    assert.matches("uncaught error in task #%d+ spawned at stdin:1\nunseen\n", err)
    assert.equal(6, status)
  end)
end)
