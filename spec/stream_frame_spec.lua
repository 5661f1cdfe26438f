-- read_frame: every prefix, cut everywhere, and what cannot be a frame.
local transports = require "spec.support.transports"

local function big(value, size)
  local text = ""
  for _ = 1, size do
    text = string.char(value % 256) .. text
    value = math.floor(value / 256)
  end
  return text
end

local function varint(value)
  local text = ""
  while value >= 128 do
    text = text .. string.char(128 + value % 128)
    value = math.floor(value / 128)
  end
  return text .. string.char(value)
end

-- How each prefix writes a length.
local PREFIXES = {
  u8 = function(n) return big(n, 1), "" end,
  u16be = function(n) return big(n, 2), "" end,
  u16le = function(n) return big(n, 2):reverse(), "" end,
  u32be = function(n) return big(n, 4), "" end,
  u32le = function(n) return big(n, 4):reverse(), "" end,
  u64be = function(n) return big(n, 8), "" end,
  varint = function(n) return varint(n), "" end,
  netstring = function(n) return n .. ":", "," end,
}

transports.each("frames", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  local function send(...)
    for _, piece in ipairs({ ... }) do
      a:write(piece)
      a:flush()
      weir.sleep(0)
    end
  end

  -- The read fails with `code` while `bytes` are there, all of which stay.
  local function fails(bytes, code, pattern, ...)
    a:write(bytes)
    local data, message, got = b:read_frame(...)
    assert.is_nil(data)
    assert.equal(code, got)
    assert.matches("^read_frame .*: " .. pattern, message)
    assert.is_false(b:closed())
    assert.is_false(b:reading())
    assert.equal(bytes, b:read_bytes(#bytes, { timeout = 5 }))
  end

  it("of every prefix, cut everywhere, and the next read goes on behind", function()
    for prefix, encode in pairs(PREFIXES) do
      for _, payload in ipairs({ "", "x", "abc,:5", ("\0\255"):rep(100) }) do
        local head, tail = encode(#payload)
        local bytes = head .. payload .. tail
        for cut = 1, math.min(#bytes, 14) do
          local task = weir.spawn(send, bytes:sub(1, cut), bytes:sub(cut + 1) .. "rest")
          assert.equal(payload, b:read_frame(prefix, { timeout = 5 }), prefix)
          task:join()
          assert.equal("rest", b:read_bytes(4, { timeout = 5 }))
        end
      end
    end
  end)

  it("follow each other, all in one arrival", function()
    local parts = {}
    for i = 0, 300 do
      local head, tail = PREFIXES.varint(i)
      parts[#parts + 1] = head .. ("v"):rep(i) .. tail
    end
    weir.spawn(function() a:write(table.concat(parts)) end)
    for i = 0, 300 do assert.equal(("v"):rep(i), b:read_frame("varint", { timeout = 5 })) end
  end)

  it("of the longest payload that a prefix can say", function()
    a:write("\255" .. ("x"):rep(255))
    assert.equal(255, #b:read_frame("u8"))
    weir.spawn(function() a:write("\255\255" .. ("x"):rep(65535)) end)
    assert.equal(65535, #b:read_frame("u16le", { timeout = 5 }))
  end)

  it("have a max that counts the payload alone", function()
    for prefix, encode in pairs(PREFIXES) do
      local head, tail = encode(5)
      a:write(head .. "12345" .. tail)
      assert.equal("12345", b:read_frame(prefix, { max = 5 }))
      head = encode(6)
      fails(head, "EMSGSIZE", "it is longer than max %(5 bytes%): its length is 6$", prefix, { max = 5 })
      head, tail = encode(0)
      a:write(head .. tail)
      assert.equal("", b:read_frame(prefix, { max = 0 }))
      fails((encode(1)), "EMSGSIZE", "it is longer than max %(0 bytes%)", prefix, { max = 0 })
    end
  end)

  it("beyond max_buffer_size fail before their body is awaited", function()
    a, b = pair({ max_buffer_size = 100 })
    fails("\0\0\0\97", "ENOBUFS", "it does not fit into max_buffer_size %(100 bytes%)", "u32be")
    a:write("\0\0\0\96" .. ("x"):rep(96))
    assert.equal(96, #b:read_frame("u32be", { timeout = 5 }))
    fails("\0\0\0\97", "EMSGSIZE", "it is longer than max", "u32be", { max = 96 })
    fails("GET / HTTP/1.1", "ENOBUFS", ".*: its length is 1195725856$", "u32be")
    assert.is_nil(select(2, b:unread(("x"):rep(101))):find("length"))
    fails("\127\255\255\255\255\255\255\255", "ENOBUFS", "", "u64be")
    fails("\255\255\255\255\255\255\255\255", "ENOBUFS", "", "u64be", { max = 2 ^ 53 })
    fails("\255\255\255\255\255\255\255\255\255\1", "ENOBUFS", "", "varint")
    fails("18446744073709551615:", "ENOBUFS", "", "netstring")
  end)

  it("fail with EPROTO where a varint never ends or passes 64 bits", function()
    fails(("\255"):rep(10), "EPROTO", "varint longer than 10 bytes$", "varint")
    fails(("\128"):rep(10) .. "\0", "EPROTO", "varint longer than 10 bytes$", "varint")
    fails(("\255"):rep(9) .. "\2", "EPROTO", "varint beyond 64 bits$", "varint")
    a:write(("\255"):rep(9))
    assert.equal("ETIMEDOUT", (select(3, b:read_frame("varint", { timeout = 0.01 }))))
    assert.equal(9, #b:read_some())
    a:write("\131\128\128\0abc")
    assert.equal("abc", b:read_frame("varint"))
  end)

  it("fail with EPROTO for what is no netstring, as early as that shows", function()
    for bytes, reason in pairs({
      ["x"] = "netstring without a length$", [":"] = "netstring without a length$",
      ["-1:"] = "netstring without a length$", ["5x"] = "netstring length without its colon$",
      ["5 :"] = "netstring length without its colon$", ["00:,"] = "netstring length with a leading zero$",
      ["01:"] = "netstring length with a leading zero$", ["3:abc;"] = "netstring without its comma$",
      ["18446744073709551616:"] = "netstring length beyond 64 bits$",
    }) do
      fails(bytes, "EPROTO", reason, "netstring")
    end
    a:write("0:,")
    assert.equal("", b:read_frame("netstring"))
  end)

  it("cut short by the peer's end fail with EOF, their bytes kept", function()
    a:write("\5abc")
    a:close()
    local data, message, code = b:read_frame("u8")
    assert.is_nil(data)
    assert.equal("EOF", code)
    assert.matches("4 bytes stay in the buffer", message)
    assert.equal("\5abc", b:read_until_close())
    assert.equal("EOF", (select(3, b:read_frame("u8"))))
  end)

  it("that time out or are cancelled leave every byte", function()
    a:write("\0\5ab")
    assert.equal("ETIMEDOUT", (select(3, b:read_frame("u16be", { timeout = 0.01 }))))
    local code
    local task = weir.spawn(function() code = select(3, b:read_frame("u16be")) end)
    weir.sleep(0)
    task:cancel()
    task:join()
    assert.equal("ECANCELED", code)
    a:write("cde")
    assert.equal("abcde", b:read_frame("u16be", { timeout = 5 }))
  end)
end)

transports.each("writing frames", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  it("of every prefix is what reading expects", function()
    for prefix, encode in pairs(PREFIXES) do
      for _, size in ipairs({ 0, 1, 127, 128, 255, 300, 70000 }) do
        local payload = ("x"):rep(size)
        if size < 256 or prefix:find("^[^u]") or size < 65536 and prefix ~= "u8" then
          local before, behind = encode(size)
          assert.is_true(a:write_frame(prefix, payload))
          assert.equal(before .. payload .. behind, b:read_bytes(#before + size + #behind, { timeout = 5 }))
          a:write_frame(prefix, payload)
          assert.equal(payload, b:read_frame(prefix, { timeout = 5 }))
        end
      end
    end
  end)
end)

describe("write_frame", function()
  local a, b
  before_each(function() a, b = weir.pair() end)
  after_each(function() a:abort() b:abort() end)

  it("takes lists, options and a callback, as write does", function()
    a:write_frame("u16be", { "P", { 12, "x" }, {}, 1.5 })
    assert.equal("P12x1.5", b:read_frame("u16be", { timeout = 5 }))
    local done = weir.channel(2)
    a:write_frame("u8", "one", function(...) done:put({ ... }) end)
    a:write_frame("u8", "two", { timeout = 5 }, function(...) done:put({ ... }) end)
    assert.same({ true }, done:get({ timeout = 5 }))
    assert.same({ true }, done:get({ timeout = 5 }))
    assert.equal("one", b:read_frame("u8"))
    assert.equal("two", b:read_frame("u8"))
    a:close()
    assert.equal("ECLOSED", select(3, a:write_frame("u8", "late")))
  end)

  it("raises at the caller's line, and writes nothing", function()
    local function raises(pattern, ...)
      local good, message = pcall(function(...) a:write_frame(...) end, ...)
      assert.is_false(good)
      assert.matches("stream_frame_spec%.lua:%d+: " .. pattern, message)
    end
    raises("write_frame: u8, u16be, .* expected, got u24", "u24", "x")
    raises("write_frame: u8, u16be, .* expected, got nil")
    raises("write_frame: a string, or a list .* expected, got nil", "u8")
    raises("write_frame: a string, or a list .* expected, got boolean", "u8", { "x", true })
    raises("write_frame: 256 bytes are more than u8 can say", "u8", ("x"):rep(256))
    raises("write_frame: 65536 bytes are more than u16le can say", "u16le", ("x"):rep(65536))
    raises("write: unknown option 'colour'", "u8", "x", { colour = 1 })
    assert.is_false(a:writing())
  end)
end)
