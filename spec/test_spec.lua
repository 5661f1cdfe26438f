-- `weir --test`: busted's blocks wait, and what they start is theirs.
local weir_binary = require("spec.support.weir")

-- Runs one spec file made of `body`; its output and errors, and the status.
local function run_spec(body, ...)
  local folder = weir_binary.folder({ ["inner_spec.lua"] = body })
  local out, err, status = weir_binary.run({
    "--test", folder, "-o", "plainTerminal", ... })
  weir_binary.remove(folder)
  return out .. err, status
end

describe("weir --test", function()
  it("lets every kind of block wait", function()
    local output, status = run_spec([[
      local count = 0
      local function wait() weir.sleep(0.001) count = count + 1 end
      describe("waiting", function()
        wait()
        setup(wait) teardown(wait) before_each(wait) after_each(wait)
        it("is possible", function() finally(wait) wait() end)
        it("was", function() assert.equal(7, count) end)
      end)]])
    assert.matches("2 successes / 0 failures / 0 errors", output)
    assert.equal(0, status)
  end)

  it("fails when a spec does", function()
    local output, status = run_spec([[
      it("fails", function() weir.sleep(0) assert.equal(1, 2) end)]])
    assert.matches("0 successes / 1 failure / 0 errors", output)
    assert.matches("inner_spec.lua:1: Expected objects to be equal", output)
    assert.equal(1, status)
  end)

  it("shows bytes that a terminal would not show", function()
    local output = run_spec([[
      it("fails", function() assert.equal("A\r\n\"\\\0\255", "é\tA\n'") end)]])
    assert.matches([[Passed in:
(string) 'é	A
''
Expected:
(string) "A\r\n\"\\\x00\xff"]], output, 1, true)
    output = run_spec([[
      local cycle = { "plain", { "A\r" } }
      cycle[3] = cycle
      it("fails", function() assert.same(cycle, { "plain", { "A" } }) end)]])
    assert.matches("[1] = 'plain'\n *[2] = {\n   *[1] = 'A' } }\n", output, 1, true)
    assert.matches("[1] = 'plain'\n *[2] = {\n   *[1] = 'A\\r' }\n", output, 1, true)
  end)

  it("fails when SIGTERM cuts it short, having torn down", function()
    local output, status = run_spec([[
      local a, b = weir.pair()
      teardown(function() print("torn down") a:abort() b:abort() end)
      it("hangs", function()
        weir.after(0, function() io.popen("kill $PPID"):close() end)
        a:read_bytes(1)
      end)]])
    assert.matches("torn down\n", output)
    assert.matches("weir: SIGTERM cut the specs short\n", output)
    assert.equal(1, status)
  end)

  it("says what SIGTERM has cut, whatever it waited in", function()
    for name, wait in pairs({
      ["channel get"] = "weir.channel():get()",
      ["sleep"] = "weir.sleep(100)",
      ["join"] = "weir.spawn(weir.sleep, 100):join()",
    }) do
      local output, status = run_spec([[
        local listener = weir.listen("127.0.0.1:0", function() end)
        teardown(function() print("torn down") listener:close() end)
        it("hangs", function()
          weir.after(0, function() io.popen("kill $PPID"):close() end)
          ]] .. wait .. [[ end)
        it("does not run", function() print("it ran") end)]])
      assert.matches("weir: SIGTERM: these tasks exist:\n  task #1 %(main%): waiting in " .. name, output)
      assert.matches("inner_spec.lua:5: in ", output)
      assert.matches("0 successes / 0 failures / 1 error", output)
      assert.is_nil(output:find("it ran", 1, true))
      assert.matches("torn down\n", output)
      assert.matches("weir: SIGTERM cut the specs short\n", output)
      assert.equal(1, status)
    end
  end)

  it("fails the spec whose task or callback fails", function()
    local output, status = run_spec([[
      it("has a task", function()
        weir.spawn(function() assert.equal(1, 2) end)
        weir.sleep(0.01)
      end)
      it("has a callback", function()
        weir.after(0, function() error("in the callback") end)
        weir.sleep(0.01)
      end)
      it("is fine", function() weir.sleep(0.01) end)]])
    assert.matches("1 success / 1 failure / 1 error", output)
    assert.matches("inner_spec.lua:6: in the callback", output)
    assert.equal(1, status)
  end)

  it("fails when something goes wrong after its spec", function()
    local output, status = run_spec([[
      it("leaves", function() weir.after(0, function() error("left") end) end)
      it("is fine", function() weir.sleep(0.01) end)]])
    assert.matches("2 successes / 0 failures / 0 errors", output)
    assert.matches("after its spec had ended: [^\n]*inner_spec.lua:1: left",
      output)
    assert.equal(1, status)
  end)

  it("fails when something goes wrong just as the last spec ends", function()
    local output, status = run_spec([[
      local channel = weir.channel()
      setup(function()
        weir.spawn(function()
          channel:get()
          local start = weir.now()
          repeat until weir.now() > start + 0.03 -- both timers are due then
        end)
        weir.sleep(0)
      end)
      it("leaves", function() weir.after(0, function() error("left") end) end)
      it("is fine", function() channel:put(true) weir.sleep(0.01) end)]])
    assert.matches("2 successes / 0 failures / 0 errors", output)
    assert.matches("after its spec had ended: [^\n]*inner_spec.lua:10: left", output)
    assert.equal(1, status)
  end)

  it("leaves a task's error to whoever joins it, sooner or later", function()
    local output, status = run_spec([[
      it("joins", function()
        local task = weir.spawn(function() error("taken") end)
        weir.sleep(0.005)
        assert.equal("ETASK", (select(3, task:join())))
      end)
      it("does not", function()
        task = weir.spawn(function() error("not taken") end)
        weir.sleep(0)
      end)]])
    assert.matches("1 success / 0 failures / 1 error", output)
    assert.matches("inner_spec.lua:7: not taken", output)
    assert.is_nil(output:find(": taken", 1, true))
    assert.equal(1, status)
  end)

  it("keeps the traceback of errors that happened elsewhere", function()
    local output = run_spec([[
      local function culprit() error("no luck") end
      it("has a callback", function()
        weir.after(0, function() culprit() end)
        weir.sleep(0.005)
      end)
      it("has a task", function()
        weir.spawn(function() culprit() end)
        weir.sleep(0.005)
      end)
      it("fails itself", function() weir.sleep(0) culprit() end)]], "--verbose")
    local count = select(2, output:gsub("in function 'culprit'", ""))
    assert.equal(3, count)
  end)

  it("tells what else went wrong in a spec that failed", function()
    local output, status = run_spec([[
      it("fails twice", function()
        weir.spawn(function() error("the cause") end)
        weir.sleep(0)
        error("the effect")
      end)]])
    assert.matches("0 successes / 0 failures / 1 error", output)
    assert.matches("in the same spec: [^\n]*: the cause\n", output)
    assert.matches("inner_spec.lua:4: the effect", output)
    assert.equal(1, status)
  end)

  it("fails a spec that hangs, says how, and runs the others", function()
    local output, status = run_spec([[
      it("waits for nobody", function()
        local value, message, code = weir.channel():get()
        print(value, message, code)
      end)
      it("waits for a task", function()
        weir.spawn(function() weir.channel():get() end):join()
      end)
      it("waits for what does not keep the host", function()
        local a, b = weir.pair()
        a:unref():read_some()
        b:close()
      end)
      it("is fine", function() weir.sleep(0.001) end)]])
    assert.matches("1 success / 0 failures / 3 errors", output)
    assert.matches("weir: deadlock: ", output)
    assert.matches("task #1 %(main%): waiting in channel get", output)
    assert.matches("inner_spec.lua:2: in ", output)
    assert.matches("nil\tchannel get: [^\t]*\tEDEADLK\n", output)
    assert.matches("inner_spec.lua:2: deadlock: ", output)
    assert.matches("inner_spec.lua:6: deadlock: ", output)
    assert.matches("inner_spec.lua:10: deadlock: ", output)
    assert.equal(1, status)
  end)

  it("fails what a block hangs for that is no spec", function()
    local output, status = run_spec([[
      describe("before", function()
        before_each(function() weir.channel():get() end)
        it("does not run", function() print("it ran") end)
      end)
      describe("all", function()
        setup(function() weir.channel():get() end)
        it("does not run", function() print("it ran") end)
      end)
      it("is fine", function() weir.sleep(0.001) end)]])
    assert.matches("1 success / 0 failures / 2 errors", output)
    assert.is_nil(output:find("it ran", 1, true))
    assert.matches("inner_spec.lua:2: deadlock: ", output)
    assert.matches("inner_spec.lua:6: deadlock: ", output)
    assert.equal(1, status)
  end)

  it("ends when a spec hangs again after that", function()
    local output, status = run_spec([[
      it("hangs", function()
        while not weir.channel():get() do end
      end)]])
    assert.equal(2, select(2, output:gsub("weir: deadlock: ", "")))
    assert.matches("stopped before all specs had run\n$", output)
    assert.equal(1, status)
  end)

  it("fails when the host is stopped before all have run", function()
    local output, status = run_spec([[
      it("stops", function() weir.stop() weir.sleep(0) end)
      it("is not run", function() end)]])
    assert.matches("weir: the host was stopped before all specs had run\n",
      output)
    assert.equal(1, status)
  end)

  it("fails for an error that belongs to no spec", function()
    local output, status = run_spec([[
      setup(function() weir.after(0, function() error("of the setup") end) end)
      it("is fine", function() weir.sleep(0.005) end)]])
    assert.matches("1 success / 0 failures / 0 errors", output)
    assert.matches("uncaught error.*of the setup", output)
    assert.equal(1, status)
  end)

  it("ends although a spec left something open", function()
    local output, status = run_spec([[
      it("listens", function() weir.listen("127.0.0.1:0", print) end)]])
    assert.matches("1 success / 0 failures", output)
    assert.equal(0, status)
  end)

  it("passes its arguments on", function()
    local output = run_spec([[
      it("one", function() end)
      it("two", function() end)]], "--filter=two", "-o", "TAP")
    assert.equal("ok 1 - two\n1..1\n", output)
    local _, err, status = weir_binary.run({ "--test", "--nosuch" })
    assert.matches("^weir %-%-test: error: unknown/bad flag: %-%-nosuch", err)
    assert.equal(1, status)
  end)

  it("says how to get busted", function()
    local _, err, status = weir_binary.run({ "-e", "package.path = ''",
      "--test", env = { LUA_PATH = "" } })
    assert.matches("^weir: %-%-test needs busted %(Debian: apt install " ..
      "lua%-busted%): [^\n]+\n$", err)
    assert.equal(1, status)
  end)
end)
