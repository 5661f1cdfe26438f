-- What weir says on standard error: uncaught errors (R19), the deadlock (R23)
-- and the SIGQUIT (R24) reports. Each from a weir of its own.
local weir_binary = require("spec.support.weir")

local QUIT = [[local ffi = require("ffi") ffi.cdef("int kill(int, int); int getpid(void);") ]]
  .. [[local function quit() ffi.C.kill(ffi.C.getpid(), 3) weir.sleep(0.001) end ]]

local function run(code, ...)
  local out, err, status = weir_binary.run({ stdin = QUIT .. code, ... })
  return err, status, out
end

-- All of the patterns, in this order.
local function assert_in_order(text, patterns)
  local at = 1
  for _, pattern in ipairs(patterns) do
    local _, last = text:find(pattern, at)
    assert(last, ("no '%s' from byte %d on in:\n%s"):format(pattern, at, text))
    at = last + 1
  end
end

local function count_of(text, pattern)
  return select(2, text:gsub(pattern, ""))
end

describe("an uncaught error", function()
  it("in the main chunk ends the host at once, with 1", function()
    local err, status, out = run([[
      weir.after(0.01, function() print("late") end)
      local function culprit() weir.sleep(0) error("no luck") end
      culprit()]])
    assert_in_order(err, { "^weir: stdin:2: no luck\n", "stack traceback:", "in function 'culprit'" })
    assert.equal("", out)
    assert.equal(1, status)
  end)

  it("of Lua's own names the line in the traceback, too", function()
    assert.equal("weir: stdin:2: attempt to index local 'none' (a nil value)\n"
      .. "stack traceback:\n\tstdin:2: in function 'culprit'\n\tstdin:3: in main chunk\n", (run([[
      local function culprit(none)
        return none.field end
      return culprit(), 1]])))
    assert.equal("weir: stdin:1: attempt to call global 'nosuch' (a nil value)\n"
      .. "stack traceback:\n\tstdin:1: in main chunk\n", (run("nosuch()")))
  end)

  it("in a task ends that task; it says where it was spawned, once", function()
    local err, status, out = run([[
      weir.spawn(function()
        weir.sleep(0)
        error("no luck")
      end)
      weir.sleep(0.002)
      print("alive")]])
    assert_in_order(err, { "^weir: uncaught error in task #%d+ spawned at stdin:1\n",
      "stdin:3: no luck\n", "stack traceback:", "stdin:3" })
    assert.equal(1, count_of(err, "no luck"))
    assert.equal("alive\n", out)
    assert.equal(1, status)
  end)

  it("of a task that is joined, sooner or later, is not reported", function()
    local err, status = run([[
      local task = weir.spawn(error, "quiet")
      weir.sleep(0.002)
      task:join()
      weir.spawn(error, "quiet"):join()]])
    assert.same({ "", 0 }, { err, status })
  end)

  it("in a callback or a timer is reported once, and the host goes on", function()
    local err, status, out = run([[
      weir.sleep(0, function() error("in the callback") end)
      weir.after(0.001, function() error("in the timer") end)
      weir.sleep(0.005)
      print("alive")]])
    assert_in_order(err, { "uncaught error in task #%d+\n", "stdin:1: in the callback\n",
      "stack traceback:", "stdin:2: in the timer\n", "stack traceback:" })
    assert.equal(2, count_of(err, "uncaught error"))
    assert.equal("alive\n", out)
    assert.equal(1, status)
  end)

  it("on a stream names it, and closes it at once", function()
    local err, status, out = run([[
      local listener
      listener = weir.listen("127.0.0.1:0", function(stream)
        listener:close()
        stream:read_until("\n", function() error("no luck") end)
      end)
      local client = weir.connect(listener:address())
      client:write("x\n")
      print(select(3, client:read_some({ timeout = 5 })))]])
    assert_in_order(err, { "^weir: uncaught error on stream #%d+ %(tcp 127%.0%.0%.1:%d+, open%)\n",
      "stdin:4: no luck\n", "stack traceback:" })
    assert.matches("^E", out)
    assert.is_nil(out:find("ETIMEDOUT"))
    assert.equal(1, status)
  end)

  it("inside a script's coroutine shows both stacks", function()
    local err = run([[
      local function deep() weir.sleep(0) error("no luck") end
      coroutine.wrap(function() deep() end)()]])
    assert_in_order(err, { "no luck", "in function 'deep'", "resumed by", "stdin:2" })
  end)

  it("keeps its traceback through deadline and guard", function()
    local err = run([[
      local function deep() weir.sleep(0) error("no luck") end
      weir.deadline(5, function() deep() end)]])
    assert_in_order(err, { "no luck", "in function 'deep'" })
    err = run([[
      local function deep() error("no luck") end
      weir.guard(function(_, traceback) io.stderr:write(traceback) end, function() weir.sleep(0) deep() end)]])
    assert_in_order(err, { "no luck", "in function 'deep'" })
  end)

  it("that is no string is readable", function()
    local function said(raised)
      local err, status = run("weir.spawn(function() error(" .. raised .. ") end) weir.sleep(0)")
      assert.equal(1, status)
      assert.matches("stack traceback:", err)
      return err:match("spawned at stdin:1\n([^\n]*)\n")
    end
    assert.equal("(error object is nil)", said("nil"))
    assert.equal("(error object is a table: code = 42)", said("{ code = 42 }"))
    assert.equal('(error object is a table: "a", true, a table)', said('{ "a", true, {} }'))
    assert.equal("(error object is a table: 1, 2, 3, 4, 5, 6, 7, 8, ...)", said("{ 1, 2, 3, 4, 5, 6, 7, 8, 9 }"))
    assert.equal("stdin:1: 42", said("42"))
    assert.equal("(error object is a boolean)", said("false"))
    assert.equal("(error object is a function)", said("print"))
    assert.equal("in words", said("setmetatable({}, { __tostring = function() return 'in words' end })"))
    assert.equal("(error object is a table)", said("setmetatable({}, { __tostring = error })"))
    assert.equal("(error object is a table: x = 1)", said("setmetatable({ x = 1 }, { __tostring = function() end })"))
    assert.matches("^%(error object is a table: ", said('{ [("k"):rep(1e5)] = ("v"):rep(1e5) }'))
  end)

  it("in an error handler does not end the host", function()
    local err, status, out = run([[
      weir.guard(function() error("in on_error", 0) end, function()
        weir.defer(function() error("first", 0) end)
      end)
      weir.spawn(function() xpcall(error, function() error("in the handler") end, "x") print("went on") end)
      weir.sleep(0.002)
      print("alive")]])
    assert_in_order(err, { "uncaught error", "in on_error\n", "stack traceback:" })
    assert.is_nil(err:find("first"))
    assert.equal("went on\nalive\n", out)
    assert.equal(1, status)
  end)

  it("in a finalizer is reported, and the host goes on", function()
    local err, status, out = run([[
      getmetatable(newproxy(true)).__gc = function() error("in __gc", 0) end
      weir.sleep(0.3)
      print("alive")]])
    assert.matches("in __gc", err)
    assert.equal("alive\n", out)
    assert.equal(1, status)
  end)

  it("running out of stack is reported like any other", function()
    local err, status, out = run([[
      local function forever() return 1 + forever() end
      weir.spawn(forever)
      weir.sleep(0.01)
      print("alive")]])
    assert.matches("stack overflow", err)
    assert.equal("alive\n", out)
    assert.equal(1, status)
  end)
end)

