-- The REPL: from a pipe, and on a terminal (a pseudo-terminal of script(1)).

local weir_binary = require("spec.support.weir")

local function repl(lines, chunk)
  return weir_binary.run({ "-i", "-e", chunk or "", stdin = lines })
end

describe("the REPL on a pipe", function()
  it("prints what expressions give, and nothing for statements", function()
    assert.same({ "3\nnil\t2\na\n", "", 0 }, { repl("1 + 2\nnil, 2\nx = 'a'\n= x\nlocal y\n") })
  end)

  it("runs lines that wait", function()
    assert.same({ "true\nhi\n", "", 0 }, { repl([[
      weir.sleep(0.001)
      a, b = weir.pair()
      weir.spawn(function() a:write("hi\n") end):join()
      b:read_until("\n", { inclusive = false })
    ]]) })
  end)

  it("shows tables with what is in them", function()
    local out = repl([[
      {}, { 1, "a\r\n", { b = {} } }
      { ["not a name"] = true, [3] = 1, x = "\0" }
      recursive = {} recursive[1] = recursive
      recursive
      { { { { 1 } } } }
      setmetatable({ 1 }, { __tostring = function() return "by itself" end })
    ]])
    out = out:gsub("table: 0x%x+", "TABLE")
    assert.equal([[
{}	{ 1, "a\r\n", { b = {} } }
{ [3] = 1, ["not a name"] = true, x = "\0" }
{ TABLE }
{ { { TABLE } } }
by itself
]], out)
  end)

  it("shows not all of a table that is large", function()
    local out = repl("('x'):rep(200)\n{ ('y'):rep(200) }\n", [[
      function hundreds() local t = {} for i = 1, 300 do t[i] = i end return t end]])
    assert.equal(("x"):rep(200) .. "\n{\n  \"" .. ("y"):rep(120) .. "\"...\n}\n", out)
    out = repl("hundreds()\n", [[
      function hundreds() local t = { a = 1 } for i = 1, 300 do t[i] = i end return t end]])
    assert.matches("^{\n  1,\n.*  100,\n  %.%.%.\n}\n$", out)
  end)

  it("takes several lines for one chunk", function()
    assert.same({ "1\n2\ntrue\n", "", 0 }, { repl([[
      for i = 1, 2 do
        print(i)
      end
      weir.sleep(
      0)
    ]]) })
  end)

  it("tells errors, and goes on", function()
    local out, err, status = repl("x = = 1\nerror('oops')\nnothing()\nprint(1)\n")
    assert.equal("1\n", out)
    assert.matches("^stdin:1: unexpected symbol near '='\nstdin:1: oops\nstack traceback:\n", err)
    assert.matches("attempt to call global 'nothing' %(a nil value%)\n", err)
    assert.is_nil(err:find("lua/weir", 1, true))
    assert.equal(0, status)
  end)

  it("comes after -e, and ends as the script wants", function()
    assert.same({ "7\n", "", 3 }, { repl("x\nweir.exit(3)\nprint('late')\n", "x = 7") })
  end)

  it("ends with 1 if an error elsewhere was reported, with 0 after its own", function()
    local _, err, status = repl("weir.spawn(error, 'elsewhere')\nweir.sleep(0)\n")
    assert.matches("uncaught error in task.*\nelsewhere\n", err)
    assert.equal(1, status)
    _, err, status = repl("weir.spawn(error, 'joined'):join()\nerror('its own')\n")
    assert.matches("^stdin:1: its own\n", err)
    assert.equal(0, status)
  end)

  it("keeps nothing from running meanwhile", function()
    local process = assert(weir.process({ weir_binary.binary, "-i", "-e", [[
      weir.every(0.001, function() ticks = (ticks or 0) + 1 end):unref()]] }))
    process.stdin:write("weir.sleep(0.05)\n")
    assert.equal("true\n", process.stdout:read_until("\n", { timeout = 30 }))
    process.stdin:write("ticks > 1\n")
    assert.equal("true\n", process.stdout:read_until("\n", { timeout = 30 }))
    process.stdin:close()
    assert.same({ "exit", 0 }, { process:wait({ timeout = 30 }) })
  end)
end)

