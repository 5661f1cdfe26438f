-- read_until_regex: the same result however the bytes were split (R5).
local transports = require "spec.support.transports"

-- Pattern, what is sent, what is read, its captures (false: unset). `ended`:
-- the peer ends behind it.
local CASES = {
  { "abc", "xxabcd", "xxabc" },
  { "a+", "aaab", "aaa" },
  { "a+?", "aaab", "a" },
  { "(a|ab)(c|bcd)?x", "abcdx", "abcdx", "a", "bcd" },
  { "(a)|(b)", "xb!", "xb", false, "b" },
  { "(a)|(b)|(c)d", "xcd", "xcd", false, false, "c" },
  { "(?:(a)|b)*c", "abc", "abc", "a" },
  { "(x*)y", "y", "y", "" },
  { "^ab", "abc", "ab" },
  { "^a|b", "cb", "cb" },
  { "\\Aab+", "abbc", "abb" },
  { "(?m)^b", "a\nbc", "a\nb" },
  { "(?m)a$", "ba\nc", "ba" },
  { "a$", "aa", "aa", ended = true },
  { "\\d+\\z", "a12", "a12", ended = true },
  { "\\d+", "a12", "a12", ended = true },
  { "a(?=b)", "aab", "aa" },
  { "a(?!b)", "abac", "aba" },
  { "a(?!b)", "aba", "aba", ended = true },
  { "(?<=a)b", "bab!", "bab" },
  { "(?<!a)b", "abcb", "abcb" },
  { "\\bend\\b", "bend end.", "bend end" },
  { "\\bend\\b", "bend end", "bend end", ended = true },
  { "(\\w+): (.*?)\\r\\n", "Host: there\r\n", "Host: there\r\n", "Host", "there" },
  { "\\r?\\n\\r?\\n", "a\r\n\nb", "a\r\n\n" },
  { "\\R", "a\r\nb", "a\r\n" },
  { "(?s).*\\n", "a\nb\n", "a\nb\n", ended = true },
  { "(?i)STOP", "don't sToP!", "don't sToP" },
  { "(.)\\1", "abccd", "abcc", "c" },
  { "a|(?=b)", "bba", "bba" },
  { "x*", "aax", "aax", ended = true },
  { "\\x00\\xff", "a\0\255b", "a\0\255" },
  { "(a+)(b+)?", "aac", "aa", "aa", false },
  { "a{2,3}", "aaaa", "aaa" },
  { "a{2,3}?", "aaaa", "aa" },
}

