-- The search for a delimiter looks at each byte once, and at the last
-- #delimiter - 1 again (R5, T-4): counted, not timed.
local ffi = require "ffi"
local transports = require "spec.support.transports"

ffi.cdef "uint64_t match_work(void);"

local function looked_at() return tonumber(ffi.C.match_work()) end

-- The delimiters, and how often a byte may be looked at for each arrival of
-- one: a list's automaton never looks twice.
local DELIMITERS = {
  { "\n", 1 },
  { "\r\n\r\n", 4 },
  { { "\r\n\r\n", "\n\n" }, 1 },
  { { "\n", "never" }, 1 },
  { { "\nabc", "\nabd", "bc", "never" }, 1 },
}

local function name_of(delimiter)
  local text = type(delimiter) == "table" and table.concat(delimiter, " or ") or delimiter
  return (text:gsub("\r", "\\r"):gsub("\n", "\\n"))
end

transports.each("searching", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  -- Writes `text` in pieces that arrive one by one.
  local function send(text, size)
    for at = 1, #text, size do
      a:write(text:sub(at, at + size - 1))
      a:flush()
      weir.sleep(0)
    end
  end

  for _, size in ipairs({ 1, 64, 65536 }) do
    for _, case in ipairs(DELIMITERS) do
      local delimiter, often = unpack(case)
      it(("for %s in arrivals of %d costs as much per byte"):format(name_of(delimiter), size), function()
        local last = type(delimiter) == "table" and delimiter[1] or delimiter
        local per_byte = {}
        for _, count in ipairs({ 250, 1000 }) do
          local total = size == 65536 and count * 1000 or count * math.min(size, 16)
          local text = ("."):rep(total) .. last
          local before = looked_at()
          weir.spawn(send, text, size)
          assert.equal(#text, #assert(b:read_until(delimiter, { timeout = 20 })))
          local work = looked_at() - before
          per_byte[#per_byte + 1] = work / #text
          assert.is_true(work <= #text * often)
        end
        assert.is_true(per_byte[2] <= per_byte[1] * 1.1)
      end)
    end
  end

  it("many buffered lines for a list of which one never occurs is linear", function()
    local lines = {}
    for i = 1, 5000 do lines[i] = ("line %d\n"):format(i) end
    local text = table.concat(lines)
    weir.spawn(function() a:write(text) end)
    local first = b:read_bytes(1)
    assert.is_true(b:unread(first))
    local before = looked_at()
    for i = 1, #lines do
      local line, index = b:read_until({ "\n", "never" }, { timeout = 5 })
      assert.equal(lines[i], line)
      assert.equal(1, index)
    end
    assert.is_true(looked_at() - before <= #text)
  end)

  it("goes on where a read that failed has stopped", function()
    for _, delimiter in ipairs({ "\r\n", { "\r\n", "never" } }) do
      local before = looked_at()
      local text = ("."):rep(500) .. "\r\n"
      for i = 1, #text - 1 do
        a:write(text:sub(i, i))
        a:flush()
        local data, _, code = b:read_until(delimiter, { timeout = 0 })
        assert.is_nil(data)
        assert.equal("ETIMEDOUT", code)
      end
      a:write("\n")
      assert.equal(text, b:read_until(delimiter))
      assert.is_true(looked_at() - before <= 2 * #text)
    end
  end)

  it("goes on where the look at what is buffered has stopped", function()
    for _, length in ipairs({ 1000, 2000 }) do
      a:write(("."):rep(length))
      assert.equal(".", b:read_bytes(1))
      local before = looked_at()
      weir.spawn(function() a:write("\n") end)
      assert.equal(length, #b:read_until("\n"))
      assert.is_true(looked_at() - before <= length)
    end
  end)

  it("goes on where max has stopped it, and does not begin again", function()
    a:write(("."):rep(1000) .. "\n")
    assert.equal(".", b:read_bytes(1))
    for _, delimiter in ipairs({ "\n", { "\n", "never" } }) do
      local before = looked_at()
      for max = 1, 999 do
        assert.equal("EMSGSIZE", (select(3, b:read_until(delimiter, { max = max }))))
      end
      assert.is_true(looked_at() - before <= 1000)
    end
    assert.equal(1000, #b:read_until("\n"))
  end)

  it("goes on behind bytes that other reads take", function()
    a:write(("."):rep(10000) .. "\n")
    assert.equal(".", b:read_bytes(1))
    for _, delimiter in ipairs({ "\n\n", { "\n\n", "never" } }) do
      local before = looked_at()
      for _ = 1, 500 do
        assert.equal("ETIMEDOUT", (select(3, b:read_until(delimiter, { timeout = 0 }))))
        assert.equal(".", b:read_bytes(1))
      end
      assert.is_true(looked_at() - before <= 2 * 10000)
    end
  end)

  it("goes on for two delimiters that take turns", function()
    a:write(("."):rep(10000) .. "\n")
    assert.equal(".", b:read_bytes(1))
    local before = looked_at()
    for _ = 1, 200 do
      assert.equal("ETIMEDOUT", (select(3, b:read_until(";", { timeout = 0 }))))
      assert.equal("ETIMEDOUT", (select(3, b:read_until({ ":", "," }, { timeout = 0 }))))
      assert.equal(".", b:read_bytes(1))
    end
    assert.is_true(looked_at() - before <= 2.1 * 10000)
  end)

  it("for a regex looks again only from where a match may begin", function()
    local text = ("."):rep(20000) .. "12;"
    local before = looked_at()
    weir.spawn(send, text, 64)
    assert.equal(text, b:read_until_regex("\\d+;", { timeout = 20 }))
    assert.is_true(looked_at() - before <= 1.1 * #text)
  end)
end)
