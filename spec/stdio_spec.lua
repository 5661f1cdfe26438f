-- The standard streams of another weir, over what a shell gives it: pipes,
-- files, devices, terminals.

local weir_binary = require("spec.support.weir")

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- A shell's command that runs `chunk` in weir.
local function running(chunk, rest)
  return ("%s -e %s %s"):format(quote(weir_binary.binary), quote(chunk), rest or "")
end

local function start(command, options)
  return assert(weir.process({ "sh", "-c", command }, options))
end

-- What the command writes, its errors, and how it ended.
local function finish(process)
  local out = process.stdout:read_until_close({ timeout = 30 })
  local err = process.stderr:read_until_close({ timeout = 30 })
  local _, status = process:wait({ timeout = 30 })
  return out, err, status
end

local function output_of(command)
  local process = start(command)
  process.stdin:close()
  local out, err, status = finish(process)
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

local function temporary(data)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(data or "")
  file:close()
  return path
end

local function contents(path)
  local file = assert(io.open(path))
  local data = file:read("*a")
  file:close()
  os.remove(path)
  return data
end

local LINES = {}
for i = 1, 20000 do LINES[i] = "line " .. i .. "\n" end
LINES = table.concat(LINES)

local COPY = [[
  for line in weir.stdin:lines() do assert(weir.stdout:write({ line, "\n" })) end
]]

describe("weir.stdin", function()
  it("is a stream, the same one always", function()
    assert.equal("true\tweir.stream #1 (file stdin, open)\n", output_of(running(
      "print(weir.stdin == weir.stdin, weir.stdin)", "</dev/null")))
    assert.equal("true\n", output_of(running(
      "local s = weir.stdin weir.stdin = nil print(weir.stdin == s)")))
  end)

  it("reads a pipe, cut where it may be", function()
    local process = start(running(COPY))
    weir.spawn(function()
      for i = 1, 10 do process.stdin:write("part of a ") process.stdin:write(i .. "\n") weir.sleep(0) end
      process.stdin:write("rest")
      process.stdin:close()
    end)
    local expected = {}
    for i = 1, 10 do expected[i] = "part of a " .. i .. "\n" end
    assert.same({ table.concat(expected) .. "rest\n", "", 0 }, { finish(process) })
  end)

  it("reads a file", function()
    local path = temporary(LINES)
    assert.is_true(LINES == output_of(running(COPY, "<" .. path)))
    assert.is_true(LINES == output_of(running(
      "weir.stdout:write((weir.stdin:read_until_close()))", "<" .. path)))
    os.remove(path)
  end)

  it("reads the nothing of /dev/null, and what /dev/zero has", function()
    assert.equal("nil\tread_some stdin: End of file\tEOF\nnil\n", output_of(running(
      "print(weir.stdin:read_some()) print((weir.stdin:lines()()))", "</dev/null")))
    assert.equal("1000000\n", output_of(running("print(#weir.stdin:read_bytes(1000000))", "</dev/zero")))
  end)

  it("says why it cannot be read", function()
    local chunk = "print(weir.stdin:read_some())"
    assert.equal("nil\tread_some stdin: Is a directory\tEISDIR\n", output_of(running(chunk, "</")))
    assert.equal("nil\tread_some stdin: Bad file descriptor\tEBADF\n", output_of(running(chunk, "0>/dev/null")))
    assert.equal("nil\tread_some stdin: Bad file descriptor\tEBADF\n", output_of(running(chunk, "<&-")))
    assert.equal("nil\tread_some stdin: Closed on this side\tECLOSED\n", output_of(running(
      "weir.stdin:close() " .. chunk)))
  end)

  it("reads a socket", function()
    local a, b = weir.pair()
    local fd = b:detach()
    local process = start(running(COPY), { stdin = fd, stdout = fd })
    assert(weir.stream(fd)):abort()
    a:write("hello\n")
    assert.equal("hello\n", a:read_until("\n", { timeout = 30 }))
    a:shutdown()
    assert.equal("", a:read_until_close({ timeout = 30 }))
    assert.equal("", process.stderr:read_until_close({ timeout = 30 }))
    a:close()
  end)

  it("keeps the host while a read waits, and only then", function()
    local process = start(running([[
      weir.stdin:read_until("\n", function(line) print("got " .. line) end)
      weir.stdout:write("ready\n")]]))
    assert.equal("ready\n", process.stdout:read_until("\n", { timeout = 30 }))
    process.stdin:write("it\n")
    assert.same({ "got it\n\n", "", 0 }, { finish(process) })
    process = start(running("print(weir.stdin:reading())"))
    assert.same({ "false\n", "", 0 }, { finish(process) })
    process = start(running("weir.stdin:unref():read_until('\\n', print)"))
    assert.same({ "", "", 0 }, { finish(process) })
  end)

  it("serves others while nothing comes in", function()
    local process = start(running([[
      weir.spawn(function() weir.sleep(0.01) weir.stdout:write("tick\n") end)
      print(weir.stdin:read_until("\n"))]]))
    assert.equal("tick\n", process.stdout:read_until("\n", { timeout = 30 }))
    process.stdin:write("line\n")
    assert.same({ "line\n\n", "", 0 }, { finish(process) })
  end)

  it("may be closed, and its number is not given to anything else", function()
    assert.equal("true\tnil\n", output_of(running([[
      weir.stdin:close()
      local other = weir.listen("127.0.0.1:0", function() end)
      local a, b = weir.pair()
      print(a:fd() > 2 and b:fd() > 2, (io.read()))
      other:close()]])))
  end)
end)

