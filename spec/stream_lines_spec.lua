-- stream:lines().
local transports = require "spec.support.transports"

local function all(iterator)
  local list = {}
  for line in iterator do list[#list + 1] = line end
  return list
end

transports.each("lines", function(pair, kind)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  it("come without their \\n, and without a \\r before it", function()
    a:write("one\r\ntwo\n\r\n\nfi\rve\r\r\nrest")
    a:close()
    assert.same({ "one", "two", "", "", "fi\rve\r", "rest" }, all(b:lines()))
  end)

  it("keep the \\r of an unterminated rest: no \\n followed", function()
    a:write("one\r\nrest\r")
    a:close()
    assert.same({ "one", "rest\r" }, all(b:lines()))
  end)

  it("are none of nothing", function()
    a:close()
    assert.same({}, all(b:lines()))
  end)

  it("have no empty rest behind a terminated last one", function()
    a:write("one\n")
    a:close()
    assert.same({ "one" }, all(b:lines()))
  end)

  it("of another delimiter are left alone otherwise", function()
    a:write("one\r;two\r\n;;rest")
    a:close()
    assert.same({ "one\r", "two\r\n", "", "rest" }, all(b:lines(";")))
  end)

  it("of \\n given as the delimiter keep their \\r", function()
    a:write("one\r\ntwo\n")
    a:close()
    assert.same({ "one\r", "two" }, all(b:lines("\n")))
  end)

  it("end with any of a list of delimiters", function()
    a:write("one;two\r\nthree\nrest")
    a:close()
    assert.same({ "one", "two", "three", "rest" }, all(b:lines({ ";", "\r\n", "\n" })))
  end)

  it("are there again after the loop was left", function()
    a:write("1\n2\n3\n")
    a:close()
    for line in b:lines() do
      if line == "1" then break end
    end
    assert.same({ "2", "3" }, all(b:lines()))
  end)

  it("end with nil, a message and EOF, again and again", function()
    a:write("rest")
    a:close()
    local next_line = b:lines()
    assert.equal("rest", next_line())
    for _ = 1, 3 do
      local line, message, code = next_line()
      assert.is_nil(line)
      assert.is_string(message)
      assert.equal("EOF", code)
    end
  end)

  it("end when one is longer than max, its bytes kept", function()
    a:write("12345\n123456\n")
    local next_line = b:lines({ max = 6 })
    assert.equal("12345", next_line())
    local line, message, code = next_line()
    assert.is_nil(line)
    assert.matches("longer than max %(6 bytes%)", message)
    assert.equal("EMSGSIZE", code)
    assert.equal("123456\n", b:read_bytes(7))
  end)

  it("take max and timeout with a delimiter and without", function()
    local function arrive(text)
      a:write(text)
      assert.is_true(b:unread(b:read_bytes(#text)))
    end
    arrive("ab;")
    local next_line = b:lines(";", { max = 3, timeout = 0.01 })
    assert.equal("ab", next_line())
    assert.equal("ETIMEDOUT", (select(3, next_line())))
    assert.equal("ETIMEDOUT", (select(3, b:lines({ timeout = 0.01 })())))
    arrive("cd;")
    assert.equal("cd", next_line())
  end)

  it("end with ECLOSED when this side closes, the rest kept", function()
    a:write("one\nrest")
    local next_line = b:lines()
    assert.equal("one", next_line())
    local code
    local task = weir.spawn(function() code = select(3, next_line()) end)
    weir.sleep(0)
    b:close()
    task:join()
    assert.equal("ECLOSED", code)
    assert.equal("rest", b:peek())
  end)

  if kind == "tcp" or kind == "tcp6" then
    it("end with ECONNRESET after a reset, not raising", function()
      a:write("one\nrest")
      a:flush()
      local next_line = b:lines()
      assert.equal("one", next_line())
      a:abort()
      assert.equal("ECONNRESET", (select(3, next_line())))
      assert.equal("rest", b:read_some())
    end)
  end

  it("come out the same however the bytes were cut", function()
    local text = "a\r\nbb\n\r\nc"
    for cut = 1, #text - 1 do
      local c, d = pair()
      weir.spawn(function()
        c:write(text:sub(1, cut))
        c:flush()
        weir.sleep(0)
        c:write(text:sub(cut + 1))
        c:close()
      end)
      assert.same({ "a", "bb", "", "c" }, all(d:lines()))
      d:abort()
    end
  end)
end)
