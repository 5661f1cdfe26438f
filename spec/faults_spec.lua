-- The faults are what specs of streams run over: they must happen.

local expect = require("spec.support.expect")
local faults = require "weir.faults"

describe("faults", function()
  local a, b
  before_each(function() a, b = weir.pair() end)
  after_each(function() a:abort() b:abort() end)

  local function pieces(options, text)
    faults.wrap(b, options)
    a:write(text, function() end)
    a:shutdown({}, function() end)
    local sizes = {}
    while true do
      local data = b:read_some({ timeout = 30 })
      if not data then return sizes end
      sizes[#sizes + 1] = #data
    end
  end

  it("cut reads short, the same way for the same seed", function()
    local text = ("x"):rep(5000)
    local first = pieces({ seed = 7, most = 10 }, text)
    assert.is_true(#first > 500)
    a, b = weir.pair()
    assert.same(first, pieces({ seed = 7, most = 10 }, text))
    a, b = weir.pair()
    assert.is_false(#first == #pieces({ seed = 8, most = 10 }, text))
  end)

  it("cut writes short", function()
    faults.wrap(a, { most = 1, reset_after = 2 })
    a:write("abc", function() end)
    assert.equal("ab", b:read_until_close({ timeout = 30 }))
  end)

  it("make callers wait, and go on without an event", function()
    faults.wrap(a, { seed = 1, wait = 1000000 })
    faults.wrap(b, { seed = 1, wait = 2 })
    local turns, going = 0, true
    weir.spawn(function()
      while going do turns = turns + 1 weir.sleep(0) end
    end)
    for _ = 1, 100 do
      a:write("x")
      a:flush()
      assert.equal("x", b:read_bytes(1, { timeout = 30 }))
    end
    going = false
    assert.is_true(turns > 100)
  end)

  it("join the last bytes with the end", function()
    faults.wrap(b, { join = true })
    a:write("data")
    a:close()
    assert.equal("data", b:read_until_close({ timeout = 30 }))
  end)

  it("reset the connection, and its peer sees it", function()
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:read_until_close(function(_, _, code) b:write(code .. "\n") end)
    end))
    local client = assert(weir.connect(listener:address()))
    faults.wrap(client, { reset_after = 3 })
    client:write("abc")
    local data, _, code = client:read_bytes(1, { timeout = 30 })
    assert.is_nil(data)
    assert.equal("ECONNRESET", code)
    client:write("x")
    client:flush()
    assert.equal("ECONNRESET", (select(3, client:write("y"))))
    assert.equal("ECONNRESET\n", a:read_until("\n", { timeout = 30 }))
    listener:close()
  end)

  it("are for open streams", function()
    local ok, message = pcall(faults.wrap, weir.stream(), {})
    assert.is_false(ok)
    assert.matches("an open stream expected", message)
    expect.raises("unknown option 'chaos' %(known: join", function() faults.wrap(a, { chaos = true }) end)
  end)
end)