describe("the deadlock report", function()
  it("names each task, where it waits and for what, and ends with 1", function()
    local err, status = run([[
      local channel = weir.channel()
      local task = weir.spawn(function() channel:get() end)
      weir.sleep(0)
      task:join()]])
    assert_in_order(err, { "^weir: deadlock: ",
      "task #1 %(main%): waiting in join task #2 spawned at stdin:2 for %d+%.%d%d%d s\n",
      "stack traceback:\n", "stdin:4: in ",
      "task #2 spawned at stdin:2: waiting in channel get for ", "stack traceback:\n", "stdin:2: in " })
    assert.equal(1, status)
  end)

  it("shows a wait inside coroutines from the innermost outward", function()
    local err = run([[
      local function inner() weir.channel():get() end
      local function middle() coroutine.wrap(inner)() end
      coroutine.wrap(middle)()]])
    assert_in_order(err, { "in a coroutine:\n", "in function <stdin:1>", "in a coroutine:\n",
      "in function <stdin:2>", "stack traceback:\n", "stdin:3: in " })
  end)

  it("tells of the other end of a pair, with what is buffered", function()
    local err, status = run([[
      local a, b = weir.pair()
      b:write("GET / HTTP\r\n")
      a:read_until("\r\n\r\n")]])
    assert_in_order(err, { "waiting in read_until on stream #%d+ %(unix", "12 bytes buffered\n",
      "0000  47 45 54 20 2f 20 48 54 54 50 0d 0a +GET / HTTP%.%.\n" })
    assert.equal(1, status)
  end)

  it("is of callbacks' tasks too, which their function names", function()
    local err, status = run([[
      weir.after(0, function() weir.channel():get() end)]])
    assert_in_order(err, { "task #%d+ of the function at stdin:1: waiting in channel get" })
    assert.equal(1, status)
  end)

  it("comes after the errors of those that will not come any more", function()
    local err, status = run([[
      local channel = weir.channel()
      weir.spawn(function() error("the culprit", 0) channel:put(1) end)
      channel:get()]])
    assert.matches("deadlock", err)
    assert.matches("the culprit", err)
    assert.equal(1, status)
  end)

  it("is not made for what is unref'd", function()
    local err, status = run([[weir.spawn(function() weir.channel():get() end):unref()]])
    assert.same({ "", 0 }, { err, status })
  end)
end)