-- Every way of cutting `text` in two, into single bytes, and not at all.
local function cuts(text)
  local all, single = { { text } }, {}
  for at = 1, #text - 1 do all[#all + 1] = { text:sub(1, at), text:sub(at + 1) } end
  for at = 1, #text do single[at] = text:sub(at, at) end
  all[#all + 1] = single
  return all
end

local function packed(...)
  return { n = select("#", ...), ... }
end

transports.each("a regex", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  local function send(pieces)
    local to = a
    for _, piece in ipairs(pieces) do
      to:write(piece)
      to:flush()
      weir.sleep(0)
    end
  end

  it("gives the same, captures too, however the bytes were split", function()
    for _, case in ipairs(CASES) do
      local pattern, text, data = unpack(case)
      local expected = { data }
      for i = 4, #case do expected[i - 2] = case[i] or nil end
      for _, pieces in ipairs(cuts(text)) do
        local task = weir.spawn(send, pieces)
        if case.ended then
          task:join()
          a:close()
        end
        local got = packed(b:read_until_regex(pattern, { timeout = 5 }))
        assert.equal(#case - 2, got.n, pattern)
        for i = 1, got.n do assert.equal(expected[i], got[i], pattern) end
        if case.ended then
          b:abort()
          a, b = pair()
        else
          task:join()
          assert.equal(text:sub(#data + 1), b:read_bytes(#text - #data, { timeout = 5 }))
        end
      end
    end
  end)

  it("gives as many values as it has groups, set or not", function()
    a:write("b;bb;")
    assert.equal(4, packed(b:read_until_regex("(a)?b(c)?(d)?;")).n)
    assert.equal(1, packed(b:read_until_regex("b")).n)
    local got = weir.channel(1)
    b:read_until_regex("(a)?(b)(c)?;", function(...) got:put(packed(...)) end)
    assert.same({ n = 4, "b;", nil, "b", nil }, got:get({ timeout = 5 }))
  end)

  it("waits while a match may still grow, and takes it when the peer ends", function()
    a:write("12")
    local _, _, code = b:read_until_regex("\\d+", { timeout = 0.01 })
    assert.equal("ETIMEDOUT", code)
    a:close()
    assert.equal("12", b:read_until_regex("\\d+", { timeout = 5 }))
    _, _, code = b:read_until_regex("\\d*", { timeout = 5 })
    assert.equal("EOF", code)
  end)

  it("does not count an empty match", function()
    a:write("bbb")
    local _, _, code = b:read_until_regex("a*", { timeout = 0.01 })
    assert.equal("ETIMEDOUT", code)
    a:write("aa;")
    assert.equal("bbbaa", b:read_until_regex("a*"))
    assert.equal(";", b:read_bytes(1))
  end)

  it("sees only unread bytes when it looks behind, and begins at the first one", function()
    a:write("ab ab")
    assert.equal("a", b:read_bytes(1))
    assert.equal("b ab", b:read_until_regex("(?<=a)b"))
    a:write("xyxy\n")
    assert.equal("x", b:read_bytes(1))
    assert.equal("y", b:read_until_regex("^y"))
  end)

  it("that can match only at the first byte, and does not, fails at once", function()
    a:write("PUT /")
    local data, message, code = b:read_until_regex("^GET", { timeout = 5 })
    assert.is_nil(data)
    assert.equal("EPROTO", code)
    assert.matches("^read_until_regex .*: regex matches only at the first byte, and not there$", message)
    assert.equal("PUT /", b:read_bytes(5))
  end)

  it("has a max of 65536 unless it is given", function()
    weir.spawn(function() a:write(("x"):rep(65535) .. ";" .. ("x"):rep(65536) .. ";") end)
    assert.equal(65536, #b:read_until_regex(";", { timeout = 5 }))
    local data, message, code = b:read_until_regex(";", { timeout = 5 })
    assert.is_nil(data)
    assert.equal("EMSGSIZE", code)
    assert.matches("longer than max %(65536 bytes%)", message)
    assert.equal(65537, #b:read_until_regex(";", { max = 65537, timeout = 5 }))
  end)

  it("has the same max wherever the bytes were cut", function()
    for _, case in ipairs({
      { "b", "aab", 3, "aab" }, { "b", "aab", 2 }, { "a+", "aaab", 3, "aaa" }, { "a+", "aaab", 2 },
      { "a+?", "aaab", 1, "a" }, { "ab|abc", "abcd", 2, "ab" }, { "abc|ab", "abcd", 2 },
      -- What a look-ahead needs counts too.
      { "a(?=b)", "aab", 3, "aa" }, { "a(?=b)", "aab", 2 },
    }) do
      local pattern, text, max, expected = unpack(case)
      for _, pieces in ipairs(cuts(text)) do
        local task = weir.spawn(send, pieces)
        local data, _, code = b:read_until_regex(pattern, { max = max, timeout = 5 })
        task:join()
        assert.equal(expected, data, pattern .. " within " .. max)
        assert.equal(expected == nil and "EMSGSIZE" or nil, code)
        local left = #text - #(data or "")
        assert.equal(text:sub(#text - left + 1), b:read_bytes(left, { timeout = 5 }))
      end
    end
  end)

  it("that would take for ever ends in EPROTO, nothing consumed", function()
    local text = ("a"):rep(60) .. "b"
    a:write(text)
    local data, message, code = b:read_until_regex("(?:a+)+\\d", { timeout = 20 })
    assert.is_nil(data)
    assert.equal("EPROTO", code)
    assert.matches("regex passes its match limit$", message)
    assert.is_false(b:closed())
    assert.equal(text, b:read_bytes(61))
  end)

  it("of a group that calls itself without end ends in EPROTO, soon", function()
    for _, pattern in ipairs({ "(|(?1))", "(a?|(?-1))*b", "(?<n>|(?&n))", "(|\\g<1>)" }) do
      a:write("c")
      local data, message, code = b:read_until_regex(pattern, { timeout = 20 })
      assert.is_nil(data)
      assert.equal("EPROTO", code)
      assert.matches("regex passes its memory limit$", message)
      assert.equal("c", b:read_bytes(1))
    end
    local nested = ("("):rep(500) .. ("x)"):rep(500)
    a:write(nested)
    assert.equal(nested, b:read_until_regex([[\((?:[^()]++|(?R))*\)]], { timeout = 5 }))
  end)

  it("is forgotten in time: a thousand different ones may come", function()
    for i = 1, 1000 do
      a:write("<" .. i .. ">")
      assert.equal("<" .. i .. ">", b:read_until_regex("<" .. i .. ">"))
    end
    a:write("<1>")
    assert.equal("<1>", b:read_until_regex("<1>"))
  end)

  it("survives collections while it waits", function()
    local got = weir.channel(1)
    b:read_until_regex("(\\w+) (" .. "\\d+" .. ");", function(...) got:put({ ... }) end)
    for i = 1, 600 do
      collectgarbage("step")
      pcall(b.read_until_regex, b, "x" .. i)
    end
    collectgarbage()
    send({ "abc 1", "2", ";" })
    assert.same({ "abc 12;", "abc", "12" }, got:get({ timeout = 5 }))
  end)
end)
