-- What is done without entering Lua's C API keeps all the rules: reads that
-- the buffer satisfies, short writes.
local transports = require "spec.support.transports"

transports.each("what is at hand", function(pair)
  local a, b
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  -- All of it is buffered in b.
  local function fill(text)
    a:write(text)
    local got = b:read_bytes(#text)
    b:unread(got)
  end

  -- Enough for LuaJIT to compile the reads.
  local MANY = 500

  it("comes in order, by each kind of read", function()
    local parts, expected = {}, {}
    for i = 1, MANY do
      parts[i] = ("line %d\nbytes\0\0\0\5frame9:netstring,"):format(i)
      expected[i] = ("line %d\n"):format(i)
    end
    fill(table.concat(parts))
    for i = 1, MANY do
      assert.equal(expected[i], b:read_until("\n"))
      assert.equal("bytes", b:read_bytes(5))
      assert.equal("frame", b:read_frame("u32be"))
      assert.equal("netstring", b:read_frame("netstring"))
    end
    assert.equal(0, b:buffered())
  end)

  it("comes to callbacks in order, never inside the call", function()
    local lines, inside, done = {}, false, weir.channel(1)
    fill(("x\ny\n"):rep(MANY))
    local function on_line(line)
      assert(not inside)
      lines[#lines + 1] = line
      if #lines == 2 * MANY then return done:put(true) end
      inside = true
      b:read_until("\n", on_line)
      inside = false
    end
    b:read_until("\n", on_line)
    assert.is_true(done:get({ timeout = 5 }))
    assert.equal(("x\ny\n"):rep(MANY), table.concat(lines))
  end)

  it("is written in order: strings, lists, numbers, nested lists", function()
    local expected = {}
    for i = 1, MANY do
      assert.is_true(b:write("a"))
      assert.is_true(b:write({ "b", "", "c" }))
      assert.is_true(b:write({ "d", i }))
      assert.is_true(b:write({ "e", { "f" } }))
      assert.is_true(b:write({ "1", "2", "3", "4", "5", "6", "7", "8", "9" }))
      expected[i] = "abcd" .. i .. "ef123456789"
    end
    expected = table.concat(expected)
    assert.equal(expected, a:read_bytes(#expected))
  end)

  it("starves nobody: after 128 operations another task runs", function()
    local runs, last, count = {}, nil, 0
    local function log(who)
      if who ~= last then runs[#runs + 1], last, count = count, who, 0 end
      count = count + 1
    end
    fill(("x\n"):rep(1000))
    local writer = weir.spawn(function()
      for _ = 1, 1000 do
        b:write("y")
        log("writer")
      end
    end)
    local reader = weir.spawn(function()
      for _ = 1, 1000 do
        b:read_until("\n")
        log("reader")
      end
    end)
    weir.all({ writer, reader })
    assert.is_true(#runs >= 14)
    for _, run in ipairs(runs) do assert.is_true(run <= 130) end
  end)

  it("raises where the task cannot wait, keeping the bytes", function()
    fill(("x\n"):rep(100))
    local function read() return b:read_until("\n") end
    for _ = 1, 100 do
      local ok, message = pcall(table.sort, { 2, 1 }, read)
      assert.is_false(ok)
      assert.matches("cannot wait here", message)
    end
    local raised
    getmetatable(newproxy(true)).__gc = function()
      raised = not pcall(read)
    end
    collectgarbage()
    assert.is_true(raised)
    assert.equal(200, b:buffered())
  end)

  it("is the same in coroutines, and raises across C calls in them", function()
    fill(("x\n"):rep(100))
    local co = coroutine.wrap(function()
      for _ = 1, 50 do coroutine.yield(b:read_until("\n")) end
      return pcall(table.sort, { 2, 1 }, function() return b:read_until("\n") end)
    end)
    for _ = 1, 50 do assert.equal("x\n", co()) end
    assert.is_false(co())
    assert.is_false(pcall(coroutine.resume, "no coroutine"))
    for _ = 1, 50 do assert.equal("x\n", b:read_until("\n")) end
  end)

  it("ends the stream for its close callback when it was the last", function()
    local over = weir.channel(1)
    a:write("x\ny\n")
    a:close()
    b:read_until("y")
    b:unread("x\ny")
    b:set_close_callback(function(_, code) over:put(code) end)
    for _ = 1, 2 do assert.is_string(b:read_until("\n")) end
    assert.equal("EOF", over:get({ timeout = 5 }))
  end)

  it("keeps max_buffer_size and max_write_buffer_size", function()
    local c, d = pair({ max_buffer_size = 10, max_write_buffer_size = 10 })
    assert.is_true(c:write("0123456789"))
    assert.equal("ENOBUFS", select(3, c:write("x")))
    assert.equal("ENOBUFS", select(3, c:write({ "x", "y" })))
    assert.equal("01234", d:read_bytes(5))
    assert.equal("ENOBUFS", select(3, d:read_bytes(11)))
    assert.equal("56789", d:read_bytes(5))
    c:abort()
    d:abort()
    assert.equal("ECLOSED", select(3, c:write("x")))
  end)

  it("is found by delimiters that take turns, thousands of them", function()
    local parts = {}
    for i = 1, 600 do parts[i] = "text<" .. i .. ">" end
    fill(table.concat(parts))
    for i = 1, 600 do
      assert.equal("text", b:read_until("t<"):sub(1, 2) .. "xt")
      assert.equal(i .. ">", b:read_until("" .. i .. ">"))
    end
  end)
end)

describe("a method called on something else", function()
  it("raises, by name", function()
    local methods = getmetatable(weir.stream()).__index
    for _, name in ipairs({ "read_until", "read_bytes", "read_frame", "write" }) do
      local ok, message = pcall(methods[name], {}, "u8")
      assert.is_false(ok)
      assert.matches("weir.stream expected, got table", message)
    end
  end)
end)
