local transports = require "spec.support.transports"

-- Every way of cutting `text` in two, and into single bytes.
local function cuts(text)
  local all = {}
  for at = 1, #text - 1 do all[#all + 1] = { text:sub(1, at), text:sub(at + 1) } end
  local single = {}
  for at = 1, #text do single[at] = text:sub(at, at) end
  all[#all + 1] = single
  all[#all + 1] = { text }
  return all
end

-- Writes the pieces so that each arrives by itself: the reader is in between.
local function send(stream, pieces)
  weir.spawn(function()
    for _, piece in ipairs(pieces) do
      stream:write(piece)
      stream:flush()
      weir.sleep(0)
    end
  end)
end

transports.each("reading", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  it("reads nine bytes, none, then three", function()
    a:write("HTTP/1.1 200 OK")
    assert.equal("HTTP/1.1 ", b:read_bytes(9))
    assert.equal("", b:read_bytes(0))
    assert.equal("200", b:read_bytes(3))
  end)

  it("finds a delimiter at every split of its bytes", function()
    for _, delimiter in ipairs({ "\n", "\r\n", "aab", "abab" }) do
      for _, pieces in ipairs(cuts("aaba" .. delimiter .. "rest")) do
        send(a, pieces)
        local text = "aaba" .. delimiter .. "rest"
        local last = text:find(delimiter, 1, true) + #delimiter - 1
        assert.equal(text:sub(1, last), b:read_until(delimiter))
        assert.equal(text:sub(last + 1), b:read_bytes(#text - last))
      end
    end
  end)

  it("says which delimiter of a list ended first, the longest of equals", function()
    a:write("one;two\r\nthree")
    local data, index = b:read_until({ "\r\n", "\n", ";" })
    assert.same({ "one;", 3 }, { data, index })
    data, index = b:read_until({ "\n", "\r\n" })
    assert.same({ "two\r\n", 2 }, { data, index })
  end)

  it("leaves the delimiter out with inclusive = false", function()
    a:write("key\r\nvalue")
    assert.equal("key", b:read_until("\r\n", { inclusive = false }))
    assert.equal("value", b:read_bytes(5))
  end)

  it("matches a regex the same however the bytes were split", function()
    for _, pieces in ipairs(cuts("ab12cd;")) do
      send(a, pieces)
      local data, letters, digits = b:read_until_regex("([a-z]+)(\\d+)(?=c)")
      assert.same({ "ab12", "ab", "12" }, { data, letters, digits })
      assert.equal("cd;", b:read_bytes(3))
    end
  end)

  it("reads frames with every prefix", function()
    local frames = {
      u8 = "\3abc", u16be = "\0\3abc", u16le = "\3\0abc", u32be = "\0\0\0\3abc",
      u32le = "\3\0\0\0abc", u64be = "\0\0\0\0\0\0\0\3abc", varint = "\3abc",
      netstring = "3:abc,",
    }
    for prefix, bytes in pairs(frames) do
      for _, pieces in ipairs(cuts(bytes)) do
        send(a, pieces)
        assert.equal("abc", b:read_frame(prefix))
      end
    end
  end)

  it("fails with EMSGSIZE beyond max, and keeps the bytes", function()
    a:write("abcdef\n")
    local data, message, code = b:read_until("\n", { max = 6 })
    assert.is_nil(data)
    assert.equal("EMSGSIZE", code)
    assert.is_string(message)
    assert.equal("abcdef\n", b:read_until("\n", { max = 7 }))
    assert.is_false(b:closed())
  end)

  it("fails a frame longer than max before its body comes", function()
    a:write("\0\0\1\0")
    local _, _, code = b:read_frame("u32be", { max = 255 })
    assert.equal("EMSGSIZE", code)
    assert.equal("\0\0\1\0", b:read_bytes(4))
  end)

  it("fails with EPROTO for a varint that never ends", function()
    a:write(("\255"):rep(11))
    local _, _, code = b:read_frame("varint")
    assert.equal("EPROTO", code)
    assert.equal(11, #b:read_bytes(11))
  end)

  it("fails with ENOBUFS when the buffer is full, and keeps the bytes", function()
    local c, d = pair({ max_buffer_size = 8 })
    c:write("12345678")
    local _, _, code = d:read_until("\n")
    assert.equal("ENOBUFS", code)
    _, _, code = d:read_bytes(9)
    assert.equal("ENOBUFS", code)
    assert.equal("12345678", d:read_bytes(8))
    c:abort()
    d:abort()
  end)

  it("times out, and the next read sees every byte", function()
    a:write("ab")
    local _, message, code = b:read_until("\n", { timeout = 0.01 })
    assert.equal("ETIMEDOUT", code)
    assert.matches("^read_until .*timed out", message)
    assert.is_false(b:reading())
    a:write("c\n")
    assert.equal("abc\n", b:read_until("\n"))
  end)

  it("a cancelled read leaves bytes and slot", function()
    local code
    local task = weir.spawn(function() code = select(3, b:read_until("\n")) end)
    a:write("ab")
    a:flush()
    weir.sleep(0)
    task:cancel()
    task:join()
    assert.equal("ECANCELED", code)
    a:write("c\n")
    assert.equal("abc\n", b:read_until("\n"))
  end)

  it("raises while another read is pending", function()
    b:read_bytes(1, function() end)
    local ok, message = pcall(b.read_bytes, b, 1)
    assert.is_false(ok)
    assert.matches("already reading", message)
  end)

  it("never calls back inside the call", function()
    a:write("ab")
    assert.equal("a", b:read_bytes(1))
    local called = false
    b:read_bytes(1, function(data) called = data end)
    assert.is_false(called)
    weir.sleep(0)
    assert.equal("b", called)
  end)

  it("returns what is there, bounded by max", function()
    a:write("hello")
    assert.equal("he", b:read_some({ max = 2 }))
    assert.equal("llo", b:read_some())
  end)

  it("peeks and puts back", function()
    a:write("abc")
    assert.equal("a", b:read_bytes(1))
    assert.equal("bc", b:peek())
    assert.equal("b", b:peek(1))
    assert.is_true(b:unread("a"))
    assert.equal("abc", b:read_bytes(3))
    assert.equal("", b:peek())
  end)

  it("iterates over lines, the unterminated rest last", function()
    a:write("one\r\ntwo\n\nfour")
    a:close()
    local lines = {}
    for line in b:lines() do lines[#lines + 1] = line end
    assert.same({ "one", "two", "", "four" }, lines)
  end)

  it("reads into FFI memory, leftovers first", function()
    local ffi = require "ffi"
    local memory = ffi.new("char[8]")
    a:write("abcdefgh")
    assert.equal("ab", b:read_bytes(2))
    assert.equal(6, b:read_into(memory, 6))
    assert.equal("cdefgh", ffi.string(memory, 6))
    a:write("xy")
    assert.equal(2, b:read_into(memory, 2, { offset = 6 }))
    assert.equal("cdefghxy", ffi.string(memory, 8))
    assert.equal(0, b:read_into(memory, 0))
    local _, _, code = b:read_into(memory, 1, { timeout = 0.01 })
    assert.equal("ETIMEDOUT", code)
  end)

  it("reads 10,000 pipelined lines with callbacks, timers running", function()
    local lines = {}
    for i = 1, 10000 do lines[i] = ("line %d\n"):format(i) end
    local done, ticks, count = weir.channel(1), 0, 0
    local timer = weir.every(0.001, function() ticks = ticks + 1 end)
    local function on_line(line)
      count = count + 1
      assert(line == lines[count])
      if count == #lines then return done:put(true) end
      b:read_until("\n", on_line)
    end
    b:read_until("\n", on_line)
    weir.spawn(function() a:write(table.concat(lines)) end)
    assert.is_true(done:get({ timeout = 60 }))
    timer:cancel()
    assert.equal(10000, count)
  end)

  it("raises for wrong counts, delimiters, options and regexes", function()
    local function wrong(pattern, method, ...)
      local ok, message = pcall(b[method], b, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    wrong("whole number", "read_bytes", -1)
    wrong("whole number", "read_bytes", 1.5)
    wrong("empty delimiter", "read_until", "")
    wrong("empty delimiter", "read_until", { "a", "" })
    wrong("unknown option 'maximum' %(known: .*max", "read_until", "\n", { maximum = 1 })
    wrong("bad regex: .*offset 1", "read_until_regex", "(")
    wrong("u8, u16be, .* expected", "read_frame", "u24")
  end)
end)

describe("an unconnected stream", function()
  it("fails reads and writes with ENOTCONN", function()
    local stream = weir.stream()
    assert.equal("ENOTCONN", (select(3, stream:read_bytes(1))))
    assert.equal("ENOTCONN", (select(3, stream:write("x"))))
  end)
end)
