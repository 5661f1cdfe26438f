-- Streams with all garbage collected after every single resumption: what is
-- still needed must be kept alive by somebody.

local weir_binary = require "spec.support.weir"

-- Every third cell of the table of endings, over every transport.
local ENDINGS = [[
  local endings = require "spec.support.endings"
  local transports = require "spec.support.transports"
  local count = 0
  for _, transport in ipairs(transports.list) do
    for _, ending in ipairs({ "together", "later", "close", "abort" }) do
      endings.each(ending, function(cell)
        count = count + 1
        if count % 3 > 0 then return end
        local run = endings.run(transport.pair, cell)
        print(transport.name, ending, run.read, run.write, run.over, run.later, run.closed)
      end)
    end
  end]]

local READS = [[
  local ffi = require "ffi"
  local transports = require "spec.support.transports"
  for _, transport in ipairs(transports.list) do
    local a, b = transport.pair()
    local c, d = transport.pair()
    a:write({ "one\r\ntwo,", ("3"):rep(5000), "\n12.5;\0\5frame", "8bytes!!" }, function() end)
    print(transport.name, b:read_until("\r\n"))
    print(b:read_until({ ",", "\n" }))
    print(#b:read_until("\n"))
    print(b:read_until_regex("(\\d+)\\.(\\d+);"))
    print(b:read_frame("u16be"))
    local memory = ffi.new("char[8]")
    print(b:read_into(memory, 8), ffi.string(memory, 8))
    local echo = weir.spawn(function()
      for _ = 1, 3 do b:write(b:read_until("\n"), function() end) end
      return "echoed"
    end)
    for i = 1, 3 do
      a:write({ "line ", i })
      a:write("\n")
      print(a:read_until("\n"))
    end
    print(echo:join())
    local got = weir.channel(9)
    b:read_bytes(3, function(data) got:put(data) end)
    a:write("abc")
    print(got:get())
    b:copy_to(c, function(count) got:put(count) end)
    a:write(("x"):rep(300000), function(ok) got:put(ok) end)
    a:shutdown({}, function() end)
    print(#d:read_bytes(300000))
    print(got:get(), got:get())
    for _, stream in ipairs({ a, b, c, d }) do stream:abort() end
  end]]

describe("collecting everything after every resumption", function()
  for name, program in pairs({ endings = ENDINGS, reads = READS }) do
    it("changes nothing: " .. name, function()
      local out, err, status = weir_binary.run({ "-e", program })
      assert.equal("", err)
      assert.equal(0, status)
      local again
      again, err, status = weir_binary.run({ "-e", program, env = { WEIR_COLLECT = "always" } })
      assert.equal("", err)
      assert.equal(0, status)
      assert.equal(out, again)
    end)
  end
end)
