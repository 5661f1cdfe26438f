local weir = require("spec.support.weir")

local function output(run)
  local out, err, status = weir.run(run)
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

-- What standard error says about wrong usage, without the frame around it.
local function refusal(...)
  local out, err, status = weir.run({ ... })
  assert.equal("", out)
  assert.equal(2, status)
  return (err:match("^weir: (.*) %(see weir %-%-help%)\n$"))
end

local SHOW = "print(table.concat(arg, ' ', 1))"

describe("the command line", function()
  local folder

  setup(function()
    folder = weir.folder({
      ["show.lua"] = "#!/usr/bin/env weir\nprint(arg[0], ...)",
      ["broken.lua"] = "print(",
      ["raises.lua"] = "error('no luck')",
      ["uses.lua"] = "print(require('beside'))",
      ["beside.lua"] = "return 'found beside the script'",
      ["empty.lua"] = "",
      ["cpath.lua"] = "print(package.cpath)",
      ["faulty.lua"] = "local x\nerror('out of luck')",
    })
  end)

  teardown(function() weir.remove(folder) end)

  it("runs a script with its arguments", function()
    local path = folder .. "/show.lua"
    assert.equal(path .. "\ta\t-b\t--c=d\n",
      output({ path, "a", "-b", "--c=d" }))
  end)

  it("sets arg as lua does", function()
    local path = folder .. "/args.lua"
    local file = io.open(path, "w")
    file:write("print(arg[-3] ~= nil, arg[-2], arg[-1], #arg, arg[1])")
    file:close()
    assert.equal("true\t-e\tx = 1\t2\ta\n",
      output({ "-e", "x = 1", path, "a", "b" }))
  end)

  it("does -e and -l in the order given, then the script", function()
    local out = output({ "-e", "print(1, json)", "-l", "bit",
      "-e", "print(2, bit ~= nil)", folder .. "/show.lua", "x" })
    assert.equal("1\tnil\n2\ttrue\n" .. folder .. "/show.lua\tx\n", out)
  end)

  it("finds modules beside the script first", function()
    assert.equal("found beside the script\n", output({ folder .. "/uses.lua" }))
    assert.equal("found beside the script\n",
      output({ "uses.lua", folder = folder }))
  end)

  it("finds modules beside the script for -l, too", function()
    assert.equal("beside.lua\tfound beside the script\n", output({ "-l", "beside", "-e",
      "print('beside.lua', beside)", folder .. "/empty.lua" }))
  end)

  it("finds the neighbours of a script that is a symbolic link", function()
    local bin = weir.folder({ ["beside.lua"] = "return 'beside the link'",
      ["linked.lua"] = "return 'only beside the link'" })
    os.execute(("ln -s %s/uses.lua %s/uses"):format(folder, bin))
    assert.equal("found beside the script\n", output({ bin .. "/uses" }))
    assert.equal("found beside the script\n", output({ "uses", folder = bin }))
    assert.equal("only beside the link\nfound beside the script\n",
      output({ "-e", "print(require('linked'))", bin .. "/uses" }))
    weir.remove(bin)
  end)

  it("searches for C modules beside the script", function()
    assert.matches("^" .. folder:gsub("%p", "%%%0") .. "/%?%.so;", output({ folder .. "/cpath.lua" }))
  end)

  it("is what a script's first line may name", function()
    local path = folder .. "/show.lua"
    os.execute("chmod +x " .. path .. "; ln -s " .. weir.binary .. " " .. folder .. "/weir")
    local pipe = io.popen(("PATH=%s:$PATH %s a 'b c'"):format(folder, path))
    assert.equal(path .. "\ta\tb c\n", pipe:read("*a"))
    pipe:close()
  end)

  it("runs chunks, scripts and standard input in a task", function()
    local wait = "weir.sleep(0) print('waited')"
    assert.equal("waited\n", output({ "-e", wait }))
    assert.equal("waited\n", output({ stdin = wait }))
    assert.equal("waited\n", output({ "-", stdin = wait }))
  end)

  it("takes the value of a letter in the same argument", function()
    assert.equal("1\n", output({ "-eprint(1)" }))
  end)

  it("needs no script after -e", function()
    assert.equal("1\n", output({ "-e", "print(1)", stdin = "print(2)" }))
  end)

  it("reads the script from standard input", function()
    assert.equal("a b\n", output({ "-", "a", "b", stdin = SHOW }))
    assert.equal("1\n", output({ stdin = "print(1)" }))
    assert.equal("-\n", output({ "-", stdin = "#!/usr/bin/env weir\nprint(arg[0])" }))
    assert.equal("", output({ stdin = "" }))
  end)

  it("sets arg without a script, too", function()
    assert.equal("true\t-e\n", output({ "-e", "print(arg[0] ~= nil, arg[1])" }))
  end)

  it("runs the REPL after the script", function()
    assert.equal(folder .. "/show.lua\tx\n3\nwaited\n", output({ "-i",
      folder .. "/show.lua", "x", stdin = "1 + 2\nweir.sleep(0) print('waited')\n" }))
  end)

  it("ends its options with --", function()
    assert.equal(folder .. "/show.lua\t-e\n",
      output({ "--", folder .. "/show.lua", "-e" }))
  end)

  it("takes long options' values either way", function()
    assert.equal("1\n", output({ "--grace", "5", "-e", "print(1)" }))
    assert.equal("1\n", output({ "--grace=0.5", "-e", "print(1)" }))
  end)

  it("prints its version and its help", function()
    assert.matches("^weir %d+%.%d+%.%d+ %(LuaJIT [^)]+%)\n$",
      output({ "--version" }))
    assert.equal(output({ "-v" }), output({ "--version" }))
    assert.matches("^usage: weir ", output({ "--help" }))
    assert.equal(output({ "-h" }), output({ "--help" }))
  end)

  it("names every option in its help", function()
    local help = output({ "--help" })
    for _, option in ipairs({ "-e CHUNK", "-l MODULE", "-i", "-", "--grace",
      "--trace[=FILE]", "--trace-bytes N", "--test", "-v, --version", "-h, --help", "--" }) do
      assert.truthy(help:find("\n  " .. option, 1, true), option)
    end
  end)

  it("refuses what it does not know, with status 2", function()
    assert.equal("unknown option '--foo'", refusal("--foo"))
    assert.equal("unknown option '--foo'", refusal("--foo=1"))
    assert.equal("unknown option '--vers'", refusal("--vers"))
    assert.equal("unknown option '-x'", refusal("-x"))
    assert.equal("unknown option '-x'", refusal("-ix"))
    assert.equal("option '-e' expects a chunk of Lua", refusal("-e"))
    assert.equal("option '--grace' expects seconds", refusal("--grace"))
    assert.equal("option '--grace' expects seconds, not 'soon'",
      refusal("--grace=soon"))
    assert.equal("option '--grace' expects seconds, not '-1'",
      refusal("--grace", "-1"))
    assert.equal("option '--help' takes no value", refusal("--help=me"))
    assert.equal("options '-i' and '--test' exclude each other",
      refusal("-i", "--test"))
  end)

  it("fails with 1 on a script that cannot be read or parsed", function()
    local function failure(run)
      local out, err, status = weir.run(run)
      assert.equal("", out)
      assert.equal(1, status)
      return (err:gsub(folder:gsub("%p", "%%%0"), "FOLDER"))
    end
    assert.equal("weir: cannot open FOLDER/none.lua: No such file or directory\n",
      failure({ folder .. "/none.lua" }))
    assert.equal("weir: cannot read FOLDER: Is a directory\n", failure({ folder }))
    local near = "unexpected symbol near '<eof>'\n"
    assert.equal("weir: FOLDER/broken.lua:1: " .. near, failure({ folder .. "/broken.lua" }))
    assert.equal("weir: stdin:1: " .. near, failure({ stdin = "print(" }))
    assert.equal("weir: (-e):1: " .. near, failure({ "-e", "print(" }))
  end)

  it("fails with 1 on standard input that cannot be read", function()
    local pipe = io.popen(weir.binary .. " - </ 2>&1; " .. weir.binary .. " <&- 2>&1; echo $?")
    assert.equal("weir: cannot read stdin: Is a directory\n"
      .. "weir: cannot read stdin: Bad file descriptor\n1\n", pipe:read("*a"))
    pipe:close()
  end)

  it("fails with 1 on an uncaught error", function()
    local _, err, status = weir.run({ folder .. "/raises.lua" })
    assert.matches("^weir: %S*raises%.lua:1: no luck\nstack traceback:\n", err)
    assert.equal(1, status)
    _, err, status = weir.run({ "-e", "error('early')", "-e", "print(1)" })
    assert.matches("early", err)
    assert.equal(1, status)
  end)

  it("fails with 1 on a module that cannot be loaded", function()
    local _, err, status = weir.run({ "-l", "no.such", "-e", "print(1)" })
    assert.matches("^weir: module 'no%.such' not found:\n\tno field", err)
    assert.equal(1, status)
    local out
    out, err, status = weir.run({ "-l", "faulty", "-e", "print(1)", folder .. "/empty.lua" })
    assert.equal("", out)
    assert.matches("^weir: %S*faulty%.lua:2: out of luck\nstack traceback:\n", err)
    assert.equal(1, status)
  end)

  it("fails with 1 on an error in any task, and goes on", function()
    local out, err, status = weir.run({ "-e", [[
      weir.after(0, function() error("in a timer") end)
      weir.spawn(function() weir.sleep(0.01) print("still here") end)]] })
    assert.equal("still here\n", out)
    assert.matches("in a timer", err)
    assert.equal(1, status)
  end)

  it("shows where an uncaught error came from", function()
    local _, err = weir.run({ folder .. "/raises.lua" })
    assert.matches("stack traceback:\n.*raises%.lua:1: in ", err)
  end)

  it("shows only the script's own part of a traceback", function()
    local faulty = { "-l", "faulty", folder .. "/empty.lua" }
    local waiting = { "-e", "weir.channel():get()" }
    local coroutine = { "-e", "coroutine.wrap(function() error('x') end)()" }
    local bound = { "-e", "weir.deadline(1, function() error('x') end)" }
    for _, arguments in ipairs({ faulty, waiting, coroutine, bound, { folder .. "/raises.lua" } }) do
      local _, err, status = weir.run(arguments)
      assert.equal(1, status)
      assert.matches("stack traceback:\n", err)
      assert.is_nil(err:find("main.lua", 1, true), err)
    end
  end)

  it("ends with the status that the script wants", function()
    local _, err, status = weir.run({ "-e", "weir.exit(7)" })
    assert.equal("", err)
    assert.equal(7, status)
    assert.equal(3, select(3, weir.run({ "-e", "os.exit(3)" })))
    assert.equal(0, select(3, weir.run({ "-e", "os.exit(true)" })))
    assert.equal(1, select(3, weir.run({ "-e", "os.exit(false)" })))
  end)

  it("sends what streams have queued before it exits", function()
    local got = _G.weir.channel(1)
    local listener = _G.weir.listen("127.0.0.1:0", function(stream)
      got:put(#stream:read_until_close({ timeout = 30 }))
    end)
    for _, exit in ipairs({ "weir.exit", "os.exit" }) do
      local process = _G.weir.process({ weir.binary, "-e", ([[
        local stream = assert(weir.connect("%s"))
        stream:write(("x"):rep(8000000), function() end)
        weir.defer(function() %s(5) end)]]):format(listener:address(), exit) })
      assert.equal(8000000, got:get({ timeout = 30 }))
      assert.same({ "exit", 5 }, { process:wait({ timeout = 30 }) })
    end
    listener:close()
  end)

  it("ends with 130 when interrupted while it waits for the script", function()
    local process = _G.weir.process({ "sh", "-c", "exec " .. weir.binary .. " -e 'print(1) io.flush()' -" })
    assert.equal("1\n", process.stdout:read_until("\n", { timeout = 30 }))
    process:kill("INT")
    assert.same({ "exit", 130 }, { process:wait({ timeout = 30 }) })
  end)

  it("ends with 130 when interrupted", function()
    local out, _, status = weir.run({ "-e",
      "io.popen('kill -INT $PPID'):close() weir.sleep(10) print('late')" })
    assert.equal("", out)
    assert.equal(130, status)
  end)

  it("passes thousands of arguments on", function()
    local function with(count)
      local pipe = io.popen(("echo 'print(select(\"#\", ...), (select(-1, ...)))' | %s - $(seq %d) 2>&1")
        :format(weir.binary, count))
      local out = pipe:read("*a")
      pipe:close()
      return out
    end
    assert.equal("20000\t20000\n", with(20000))
    assert.equal("weir: 20001 arguments, at most 20000 expected\n", with(20001))
  end)

  it("takes a status from 0 to 255, and no other for it", function()
    for _, wrong in ipairs({ "256", "-1", "1.5", "0/0", "'x'", "{}" }) do
      local _, err, status = weir.run({ "-e", "print(weir.exit(" .. wrong .. "))" })
      assert.matches("bad argument #1 to 'exit' %(a whole number from 0 to 255 expected", err)
      assert.equal(1, status)
    end
    assert.same({ "", "", 255 }, { weir.run({ "-e", "weir.exit(255)" }) })
  end)

  it("fails with 1 when its output cannot be written", function()
    for _, option in ipairs({ "--help", "-v" }) do
      local pipe = io.popen(weir.binary .. " " .. option .. " 2>&1 >/dev/full; echo $?")
      assert.equal("weir: standard output: No space left on device\n1\n", pipe:read("*a"))
      pipe:close()
    end
  end)
end)