describe("the SIGQUIT report", function()
  it("shows every task, and the host goes on", function()
    local err, status, out = run([[
      local server local listener = weir.listen("127.0.0.1:0", function(s) server = s s:read_bytes(1000) end)
      local client = weir.connect(listener:address())
      client:write(("\0\1az\255~"):rep(12) .. "\n")
      local sleeper = weir.spawn(function() weir.sleep(100) end)
      repeat weir.sleep(0) until server and server:buffered() == 73
      quit()
      print("alive")
      sleeper:unref()
      client:close()
      listener:close()]])
    assert_in_order(err, { "^weir: SIGQUIT: ",
      "task #1 %(main%): waiting in sleep for 0%.%d%d%d s\n", "stack traceback:", "stdin:6: in ",
      "task #%d+ of the function at stdin:1: waiting in read_bytes on ",
      "stream #%d+ %(tcp 127%.0%.0%.1:%d+, open%) for 0%.%d%d%d s\n",
      "73 bytes buffered, the first 64 are\n",
      "0000  00 01 61 7a ff 7e 00 01 61 7a ff 7e 00 01 61 7a  %.%.az%.~%.%.az%.~%.%.az\n",
      "0030  [^\n]+\n", "stack traceback:", "stdin:1: in ",
      "task #3 spawned at stdin:4: waiting in sleep for 0%.%d+ s\n", "stdin:4: in " })
    assert.is_nil(err:find("0040"))
    assert.equal("alive\n", out)
    assert.equal(0, status)
  end)

  it("shows callbacks that wait, and bytes that wait to be written", function()
    local err = run([[
      local a, b = weir.pair()
      a:write(("x"):rep(4194304), function() end)
      a:read_until("\n", print)
      weir.connect("192.0.2.1:1", { source = "127.0.0.1" }, print)
      weir.sleep(0.001)
      quit()
      a:abort()
      weir.stop()]])
    assert_in_order(err, {
      "callback of the function at stdin:2: waiting in write on stream #%d+ [^\n]+\n", "bytes wait to be written\n",
      "callback of a C function: waiting in read_until on stream #%d+ [^\n]+\n" })
  end)

  it("shows tasks that are ready and not yet begun", function()
    local err = run([[
      local out, ffi = {}, require("ffi")
      weir.signal("USR1", function() end)
      weir.spawn(function() end)
      for _, task in ipairs(weir.tasks()) do out[#out + 1] = task.status end
      io.stderr:write(table.concat(out, " "))]])
    assert.equal("running ready", err)
  end)

  it("says so where there is no task, but something to wait for", function()
    local err = run([[
      ended = weir.spawn(function() end)
      ended:join()
      listener = weir.listen("127.0.0.1:0", print)
      timer = weir.after(0.005, function() listener:close() end)
      ffi.C.kill(ffi.C.getpid(), 3)]])
    assert.equal("weir: SIGQUIT: these tasks exist:\n"
      .. "  none; 2 listeners, timers and the like keep the host\n", err)
  end)

  it("asked for again, says why there is none yet", function()
    local err = run([[
      for _ = 1, 2 do ffi.C.kill(ffi.C.getpid(), 3) end
      io.stderr:write("later\n")]])
    assert_in_order(err, { "^weir: SIGQUIT: Lua code has not waited [^\n]+\nlater\n" })
  end)

  it("a script's own handler replaces it", function()
    local err, status, out = run([[
      local handle = weir.signal("QUIT", print)
      quit()]])
    assert.same({ "", 0, "QUIT\n" }, { err, status, out })
  end)
end)