describe("the REPL on a terminal", function()
  local folder, process

  before_each(function()
    folder = weir_binary.folder()
    process = assert(weir.process({ "script", "-qec", weir_binary.binary, "/dev/null" },
      { env = { HOME = folder, TERM = "dumb", INPUTRC = "/dev/null" } }))
    assert(process.stdout:read_until("\r\n> ", { timeout = 30 }))
  end)

  after_each(function()
    process:kill("KILL")
    process:wait({ timeout = 30 })
    weir_binary.remove(folder)
  end)

  -- Types `text`; what shows until `ending` does.
  local function type_in(text, ending)
    process.stdin:write(text)
    local shown = assert(process.stdout:read_until(ending or "\r\n> ", { timeout = 30 }))
    return (shown:gsub("\r+\n", "\n"))
  end

  local function ended()
    return process:wait({ timeout = 30 })
  end

  it("shows what is typed, and answers", function()
    assert.equal("1 + 1\n2\n> ", type_in("1 + 1\n"))
    assert.equal("weir.sleep(0.001)\ntrue\n> ", type_in("weir.sleep(0.001)\n"))
    assert.equal("do\n>> ", type_in("do\n", ">> "))
    assert.equal("print(3) end\n3\n> ", type_in("print(3) end\n"))
    assert.equal("weir.stdout:write('x\\n')\nx\ntrue\n> ", type_in("weir.stdout:write('x\\n')\n"))
    type_in("\4", "\n")
    assert.same({ "exit", 0 }, { ended() })
  end)

  it("runs everything else while a line is edited", function()
    type_in(("listener = weir.listen('unix:%s/socket', function(s) s:write('hi') s:close() end)\n")
      :format(folder))
    type_in("half a l", "half a l")
    local client = assert(weir.connect("unix:" .. folder .. "/socket"))
    assert.equal("hi", client:read_until_close({ timeout = 30 }))
    client:close()
  end)

  it("interrupts a line that waits, and goes on", function()
    type_in("weir.sleep(100)\n", "\r\n")
    assert.matches("interrupted\n> $", type_in("\3"))
    type_in("while true do weir.sleep(0.001) end\n", "\r\n")
    assert.matches("interrupted\n> $", type_in("\3"))
    assert.equal("1\n1\n> ", type_in("1\n"))
  end)

  it("interrupts a line that never waits, and goes on", function()
    for _, line in ipairs({ "while true do end", "for i = 1, math.huge do local _ = i * 2 end",
      "coroutine.wrap(function() while true do end end)()", "weir.spawn(function() while true do end end):join()" }) do
      type_in(line .. "\n", "\r\n")
      assert.matches("interrupted", type_in("\3"), line)
      assert.equal("1\n1\n> ", type_in("1\n"))
    end
  end)

  it("interrupts a line that waits for what never happens", function()
    type_in("weir.channel():get()\n", "\r\n")
    assert.matches("interrupted\n> $", type_in("\3"))
  end)

  it("interrupts no other task", function()
    type_in("ticks = 0 timer = weir.every(0.001, function() for i = 1, 100 do ticks = ticks + 1 end end)\n")
    for _ = 1, 5 do
      type_in("weir.sleep(100)\n", "\r\n")
      assert.matches("interrupted\n> $", type_in("\3"))
    end
    assert.equal("timer:cancel() return ticks % 100\n0\n> ", type_in("timer:cancel() return ticks % 100\n"))
  end)

  it("ends with a line that goes on after all", function()
    type_in("while true do pcall(function() while true do end end) end\n", "\r\n")
    local ended_with
    weir.spawn(function() ended_with = { ended() } end)
    repeat
      process.stdin:write("\3")
      weir.sleep(0.01)
    until ended_with
    assert.same({ "exit", 130 }, ended_with)
  end)

  it("drops a line that is begun when interrupted, and then ends", function()
    type_in("half a line", "half a line")
    assert.matches("\n> $", type_in("\3"))
    type_in("do\n", ">> ")
    assert.matches("\n> $", type_in("\3"))
    assert.equal("2\n2\n> ", type_in("2\n"))
    process.stdin:write("\3")
    assert.same({ "exit", 130 }, { ended() })
  end)

  it("leaves the interrupt key to a script that handles it", function()
    type_in("handle = weir.signal('INT', function(name) print(name) end)\n")
    assert.equal("\nINT\n> ", type_in("\3"))
    assert.equal("handle:cancel()\n> ", type_in("handle:cancel()\n"))
    process.stdin:write("\3")
    assert.same({ "exit", 130 }, { ended() })
  end)

  it("leaves the terminal as it was", function()
    local line = "stty -g; " .. weir_binary.binary .. "; stty -g"
    local shell = assert(weir.process({ "script", "-qec", line, "/dev/null" },
      { env = { HOME = folder, TERM = "dumb", INPUTRC = "/dev/null" } }))
    local before = assert(shell.stdout:read_until("\r\n", { timeout = 30 }))
    assert(shell.stdout:read_until("\r\n> ", { timeout = 30 }))
    shell.stdin:write("\4")
    local rest = assert(shell.stdout:read_until_close({ timeout = 30 }))
    assert.equal(before, rest:match("[^\n]*\n$"))
    shell:wait({ timeout = 30 })
  end)

  it("completes names with the tabulator", function()
    assert.equal("weir.sleep(0)\ntrue\n> ", type_in("weir.sle\t(0)\n"))
    type_in("some_name = { inner = 5 }\n")
    assert.equal("some_name.inner\n5\n> ", type_in("some_na\t.in\t\n"))
  end)

  it("remembers lines, for the next time as well", function()
    type_in("40 + 2\n")
    assert.equal("40 + 2\n42\n> ", type_in("\16\n"))
    local file = assert(io.open(folder .. "/.weir_history"))
    assert.equal("40 + 2\n40 + 2\n", file:read("*a"))
    file:close()
  end)

  it("is not left by errors", function()
    assert.matches("oops\nstack traceback:", type_in("error('oops')\n"))
    assert.matches("unexpected symbol", type_in("x = = 1\n"))
    type_in("weir.defer(function() error('later') end)\n")
    assert.equal("3\n3\n> ", type_in("3\n"):match("3\n3\n> $"))
  end)
end)