describe("weir.stdout", function()
  it("writes a pipe, however slowly it is read", function()
    local process = start(running([[
      for i = 1, 30000 do assert(weir.stdout:write(("line %d\n"):format(i))) end]]))
    local total = 0
    while true do
      local data = process.stdout:read_some({ max = 3000, timeout = 30 })
      if not data then break end
      total = total + #data
    end
    assert.equal(#LINES + 10000 * #"line 12345\n", total)
  end)

  it("writes a file", function()
    local path = temporary("old")
    assert.equal("", output_of(running(
      "weir.stdout:write(('x'):rep(1000000)) weir.stdout:write('y')", ">>" .. path)))
    assert.is_true("old" .. ("x"):rep(1000000) .. "y" == contents(path))
  end)

  it("writes /dev/null, and fails on /dev/full", function()
    assert.equal("", output_of(running("assert(weir.stdout:write('x'))", ">/dev/null")))
    local out, err, status = finish(start(running(
      "weir.stdout:write('x') assert(weir.stdout:flush())", ">/dev/full")))
    assert.equal("", out)
    assert.matches("^weir: %(%-e%):1: flush stdout: No space left on device\n", err)
    assert.equal(1, status)
  end)

  it("comes after what was printed before", function()
    assert.equal("1\n2\n3\n4\n", output_of(running([[
      print(1) weir.stdout:write("2\n") io.write("3\n") weir.stdout:write("4\n")]])))
    assert.equal("1\n2\n3\n", output_of(running([[
      print(1) weir.stdout:write("2\n") weir.stdout:flush() print(3)]])))
  end)

  it("comes after what was printed before, also when much is queued", function()
    local big = ("a"):rep(1000000)
    assert.is_true(big .. "b\nc" == output_of(running([[
      weir.stdout:write(("a"):rep(1000000), function() end)
      print("b")
      weir.stdout:write("c")]])))
  end)

  it("comes before what is printed later", function()
    local big = ("x"):rep(10000)
    for name, chunk in pairs({
      flushed = [[weir.stdout:write("1\n") print(2) io.flush() weir.stdout:write("3\n") print(4)]],
      unbuffered = [[io.stdout:setvbuf("no") weir.stdout:write("1\n") print(2) weir.stdout:write("3\n") print(4)]],
      closed = [[weir.stdout:write("1\n2\n3\n4\n") weir.stdout:close() io.write("nowhere") io.flush()]],
    }) do
      assert.equal("1\n2\n3\n4\n", output_of(running(chunk)), name)
    end
    assert.is_true("1\n" .. big .. "\n2\n" == output_of(running([[
      weir.stdout:write("1\n") print(("x"):rep(10000)) weir.stdout:write("2\n")]])))
  end)

  it("leaves what is printed a file like others", function()
    local path = temporary()
    assert.equal("", output_of(running([[
      local ffi = require("ffi")
      ffi.cdef("int fileno(void *);")
      io.write("abc") assert(io.stdout:seek("set", 1) == 1) io.write("B")
      assert(io.stdout:seek() == 2 and ffi.C.fileno(io.stdout) == 1)]], ">" .. path)))
    assert.equal("aBc", contents(path))
  end)

  it("comes before what a command says that inherits it", function()
    assert.equal("1 2 3 4", output_of(running([[
      io.write("1 ") weir.stdout:write("2 ")
      weir.process({ "printf", "3 " }, { stdin = "null", stdout = "inherit", stderr = "null" }):wait()
      io.write("4")]])))
  end)

  it("has sent what was printed when the host waits", function()
    local process = start("exec " .. running([[
      io.write("question? ")
      print(weir.stdin:read_until("\n", { inclusive = false }))
      weir.stdout:write(("x"):rep(300000), function() end)
      print("behind it")
      weir.stdin:read_until("\n")]]))
    assert.equal("question? ", process.stdout:read_bytes(#"question? ", { timeout = 30 }))
    process.stdin:write("answer\n")
    assert.equal("answer\n", process.stdout:read_until("\n", { timeout = 30 }))
    assert.equal(("x"):rep(300000) .. "behind it\n", process.stdout:read_until("\n", { timeout = 30 }))
    process.stdin:close()
    assert.same({ "exit", 0 }, { process:wait({ timeout = 30 }) })
  end)

  it("says once that what was printed cannot be written", function()
    local process = start("exec " .. running([[
      local count = 0
      weir.signal("PIPE", function() count = count + 1 end)
      for line in weir.stdin:lines() do
        print(line)
        weir.sleep(0)
      end
      io.stderr:write("told ", count, "\n")]]))
    process.stdout:close()
    process.stdin:write("one\n")
    process.stdin:close()
    assert.matches("^told %d\n", process.stderr:read_until_close({ timeout = 30 }))
    process:wait({ timeout = 30 })
  end)

  it("has sent what is queued when the host ends", function()
    for ending, status in pairs({ [""] = 0, ["weir.exit(3)"] = 3, ["os.exit(4)"] = 4, ["error()"] = 1 }) do
      local process = start(running([[
        print("before")
        weir.stdout:write(("x"):rep(300000), function() end) ]] .. ending))
      local out, _, ended = finish(process)
      assert.equal(#"before\n" + 300000, #out)
      assert.equal(status, ended)
    end
  end)

  it("ends nothing else when it is closed", function()
    local process = start("exec " .. running([[
      weir.stdout:write("last\n")
      weir.stdout:close()
      print("into nothing")
      io.flush()
      local listener = weir.listen("127.0.0.1:0", function() end)
      assert(listener:address())
      listener:close()
      assert(weir.stdin:read_until("\n"))
      weir.stderr:write("still here\n")]]))
    assert.equal("last\n", process.stdout:read_until_close({ timeout = 30 }))
    process.stdin:write("go on\n")
    assert.equal("still here\n", process.stderr:read_until_close({ timeout = 30 }))
    assert.same({ "exit", 0 }, { process:wait({ timeout = 30 }) })
  end)

  it("ends a writer with a clear error when nobody reads", function()
    local process = start(("yes | %s | head -n 1"):format(running(COPY)))
    local out, err = finish(process)
    assert.equal("y\n", out)
    assert.matches("^weir: %(%-e%):1: write stdout: Broken pipe\n", err)
  end)

  it("ends a script that only prints, too", function()
    local broken = "weir: standard output: Broken pipe\n"
    for _, chunk in ipairs({
      "while true do print('y') end",
      "for line in weir.stdin:lines() do print(line) end",
      "while true do print(('y'):rep(10000)) weir.sleep(0) end",
    }) do
      local process = start(("yes | { %s; echo $? >&2; } | head -n 1"):format(running(chunk)))
      local out, err = finish(process)
      assert.equal("y", out:sub(1, 1))
      assert.equal(broken .. "1\n", err)
    end
  end)

  it("ends a script whose last words nobody reads", function()
    local process = assert(weir.process({ weir_binary.binary, "-e",
      "print('y') io.flush() io.read() print('y')" }))
    assert.equal("y\n", process.stdout:read_until("\n", { timeout = 30 }))
    process.stdout:close()
    process.stdin:write("go on\n")
    assert.equal("weir: standard output: Broken pipe\n",
      process.stderr:read_until_close({ timeout = 30 }))
    assert.same({ "exit", 1 }, { process:wait({ timeout = 30 }) })
  end)

  it("does not end a script that handles the signal itself", function()
    local process = start(("{ %s; echo $? >&2; } | head -n 1"):format(running([[
      local handle = weir.signal("PIPE", function() end)
      for i = 1, 10 do print(("y"):rep(100000)) weir.sleep(0) end
      io.stderr:write("through\n")]])))
    local _, err = finish(process)
    assert.matches("^through\n", err)
  end)

  it("tells by the exit status that what was printed could not be written", function()
    for _, chunk in ipairs({ "print(1)", "print(1) os.exit(0)", "print(1) io.flush()" }) do
      local _, err, status = finish(start(running(chunk, ">/dev/full")))
      assert.matches("^weir: standard output: [^\n]+\n$", err)
      assert.equal(1, status)
    end
  end)

  it("tells by the exit status that what was written to it was lost", function()
    local write = "weir.stdout:write(1) "
    for _, ending in ipairs({ "", "weir.exit(0)", "weir.stdout:close()", "weir.sleep(0)" }) do
      local _, err, status = finish(start(running(write .. ending, ">/dev/full")))
      assert.equal("weir: standard output: No space left on device\n", err, ending)
      assert.equal(1, status)
    end
    for _, chunk in ipairs({ "weir.stdout:write(1, function() end)", write .. "weir.stdout:flush()",
      write .. "weir.sleep(0) weir.stdout:write(2)", write .. "weir.stdout:abort()",
      write .. "weir.stdout:set_close_callback(function() end)" }) do
      local _, err, status = finish(start(running(chunk, ">/dev/full")))
      assert.same({ "", 0 }, { err, status }, chunk)
    end
  end)

  it("says so to its close callback, too", function()
    local process = start("exec " .. running([[
      weir.stdout:set_close_callback(function(message, code)
        weir.stderr:write({ message, " ", code, "\n" })
      end)]]))
    process.stdout:close()
    assert.equal("stdout: End of file EOF\n", process.stderr:read_until_close({ timeout = 30 }))
    assert.same({ "exit", 0 }, { process:wait({ timeout = 30 }) })
  end)
end)

describe("weir.stderr", function()
  it("writes at once, between what others say there", function()
    local process = start(running([[
      io.stderr:write("1 ") weir.stderr:write("2 ")
      io.stderr:write("3 ") weir.stderr:write("4\n")]]))
    assert.same({ "", "1 2 3 4\n", 0 }, { finish(process) })
  end)

  it("says why it cannot be written, as standard output does", function()
    local chunk = "weir.stderr:write('x') print(weir.stderr:flush())"
    assert.equal("nil\tflush stderr: Bad file descriptor\tEBADF\n", output_of(running(chunk, "2>&-")))
    assert.equal("nil\tflush stderr: Bad file descriptor\tEBADF\n", output_of(running(chunk, "2</dev/null")))
    assert.equal("nil\tflush stderr: No space left on device\tENOSPC\n", output_of(running(chunk, "2>/dev/full")))
    assert.same({ "", "nil\twrite stdout: Closed on this side\tECLOSED\n", 0 }, { finish(start(running([[
      weir.stdout:close()
      local ok, message, code = weir.stdout:write("x")
      weir.stderr:write(table.concat({ tostring(ok), message, code }, "\t") .. "\n")]]))) })
    chunk = "weir.stdout:write('x') weir.stderr:write(table.concat({ select(2, weir.stdout:flush()) }, ' '))"
    for _, rest in ipairs({ ">&-", "1</dev/null" }) do
      assert.same({ "", "flush stdout: Bad file descriptor EBADF", 0 }, { finish(start(running(chunk, rest))) })
    end
    local process = start(running([[
      weir.stdin:read_until("\n")
      weir.stderr:write("x")
      print(weir.stderr:flush())]]))
    process.stderr:close()
    process.stdin:write("go on\n")
    assert.equal("nil\tflush stderr: Broken pipe\tEPIPE\n", process.stdout:read_until_close({ timeout = 30 }))
  end)
end)

describe("the standard descriptors", function()
  local FLAGS = "; for n in 0 1 2; do grep flags: /proc/self/fdinfo/$n >&3; done"
  local USE = [[
    weir.stdin:read_until("\n")
    weir.stdout:write("out") weir.stdout:flush()
    weir.stderr:write("err") weir.stderr:flush()]]

  -- Of 0, 1 and 2, after weir has used them, as the shell sees them.
  local function flags_after(command)
    local path = temporary()
    local process = start(("exec 3>>%s; %s %s"):format(path, command, FLAGS))
    process.stdin:write("line\n")
    finish(process)
    return contents(path)
  end

  it("keep the blocking flag that they share with others", function()
    local untouched = flags_after("true")
    assert.equal(3, select(2, untouched:gsub("flags:", "")))
    assert.equal(untouched, flags_after(running(USE)))
    assert.equal(untouched, flags_after(running("weir.stream(0):read_until('\\n') weir.stream(1):write('x')")))
    assert.equal(untouched, flags_after(running(
      "weir.connect('fd:0'):read_until('\\n') weir.connect('fd:1'):write('x')")))
  end)

  it("are taken, even if they were closed at the start", function()
    local process = start(running([[
      local a, b = weir.pair()
      io.stderr:write(tostring(a:fd() > 2 and b:fd() > 2), " ",
        (select(3, weir.stdin:read_some())), " ", tostring(io.write("x") and io.flush()), "\n")]],
      "<&- >&-"))
    local _, err, status = finish(process)
    assert.matches("^true EBADF nil\nweir: standard output: [^\n]+\n$", err)
    assert.equal(1, status)
    assert.equal("1", output_of(running("print(1)", "2>&- <&- >&-") .. "; printf $?"))
  end)
end)

describe("on a terminal", function()
  -- Runs the shell's `commands` on a terminal of their own.
  local function on_terminal(commands)
    local path = temporary(commands)
    local process = assert(weir.process({ "script", "-qec", "sh " .. path, "/dev/null" }))
    return process, path
  end

  local function output_on_terminal(commands)
    local process, path = on_terminal(commands)
    local out = process.stdout:read_until_close({ timeout = 30 })
    process.stdin:close()
    os.remove(path)
    return (out:gsub("\r\n", "\n"))
  end

  it("lines come in as they are typed, and go out in order", function()
    local process, path = on_terminal("stty -echo; " .. running([[
      print(1) weir.stdout:write("2\n") print(3) weir.stdout:write("4 ")
      print(weir.stdin, weir.stdout)
      for line in weir.stdin:lines() do
        weir.stdout:write({ "got ", line, "\n" })
        if line == "end" then break end
      end]]))
    local kinds = "weir.stream #2 (tty stdin, open)\tweir.stream #1 (tty stdout, open)"
    assert.equal("1\r\n2\r\n3\r\n4 " .. kinds .. "\r\n",
      process.stdout:read_until("open)\r\n", { timeout = 30 }))
    process.stdin:write("a line\n")
    assert.equal("got a line\r\n", process.stdout:read_until("\n", { timeout = 30 }))
    process.stdin:write("end\n")
    assert.equal("got end\r\n", process.stdout:read_until_close({ timeout = 30 }))
    os.remove(path)
  end)

  it("the blocking flag is as it was", function()
    assert.matches("same\n$", output_on_terminal([[
      before=$(grep flags: /proc/self/fdinfo/1)
      ]] .. running("weir.stdout:write('x\\n') weir.stdout:flush()") .. [[

      test "$before" = "$(grep flags: /proc/self/fdinfo/1)" && echo same]]))
  end)

  local RAW = "assert(weir.stdin) os.execute('stty raw -echo') "
  local endings = {
    ["the end of the script"] = "",
    ["weir.exit"] = "weir.exit(3)",
    ["an error"] = "error('oops')",
    ["SIGINT"] = "io.popen('kill -INT $PPID'):close() weir.sleep(100)",
    ["SIGTERM"] = "io.popen('kill -TERM $PPID'):close() weir.sleep(0.01)",
    ["the second SIGTERM"] =
      "os.execute('while kill -TERM $PPID; do :; done 2>&- &') while true do end",
  }
  for name, chunk in pairs(endings) do
    it("the mode is as it was after " .. name, function()
      assert.matches("same\n$", output_on_terminal([[
        before=$(stty -g)
        ]] .. running(RAW .. chunk) .. [[

        test "$before" = "$(stty -g)" && echo same]]))
    end)
  end
end)
