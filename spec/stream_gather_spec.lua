-- Writes: what leaves together, in which order, and what the queue may hold
-- (R9 to R13).
local ffi = require "ffi"
local transports = require "spec.support.transports"

ffi.cdef [[
  int socketpair(int domain, int type, int protocol, int fds[2]);
  ssize_t recv(int fd, void *buffer, size_t size, int flags);
  int close(int fd);
]]

local AF_UNIX, SOCK_SEQPACKET, MSG_DONTWAIT = 1, 5, 0x40
local SOON = { timeout = 10 }

-- A stream of which every system call that writes makes one packet, and a
-- function that gives the next one, nil if there is none.
local function packets()
  local fds = ffi.new("int[2]")
  assert(ffi.C.socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0)
  local stream, room = weir.stream(fds[0]), 1024 * 1024
  local memory = ffi.new("char[?]", room)
  return stream, function()
    local size = ffi.C.recv(fds[1], memory, room, MSG_DONTWAIT)
    return size > 0 and ffi.string(memory, size) or nil
  end, function()
    stream:abort()
    ffi.C.close(fds[1])
  end
end

describe("writes of one turn", function()
  local stream, packet, close
  before_each(function() stream, packet, close = packets() end)
  after_each(function() close() end)

  it("leave in one system call, before the loop waits", function()
    for i = 1, 100 do stream:write(("%02d"):format(i % 100)) end
    stream:write({ "a", 1, { "b" }, "" })
    stream:write("end", function() end)
    assert.is_nil(packet())
    assert.is_true(stream:writing())
    weir.sleep(0)
    local text = packet()
    assert.equal(200 + 3 + 3, #text)
    assert.equal("a1bend", text:sub(-6))
    assert.is_nil(packet())
    assert.is_false(stream:writing())
  end)

  it("by several tasks and callbacks leave in one, too", function()
    for i = 1, 3 do weir.spawn(function() stream:write("task " .. i .. "\n") end) end
    weir.defer(function() stream:write("callback\n") end)
    weir.sleep(0)
    weir.sleep(0)
    assert.equal("task 1\ntask 2\ntask 3\ncallback\n", packet())
    assert.is_nil(packet())
  end)

  it("short and long, leave in one, in order", function()
    local long = ("L"):rep(20000)
    stream:write("a")
    stream:write(long)
    stream:write("b")
    stream:write({ "c", long, "d" })
    weir.sleep(0)
    assert.is_true(packet() == "a" .. long .. "bc" .. long .. "d")
    assert.is_nil(packet())
  end)

  it("leave at once when the queue is large", function()
    stream:write(("x"):rep(1000))
    assert.is_nil(packet())
    stream:write(("y"):rep(100000))
    assert.equal(101000, #packet())
    assert.is_nil(packet())
  end)

  it("leave when a task flushes", function()
    stream:write("x")
    assert.is_true(stream:flush(SOON))
    assert.equal("x", packet())
  end)
end)

transports.each("a queue", function(pair, kind)
  local a, b
  local pair_with, abort_all = transports.keeping(pair)
  before_each(function() a, b = pair_with() end)
  after_each(abort_all)

  it("keeps the order of strings, numbers, lists, memory and files", function()
    local path = os.tmpname()
    local file = io.open(path, "w")
    file:write("file")
    file:close()
    a:write("one ")
    a:write(2)
    a:write({ " ", { 3.5, { " ", -4 } }, " " })
    a:send_file(path, function() end)
    a:write(ffi.new("char[4]", " ffi"), { length = 4 })
    a:write(("x"):rep(5000))
    a:write(" end")
    assert.equal("one 2 3.5 -4 file ffi" .. ("x"):rep(5000) .. " end", b:read_until("end", SOON))
    os.remove(path)
  end)

  it("takes what table.pack made as the list that it is", function()
    a:write({ n = 3, "a", "b", 3 })
    a:write({ n = 0 })
    assert.equal("ab3", b:read_bytes(3, SOON))
  end)

  it("writes numbers as tostring does, bytes as they are", function()
    a:write({ 0, -0.5, 1e15, 1e100, 2 ^ 53, "\0\r\n\255" })
    local expected = table.concat({ 0, -0.5, 1e15, 1e100, 2 ^ 53 }) .. "\0\r\n\255"
    assert.equal(expected, b:read_bytes(#expected, SOON))
  end)

  it("holds long strings, garbage collected or not, until they have left", function()
    local total = 0
    local writer = a
    for i = 1, 40 do
      writer:write(("%d"):format(i % 10):rep(100000 + i), function() end)
      total = total + 100000 + i
      if i % 10 == 0 then collectgarbage() end
    end
    collectgarbage()
    local at = 0
    for i = 1, 40 do
      local block = assert(b:read_bytes(100000 + i, SOON))
      assert.is_true(block == ("%d"):format(i % 10):rep(100000 + i))
      at = at + #block
      collectgarbage("step")
    end
    assert.equal(total, at)
  end)

  it("lets go of a string when its task is cancelled, and still sends it", function()
    a, b = pair_with({ high_water = 1 })
    local text = ("0123456789"):rep(800000)
    local task
    do
      local own = text .. "!"
      local writer = a
      task = weir.spawn(function() return writer:write(own) end)
    end
    weir.sleep(0)
    task:cancel()
    task:join(SOON)
    collectgarbage()
    assert.is_true(b:read_until("!", SOON) == text .. "!")
  end)

  it("tells every write, in order, and none twice", function()
    local order = {}
    for i = 1, 100 do
      local size = i % 7 == 0 and 50000 or i % 3
      a:write(("x"):rep(size), function(ok) order[#order + 1] = ok and i end)
    end
    local total = 0
    for i = 1, 100 do total = total + (i % 7 == 0 and 50000 or i % 3) end
    assert.equal(total, #b:read_bytes(total, SOON))
    assert.is_true(a:flush(SOON))
    weir.sleep(0)
    assert.equal(100, #order)
    for i = 1, 100 do assert.equal(i, order[i]) end
  end)

  it("up to high_water lets a task go on, a byte more suspends it", function()
    a, b = pair_with({ high_water = 1000 })
    local marks = {}
    weir.spawn(function()
      a:write(("x"):rep(999))
      marks[1] = true
      a:write("y")
      marks[2] = true
      a:write("z")
      marks[3] = true
    end)
    weir.defer(function() marks.turn = marks[2] and not marks[3] end)
    assert.equal(1001, #b:read_bytes(1001, SOON))
    weir.sleep(0)
    assert.is_true(marks[3])
    assert.is_true(marks.turn)
  end)

  it("above high_water does not suspend a write with a callback", function()
    a, b = pair_with({ high_water = 1 })
    local told = 0
    for _ = 1, 5 do a:write(("x"):rep(1000), function(ok) told = told + (ok and 1 or 0) end) end
    assert.equal(0, told)
    assert.equal(5000, #b:read_bytes(5000, SOON))
    assert.is_true(a:flush(SOON))
    weir.sleep(0)
    assert.equal(5, told)
  end)

  it("beyond high_water wakes its task when half of it has left", function()
    a, b = pair_with({ high_water = 1000000 })
    local left
    local writer = a
    weir.spawn(function()
      writer:write(("x"):rep(12000000))
      left = transports.queued(writer)
    end)
    local got = 0
    while not left do got = got + #assert(b:read_some(SOON)) end
    assert.is_true(left > 0 and left <= 500000)
    assert.equal(12000000 - got, #b:read_bytes(12000000 - got, SOON))
  end)

  it("takes exactly max_write_buffer_size, and nothing of what passes it", function()
    a, b = pair_with({ max_write_buffer_size = 10 })
    assert.is_true(a:write("12345"))
    local ok, message, code = a:write({ "1234", { "56" } })
    assert.is_nil(ok)
    assert.equal("ENOBUFS", code)
    assert.matches("^write .*max_write_buffer_size %(10 bytes%)$", message)
    local told
    a:write("123456", function(...) told = { ... } end)
    assert.is_true(a:write("67890"))
    assert.equal("ENOBUFS", (select(3, a:write("x"))))
    assert.is_true(a:write(""))
    assert.is_true(a:write({}))
    assert.equal("1234567890", b:read_bytes(10, SOON))
    assert.equal("ENOBUFS", told[3])
    assert.is_true(a:write("abc"))
    assert.equal("abc", b:read_bytes(3, SOON))
  end)

  it("of a stream that is over takes nothing, and says why", function()
    a:close()
    for _, data in ipairs({ "x", "", { "x" }, {} }) do
      local ok, message, code = a:write(data)
      assert.is_nil(ok)
      assert.is_string(message)
      assert.equal("ECLOSED", code)
    end
    assert.is_true(b:shutdown(SOON))
    assert.equal("EPIPE", (select(3, b:write("x"))))
  end)

  if transports.is_plain(kind) then
    it("moves no more than a budget in a turn, so that others have theirs", function()
      local size, turns, finished = 8 * 1024 * 1024, 0, false
      local writer = a
      weir.spawn(function() writer:write(("x"):rep(size)) end)
      local function count()
        if finished then return end
        turns = turns + 1
        weir.defer(count)
      end
      weir.defer(count)
      assert.equal(size, #b:read_bytes(size, SOON))
      finished = true
      assert.is_true(turns >= size / 262144)
    end)
  end
end)
