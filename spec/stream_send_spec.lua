-- How bytes leave: in how many system calls, in which order, from files.

local ffi = require "ffi"
local transports = require "spec.support.transports"

ffi.cdef [[
  int socketpair(int, int, int, int *);
  int truncate(const char *, int64_t);
  ssize_t recv(int, void *, size_t, int);
  int close(int);
]]

local PATIENCE = { timeout = 20 }

-- A stream each of whose system calls arrives as one packet, and a function
-- that takes the next packet.
local function packets()
  local AF_UNIX, SOCK_SEQPACKET, MSG_DONTWAIT = 1, 5, 0x40
  local ends, memory = ffi.new("int[2]"), ffi.new("char[300000]")
  assert(ffi.C.socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0)
  local stream = weir.stream(ends[0])
  return stream, function()
    local size = ffi.C.recv(ends[1], memory, 300000, MSG_DONTWAIT)
    return size > 0 and ffi.string(memory, size) or nil
  end, function()
    stream:abort()
    ffi.C.close(ends[1])
  end
end

describe("writes", function()
  it("of one turn leave in one system call", function()
    local stream, next_packet, close = packets()
    local text = {}
    for i = 1, 100 do
      stream:write({ "line ", i, "\n" })
      text[i] = "line " .. i .. "\n"
    end
    stream:write(("long"):rep(2000)) -- sent from where it is
    assert.is_nil(next_packet())
    weir.sleep(0)
    assert.equal(table.concat(text) .. ("long"):rep(2000), next_packet())
    assert.is_nil(next_packet())
    close()
  end)

  it("of several tasks that are ready leave together", function()
    local stream, next_packet, close = packets()
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = weir.spawn(function() stream:write(tostring(i)) end)
    end
    weir.all(tasks)
    weir.sleep(0)
    assert.equal("12345", next_packet())
    close()
  end)

  it("leave at once when they are many", function()
    local stream, next_packet, close = packets()
    stream:write(("x"):rep(70000))
    assert.equal(70000, #next_packet())
    close()
  end)
end)

transports.each("sending", function(pair)
  local a, b, path
  before_each(function()
    a, b = pair()
    path = os.tmpname()
  end)
  after_each(function()
    a:abort()
    b:abort()
    os.remove(path)
  end)

  local function fill(text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  it("keeps files, strings and callbacks in their order", function()
    fill(("f"):rep(100000))
    local order, done = {}, weir.channel(1)
    a:write("<", function() order[#order + 1] = "first" end)
    a:send_file(path, function(sent) order[#order + 1] = sent end)
    a:write(("s"):rep(5000), function() order[#order + 1] = "string" end)
    a:send_file(path, { offset = 99999 }, function(sent) order[#order + 1] = sent end)
    a:write(">", function()
      order[#order + 1] = "last"
      done:put(true)
    end)
    assert.equal("<" .. ("f"):rep(100000) .. ("s"):rep(5000) .. "f>",
      b:read_bytes(105003, PATIENCE))
    assert.is_true(done:get(PATIENCE))
    assert.same({ "first", 100000, "string", 1, "last" }, order)
  end)

  it("tells a large write that fails at once, and one that waits", function()
    local MUCH, failed = ("x"):rep(2 ^ 23), weir.channel(9)
    weir.spawn(function() failed:put({ a:write(MUCH, PATIENCE) }) end)
    a:write(MUCH, function(...) failed:put({ ... }) end)
    b:abort()
    local codes = { EPIPE = true, ECONNRESET = true }
    for _ = 1, 2 do assert.is_true(codes[failed:get(PATIENCE)[3]]) end
    fill(("f"):rep(100000))
    a:write(MUCH, function(...) failed:put({ ... }) end)
    a:send_file(path, function(...) failed:put({ ... }) end)
    for _ = 1, 2 do assert.is_true(codes[failed:get(PATIENCE)[3]]) end
    assert.is_true(codes[select(3, a:write(MUCH))])
  end)

  it("tells the very write that meets the end", function()
    b:abort()
    local codes = { EPIPE = true, ECONNRESET = true }
    local code
    repeat code = select(3, a:write(("x"):rep(100000), PATIENCE)) until code
    assert.is_true(codes[code])
  end)

  it("sends from beyond 4 GiB", function()
    fill("")
    local start = 2 ^ 32 + 7
    assert(ffi.C.truncate(path, start) == 0)
    local file = assert(io.open(path, "a"))
    file:write("far away")
    file:close()
    assert.equal(8, a:send_file(path, { offset = start, timeout = 20 }))
    assert.equal(4, a:send_file(path, { offset = start + 4, length = 4, timeout = 20 }))
    assert.equal("far awayaway", b:read_bytes(12, PATIENCE))
    local _, message, code = a:send_file(path, { offset = start, length = 9 })
    assert.equal("EINVAL", code)
    assert.matches(path, message, 1, true)
  end)

  it("fails when the file shrinks meanwhile, and does not hang", function()
    fill(("f"):rep(2 ^ 23)) -- more than the kernel takes
    local sent = weir.channel(1)
    a:send_file(path, function(...) sent:put({ ... }) end)
    a:write("behind it", function(ok) sent:put({ ok }) end)
    b:read_bytes(1000, PATIENCE)
    assert(ffi.C.truncate(path, 1000) == 0)
    local reader = weir.spawn(function()
      while b:read_some(PATIENCE) do end
    end)
    local failure = sent:get(PATIENCE)
    assert.is_nil(failure[1])
    assert.equal("EIO", failure[3])
    assert.matches("the file became shorter while it was sent$", failure[2])
    assert.is_nil(sent:get(PATIENCE)[1])
    assert.equal("EIO", (select(3, a:write("x"))))
    a:close()
    reader:join()
  end)
end)
