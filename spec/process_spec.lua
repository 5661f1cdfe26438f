-- Child processes, over real ones: what Debian's coreutils and sh do.

local descriptors = require("spec.support.descriptors")
local weir_binary = require("spec.support.weir")

local function start(script, options)
  return assert(weir.process({ "sh", "-c", script }, options))
end

-- Until the process has ended; what it wrote on standard output.
local function output_of(script, options)
  local process = start(script, options)
  local text = assert(process.stdout:read_until_close({ timeout = 20 }))
  process:wait({ timeout = 20 })
  return text
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function raises(expected, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.matches("process_spec%.lua:%d+: ", message)
  assert.truthy(message:find(expected, 1, true), message)
end

describe("a process", function()
  it("has its standard descriptors as streams", function()
    local process = assert(weir.process({ "sh", "-c", "tr a-z A-Z; echo no >&2" }))
    process.stdin:write("hello\n")
    process.stdin:close()
    assert.equal("HELLO\n", process.stdout:read_until_close({ timeout = 20 }))
    assert.equal("no\n", process.stderr:read_until_close({ timeout = 20 }))
    assert.same({ "exit", 0 }, { process:wait({ timeout = 20 }) })
  end)

  it("passes its arguments on as they are", function()
    local process = assert(weir.process({ "printf", "%s|", "a b", "", "'\"$x", 7 }))
    assert.equal("a b||'\"$x|7|", process.stdout:read_until_close({ timeout = 20 }))
  end)

  it("moves a mebibyte each way at once", function()
    local process = assert(weir.process({ "cat" }))
    local data = ("0123456789abcdef"):rep(65536)
    local writer = weir.spawn(function()
      process.stdin:write(data)
      process.stdin:close()
      return true
    end)
    assert.is_true(data == process.stdout:read_until_close({ timeout = 20 }))
    assert.is_true(writer:join())
  end)

  it("tells how it ended", function()
    assert.same({ "exit", 7 }, { start("exit 7"):wait({ timeout = 20 }) })
    assert.same({ "signal", "KILL" }, { start("kill -KILL $$"):wait({ timeout = 20 }) })
    assert.same({ "signal", "40" }, { start("kill -40 $$"):wait({ timeout = 20 }) })
  end)

  it("tells everybody who waits, and those who come late", function()
    local process = start("read line; exit 3")
    local told = weir.channel(1)
    local tasks = {}
    for i = 1, 3 do
      tasks[i] = weir.spawn(function() return select(2, process:wait({ timeout = 20 })) end)
    end
    process:wait(function(how, status) told:put({ how, status }) end)
    weir.sleep(0)
    process.stdin:write("\n")
    assert.same({ 3, 3, 3 }, weir.all(tasks))
    assert.same({ "exit", 3 }, told:get({ timeout = 20 }))
    assert.same({ "exit", 3 }, { process:wait() })
  end)

  it("can still be waited for after a wait timed out or was cancelled", function()
    local process = start("read line; exit 4")
    local result, message, code = process:wait({ timeout = 0.01 })
    assert.is_nil(result)
    assert.equal(("wait %d (sh): timed out after 0.01 s"):format(process:pid()), message)
    assert.equal("ETIMEDOUT", code)
    local task = weir.spawn(process.wait, process)
    weir.sleep(0)
    task:cancel()
    result, message, code = task:join()
    assert.is_nil(result)
    assert.equal(("wait %d (sh): Operation canceled"):format(process:pid()), message)
    assert.equal("ECANCELED", code)
    process.stdin:close()
    assert.same({ "exit", 4 }, { process:wait({ timeout = 20 }) })
  end)

  it("whose end somebody else was told has none to tell", function()
    local ffi = require("ffi")
    ffi.cdef("int waitpid(int pid, int *status, int options);")
    local process = start("exit 0")
    assert.equal(process:pid(), ffi.C.waitpid(process:pid(), nil, 0))
    for _ = 1, 2 do
      local result, message, code = process:wait({ timeout = 20 })
      assert.is_nil(result)
      assert.equal(("wait %d (sh): No child processes"):format(process:pid()), message)
      assert.equal("ECHILD", code)
    end
    assert.equal("ESRCH", select(3, process:kill()))
  end)

  it("is killed, by name or with TERM", function()
    local process = start("exec sleep 100")
    assert.is_true(process:kill())
    assert.same({ "signal", "TERM" }, { process:wait({ timeout = 20 }) })
    process = start("exec sleep 100")
    assert.is_true(process:kill("SIGKILL"))
    assert.same({ "signal", "KILL" }, { process:wait({ timeout = 20 }) })
    local result, message, code = process:kill("KILL")
    assert.is_nil(result)
    assert.equal(("kill %d (sh): No such process"):format(process:pid()), message)
    assert.equal("ESRCH", code)
  end)

  -- Another user's process can be had by root only.
  if io.popen("setpriv --reuid 65534 --clear-groups true 2>&1 && echo yes"):read("*a") == "yes\n" then
    it("that is somebody else's cannot be killed", function()
      local process = assert(weir.process({ "setpriv", "--bounding-set=-kill", weir_binary.binary, "-e", [[
        local process = assert(weir.process({ "setpriv", "--reuid", "65534", "--clear-groups",
          "sh", "-c", "echo ready; read line" }))
        process.stdout:read_until("\n", { timeout = 20 })
        local _, message, code = process:kill("KILL")
        print((message:gsub("%d+", "PID")), code)
        process.stdin:close()
        process:wait({ timeout = 20 })
      ]] }, { stderr = "stdout" }))
      assert.equal("kill PID (setpriv): Operation not permitted\tEPERM\n",
        process.stdout:read_until_close({ timeout = 20 }))
    end)
  end

  it("may lead a group, which is killed as a whole", function()
    local process = start("sleep 100 & echo ready; exec sleep 100", { group = true })
    assert.equal("ready\n", process.stdout:read_until("\n", { timeout = 20 }))
    process:kill("TERM")
    assert.same({ "signal", "TERM" }, { process:wait({ timeout = 20 }) })
    -- The end comes when the one in the background is gone, too.
    assert.equal("", process.stdout:read_until_close({ timeout = 20 }))
  end)

  it("says what it is", function()
    local process = start("read line")
    local pid = process:pid()
    assert.equal(("weir.process: %d (sh, running)"):format(pid), tostring(process))
    process.stdin:close()
    process:wait({ timeout = 20 })
    assert.equal(("weir.process: %d (sh, exit 1)"):format(pid), tostring(process))
    assert.equal(pid, process:pid())
    process = start("kill $$")
    process:wait({ timeout = 20 })
    assert.matches("%(sh, signal TERM%)$", tostring(process))
  end)

  it("shows among what tasks wait for", function()
    local process = start("read line")
    local task = weir.spawn(function() process:wait({ timeout = 20 }) end)
    weir.sleep(0)
    local seen
    for _, info in ipairs(weir.tasks()) do
      if info.operation == "wait" then seen = info.target end
    end
    assert.equal(process:pid() .. " (sh)", seen)
    process.stdin:close()
    task:join()
  end)
end)

describe("a process' streams", function()
  it("end when it does, and say so", function()
    local process = start("exec sleep 100")
    local told = weir.channel(2)
    process.stdout:set_close_callback(function(message, code) told:put({ message, code }) end)
    process:kill()
    assert.same({ "stdout of sh: End of file", "EOF" }, told:get({ timeout = 20 }))
    process.stdin:set_close_callback(function(message, code) told:put({ message, code }) end)
    assert.same({ "stdin of sh: End of file", "EOF" }, told:get({ timeout = 20 }))
    assert.equal("EOF", select(3, process.stdout:read_some()))
  end)

  it("fail with EPIPE when nobody reads them any more", function()
    local process = start("exec <&-; echo closed; read line <&1")
    assert.equal("closed\n", process.stdout:read_until("\n", { timeout = 20 }))
    process.stdin:write("x")
    local result, message, code = process.stdin:flush({ timeout = 20 })
    assert.is_nil(result)
    assert.equal("flush stdin of sh: Broken pipe", message)
    assert.equal("EPIPE", code)
    result, message, code = process.stdin:write("y")
    assert.is_nil(result)
    assert.equal("write stdin of sh: Broken pipe", message)
    assert.equal("EPIPE", code)
    process.stdin:close()
    assert.equal("ECLOSED", select(3, process.stdin:write("z")))
  end)

  it("go one way only", function()
    local process = start("read line")
    assert.equal("EBADF", select(3, process.stdin:read_some({ timeout = 20 })))
    assert.equal("ENOTSOCK", select(3, process.stdout:peer_address()))
    process.stdout:write("x")
    assert.equal("EBADF", select(3, process.stdout:flush({ timeout = 20 })))
    process.stdin:close()
    process:wait({ timeout = 20 })
  end)

  it("are there for pipes only", function()
    local process = start("cat; echo gone >&2", { stdin = "null", stdout = "null", stderr = "null" })
    assert.is_nil(process.stdin)
    assert.is_nil(process.stdout)
    assert.is_nil(process.stderr)
    assert.same({ "exit", 0 }, { process:wait({ timeout = 20 }) })
  end)

  it("may be weir's own", function()
    local out, err, status = weir_binary.run({ "-e", [[
      weir.process({ "sh", "-c", "cat; echo oops >&2" },
        { stdin = "inherit", stdout = "inherit", stderr = "inherit" })]], stdin = "through" })
    assert.same({ "through", "oops\n", 0 }, { out, err, status })
  end)

  it("may be one for output and errors", function()
    assert.equal("1\n2\n3\n", output_of("echo 1; echo 2 >&2; echo 3", { stderr = "stdout" }))
  end)

  it("may be descriptors that are there already", function()
    local a, b = weir.pair()
    local fd = b:detach()
    -- Written first: the descriptor does not block, and read would not wait.
    a:write("it\n")
    a:flush()
    local process = start("read line; echo got $line", { stdin = fd, stdout = fd })
    assert(weir.stream(fd)):abort()
    assert.is_nil(process.stdin)
    assert.equal("got it\n", a:read_until_close({ timeout = 20 }))
    assert.same({ "exit", 0 }, { process:wait({ timeout = 20 }) })
    local result, message, code = weir.process({ "cat" }, { stdin = fd })
    assert.is_nil(result)
    assert.equal("process cat: Bad file descriptor", message)
    assert.equal("EBADF", code)
    assert.equal("EBADF", select(3, weir.process({ "cat" }, { stdout = fd })))
    assert.equal("EBADF", select(3, weir.process({ "cat" }, { stderr = fd })))
    a:close()
  end)
end)

describe("the surroundings of a process", function()
  it("have what env says added and removed", function()
    assert.equal("one 2 .\n", output_of("echo $A $B $HOME.",
      { env = { A = "one", B = 2, HOME = false } }))
    assert.equal("same\n", output_of("test -n \"$PATH\" && echo same", { env = {} }))
  end)

  it("may start from none", function()
    local process = assert(weir.process({ "env" }, { clear_env = true, env = { A = "1" } }))
    assert.equal("A=1\n", process.stdout:read_until_close({ timeout = 20 }))
    process = assert(weir.process({ "env" }, { clear_env = true }))
    assert.equal("", process.stdout:read_until_close({ timeout = 20 }))
  end)

  it("are a directory of one's choice", function()
    assert.equal("/\n", output_of("pwd", { cwd = "/" }))
  end)

  it("have no descriptors of weir's", function()
    local leaky = assert(io.open("/dev/null"))
    local listener = weir.listen("127.0.0.1:0", function() end)
    -- What is left is 0, 1, 2, and the directory that ls reads.
    assert.equal("0\n1\n2\n3\n", output_of("exec ls /proc/self/fd"))
    listener:close()
    leaky:close()
  end)
end)

describe("a command that cannot be started", function()
  local function failure(argv, options)
    local result, message, code = weir.process(argv, options)
    assert.is_nil(result)
    return message, code
  end

  it("is named, with the reason", function()
    assert.same({ "process /no/such: No such file or directory", "ENOENT" },
      { failure({ "/no/such", "x" }) })
    assert.same({ "process no-such-command: No such file or directory", "ENOENT" },
      { failure({ "no-such-command" }) })
    assert.same({ "process /etc/passwd: Permission denied", "EACCES" },
      { failure({ "/etc/passwd" }) })
    assert.same({ "process /etc: Permission denied", "EACCES" }, { failure({ "/etc" }) })
    assert.same({ "process /etc/passwd/x: Not a directory", "ENOTDIR" }, { failure({ "/etc/passwd/x" }) })
    assert.same({ "process true: Argument list too long", "E2BIG" }, { failure({ "true", ("x"):rep(3000000) }) })
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("\127ELF, or so it says")
    file:close()
    os.execute("chmod +x " .. path)
    assert.same({ "process " .. path .. ": Exec format error", "ENOEXEC" }, { failure({ path }) })
    os.remove(path)
  end)

  it("is told from a directory that is not there", function()
    assert.same({ "process ls: directory /no/such: No such file or directory", "ENOENT" },
      { failure({ "ls" }, { cwd = "/no/such" }) })
    assert.same({ "process ls: directory /etc/passwd: Not a directory", "ENOTDIR" },
      { failure({ "ls" }, { cwd = "/etc/passwd" }) })
  end)

  it("leaves nothing open", function()
    local before = descriptors.settled()
    for _ = 1, 20 do failure({ "/no/such" }) end
    assert(descriptors.settle(before))
  end)
end)

describe("weir.process", function()
  it("raises for wrong arguments, at the caller's line", function()
    local list = "a list of strings, the command first, expected"
    raises(list, function() weir.process() end)
    raises(list, function() weir.process("ls") end)
    raises(list, function() weir.process({}) end)
    raises("argument 2: a string expected, got table", function() weir.process({ "ls", {} }) end)
    raises("argument 1: a zero byte cannot be passed on", function() weir.process({ "l\0s" }) end)
    raises("unknown option 'dir' (known: clear_env, cwd, env, group, stderr, stdin, stdout)",
      function() weir.process({ "ls" }, { dir = "/" }) end)
    raises("bad option 'stdin' (\"pipe\", \"inherit\", \"null\" or a descriptor expected, got file)",
      function() weir.process({ "ls" }, { stdin = "file" }) end)
    raises("bad option 'stderr' (\"pipe\", \"inherit\", \"null\", \"stdout\" or a descriptor",
      function() weir.process({ "ls" }, { stderr = true }) end)
    raises("bad option 'stdout' (a whole number", function() weir.process({ "ls" }, { stdout = -1 }) end)
    raises("bad option 'env' (a table expected, got string)",
      function() weir.process({ "ls" }, { env = "A=b" }) end)
    raises("env: names of variables expected, got number",
      function() weir.process({ "ls" }, { env = { "A=b" } }) end)
    raises("env: 'A=b' cannot be a variable's name",
      function() weir.process({ "ls" }, { env = { ["A=b"] = "c" } }) end)
    raises("env.A: a string expected, got table",
      function() weir.process({ "ls" }, { env = { A = {} } }) end)
    raises("env.A: a zero byte cannot be passed on",
      function() weir.process({ "ls" }, { env = { A = "b\0" } }) end)
    raises("env.A: a string, or false to remove it, expected, got true",
      function() weir.process({ "ls" }, { env = { A = true } }) end)
    raises("cwd: a zero byte cannot be passed on", function() weir.process({ "ls" }, { cwd = "/\0" }) end)
    raises("bad option 'group' (true or false expected, got 1)",
      function() weir.process({ "ls" }, { group = 1 }) end)
  end)

  it("raises for a signal there is none of", function()
    local process = start("read line")
    raises("kill: unknown signal 'NOPE' (known: HUP, INT, ", function() process:kill("NOPE") end)
    process.stdin:close()
    process:wait({ timeout = 20 })
  end)

  it("runs 200 at once", function()
    local processes, tasks = {}, {}
    for i = 1, 200 do
      processes[i] = start("read line; exit " .. i % 100, { stdout = "null", stderr = "null" })
      tasks[i] = weir.spawn(function() return select(2, processes[i]:wait({ timeout = 60 })) end)
    end
    for i = 1, 200 do processes[i].stdin:close() end
    for i, status in ipairs(weir.all(tasks)) do assert.equal(i % 100, status) end
  end)

  it("leaves no zombie, also when nobody waits", function()
    local pids = {}
    for i = 1, 10 do pids[i] = start("exit 0"):pid() end
    collectgarbage()
    collectgarbage()
    weir.deadline(20, function()
      for _, pid in ipairs(pids) do
        while exists("/proc/" .. pid) do assert(weir.sleep(0.001)) end
      end
    end)
  end)

  it("leaves io.popen's and os.execute's children to them", function()
    local process = start("read line; exit 5")
    local pipe = io.popen("cat; exit 6", "w")
    assert.equal(7 * 256, os.execute("exit 7"))
    pipe:close()
    process.stdin:close()
    assert.same({ "exit", 5 }, { process:wait({ timeout = 20 }) })
    assert.equal("hi\n", io.popen("echo hi"):read("*a"))
  end)
end)

describe("the host", function()
  it("runs on while a process does", function()
    local out, err, status = weir_binary.run({ "-e", [[
      weir.process({ "sh", "-c", "sleep 0.1; echo last" },
        { stdin = "null", stdout = "inherit" })
      collectgarbage()
      print("first")
      io.flush()]] })
    assert.equal("", err)
    assert.equal("first\nlast\n", out)
    assert.equal(0, status)
  end)

  it("does not, if it is unref'd", function()
    local out, err, status = weir_binary.run({ "-e", [[
      local process = weir.process({ "sleep", "100" })
      process:wait(function() print("never") end)
      process:unref():ref():unref()
      weir.process({ "sh", "-c", "sleep 0.3; kill " .. process:pid() }):unref()]] })
    assert.equal("", err)
    assert.equal("", out)
    assert.equal(0, status)
  end)
end)
