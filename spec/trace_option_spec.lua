-- How the trace is asked for: --trace, --trace-bytes and weir.trace. What is in
-- it: trace_spec.

local about = require("spec.support.traces").about
local expect = require("spec.support.expect")
local weir_binary = require("spec.support.weir")

describe("weir --trace", function()
  local folder

  setup(function()
    folder = weir_binary.folder({
      ["x.lua"] = "local a, b = weir.pair() a:write('x') b:read_bytes(1)",
    })
  end)

  teardown(function() weir_binary.remove(folder) end)

  local function read(name)
    local file = assert(io.open(folder .. "/" .. name))
    local text = file:read("*a")
    file:close()
    return text
  end

  local function run(...)
    return weir_binary.run({ folder = folder, ... })
  end

  it("is off unless it is asked for", function()
    assert.same({ "", "", 0 }, { run("x.lua") })
  end)

  it("writes to standard error, and takes no script for a file", function()
    local script = read("x.lua")
    local out, err, status = run("--trace", "x.lua")
    assert.same({ "", 0 }, { out, status })
    assert.same({ "* opened fd N (unix)", [[> 1 "x"]] }, { unpack(about("#1", err), 1, 2) })
    assert.equal(script, read("x.lua"))
  end)

  it("=FILE writes to a file, which is emptied first", function()
    for _ = 1, 2 do
      assert.same({ "", "", 0 }, { run("--trace=out", "x.lua") })
      assert.same({ "* opened fd N (unix)", [[< 1 "x"]] }, { unpack(about("#2", read("out")), 1, 2) })
      assert.equal(1, select(2, read("out"):gsub([[< 1 "x"]], "")))
    end
  end)

  it("=FILE fails with 1 if the file cannot be opened", function()
    assert.same({ "", "weir: cannot open no/file: No such file or directory\n", 1 },
      { run("--trace=no/file", "-e", "print(1)") })
  end)

  it("refuses values that are none, with status 2", function()
    local function refusal(option)
      local _, err, status = run(option, "-e", "print(1)")
      assert.equal(2, status)
      return (err:match("^weir: (.*) %(see weir %-%-help%)\n$"))
    end
    assert.equal("option '--trace' expects a file's name, not ''", refusal("--trace="))
    for _, value in ipairs({ "-1", "1k", "", "1048577", "99999999999999999999" }) do
      assert.equal(("option '--trace-bytes' expects a number up to 1048576, not '%s'"):format(value),
        refusal("--trace-bytes=" .. value))
    end
    assert.equal("1\n", (run("--trace-bytes", "1048576", "-e", "print(1)")))
  end)

  it("shows no data if told so", function()
    local _, err = run("--trace", "--trace-bytes", "0", "x.lua")
    assert.equal([[> 1 ""... 1 more]], about("#1", err)[2])
  end)

  it("goes on without a trace that cannot be written, and says so", function()
    assert.same({ "1\n", "weir: trace /dev/full: No space left on device; it ends here\n", 0 },
      { run("--trace=/dev/full", "-e", "local a, b = weir.pair() a:close() print(1)") })
    local pipe = io.popen(("cd %s && %s --trace x.lua 2>&-; echo $?"):format(folder, weir_binary.binary))
    assert.equal("0\n", pipe:read("*a"))
    pipe:close()
  end)

  it("is whole on a pipe that is full, and does not block", function()
    local pipe = io.popen(("%s --trace -e '%s' 2>&1 | grep -c more"):format(
      weir_binary.binary, [[
      local ffi = require "ffi"
      ffi.cdef("int fcntl(int, int, ...);")
      ffi.C.fcntl(2, 4, ffi.cast("int", 2048)) -- F_SETFL, O_NONBLOCK
      local a, b = weir.pair()
      for _ = 1, 1000 do
        a:write(("x"):rep(600))
        b:read_bytes(600)
      end
    ]]))
    assert.equal("2000\n", pipe:read("*a"))
    pipe:close()
  end)
end)

describe("weir.trace", function()
  it("turns the trace on and off, and says whether it was on", function()
    local out, err, status = weir_binary.run({ "-e", [[
      local a, b = weir.pair()
      local function say(text) a:write(text) b:read_bytes(#text) end
      say("one")
      print(weir.trace(), weir.trace(true), weir.trace())
      say("two")
      print(weir.trace(false), weir.trace(nil))
      say("three")
    ]] })
    assert.same({ "false\tfalse\ttrue\ntrue\tfalse\n", 0 }, { out, status })
    assert.same({ [[> 3 "two"]] }, about("#1", err))
    assert.same({ [[< 3 "two"]] }, about("#2", err))
  end)

  it("takes true or false", function()
    expect.raises("true or false expected", function() weir.trace("yes") end)
  end)
end)
