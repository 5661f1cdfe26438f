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
      "--test", "-v, --version", "-h, --help", "--" }) do
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
    local out, err, status = weir.run({ folder .. "/none.lua" })
    assert.equal("", out)
    assert.matches("none%.lua: No such file or directory", err)
    assert.equal(1, status)
    out, err, status = weir.run({ folder .. "/broken.lua" })
    assert.equal("", out)
    assert.matches("broken%.lua:1: unexpected symbol near '<eof>'", err)
    assert.equal(1, status)
  end)

  it("fails with 1 on an uncaught error", function()
    local _, err, status = weir.run({ folder .. "/raises.lua" })
    assert.matches("raises%.lua:1: no luck", err)
    assert.equal(1, status)
    _, err, status = weir.run({ "-e", "error('early')", "-e", "print(1)" })
    assert.matches("early", err)
    assert.equal(1, status)
  end)

  it("fails with 1 on a module that cannot be loaded", function()
    local _, err, status = weir.run({ "-l", "no.such", "-e", "print(1)" })
    assert.matches("module 'no%.such' not found", err)
    assert.equal(1, status)
  end)

  it("shows where an uncaught error came from", function()
    local _, err = weir.run({ folder .. "/raises.lua" })
    assert.matches("stack traceback:\n.*raises%.lua:1: in ", err)
  end)

  it("ends with the status that the script wants", function()
    local _, err, status = weir.run({ "-e", "weir.exit(7)" })
    assert.equal("", err)
    assert.equal(7, status)
    assert.equal(3, select(3, weir.run({ "-e", "os.exit(3)" })))
    assert.equal(0, select(3, weir.run({ "-e", "os.exit(true)" })))
    assert.equal(1, select(3, weir.run({ "-e", "os.exit(false)" })))
  end)

  it("ends with 130 when interrupted", function()
    local out, _, status = weir.run({ "-e",
      "io.popen('kill -INT $PPID'):close() weir.sleep(10) print('late')" })
    assert.equal("", out)
    assert.equal(130, status)
  end)

  it("fails with 1 when its output cannot be written", function()
    assert.equal(256, os.execute(weir.binary .. " --help >/dev/full"))
  end)
end)
