-- send_file: whole files and parts, in order with writes, and files that are
-- none, end too early or shrink.
local ffi = require "ffi"
local transports = require "spec.support.transports"
local weir_binary = require "spec.support.weir"

ffi.cdef [[
  int open(const char *path, int flags, ...);
  int64_t lseek(int fd, int64_t offset, int whence);
  int truncate(const char *path, int64_t size);
  int mkfifo(const char *path, unsigned mode);
  int close(int fd);
  int getsockopt(int, int, int, int *, int *);
  int setsockopt(int, int, int, const int *, unsigned);
]]

local O_RDONLY, O_WRONLY, O_APPEND, SEEK_CUR = 0, 1, 0x400, 1
local SOON = { timeout = 10 }

transports.each("send_file", function(pair)
  local a, b, folder, path
  setup(function()
    folder = weir_binary.folder({ file = "0123456789" })
    path = folder .. "/file"
  end)
  teardown(function() weir_binary.remove(folder) end)
  before_each(function() a, b = pair() end)
  after_each(function() a:abort() b:abort() end)

  local function fails(code, pattern, ok, message, got)
    assert.is_nil(ok)
    assert.equal(code, got)
    assert.matches("^send_file .*" .. pattern, message)
    a:write("intact")
    assert.equal("intact", b:read_bytes(6, SOON))
  end

  it("sends all, a part, the last byte, and nothing", function()
    for _, case in ipairs({
      { {}, "0123456789" }, { { offset = 3 }, "3456789" }, { { length = 4 }, "0123" },
      { { offset = 9 }, "9" }, { { offset = 10 }, "" }, { { offset = 11 }, "" }, { { length = 0 }, "" },
      { { offset = 2, length = 8 }, "23456789" }, { { offset = 0, length = 10 }, "0123456789" },
      { { offset = 10, length = 0 }, "" }, { { offset = 2 ^ 52 }, "" },
    }) do
      local options, expected = unpack(case)
      options.timeout = 10
      assert.equal(#expected, a:send_file(path, options))
      assert.equal(expected, b:read_bytes(#expected, SOON))
      local got = weir.channel(1)
      a:send_file(path, options, function(...) got:put({ ... }) end)
      assert.same({ #expected }, got:get(SOON))
      assert.equal(expected, b:read_bytes(#expected, SOON))
    end
  end)

  it("fails for a length that the file does not have", function()
    fails("EINVAL", "it ends before", a:send_file(path, { length = 11 }))
    fails("EINVAL", "it ends before", a:send_file(path, { offset = 10, length = 1 }))
    fails("EINVAL", "it ends before", a:send_file(path, { offset = 2 ^ 52, length = 2 ^ 52 }))
  end)

  it("takes a descriptor, which stays open and where it is", function()
    local fd = ffi.C.open(path, O_RDONLY)
    ffi.C.lseek(fd, 5, 0)
    assert.equal(10, a:send_file(fd, SOON))
    assert.equal(5, tonumber(ffi.C.lseek(fd, 0, SEEK_CUR)))
    a:send_file(fd, { offset = 8 }, function() end)
    ffi.C.close(fd)
    assert.equal("012345678989", b:read_bytes(12, SOON))
  end)

  it("keeps its place among writes", function()
    a:write("head ")
    a:send_file(path, { length = 3 }, function() end)
    a:write(" middle ")
    a:send_file(path, { offset = 7 }, function() end)
    a:write(" tail\n")
    assert.equal("head 012 middle 789 tail\n", b:read_until("\n", SOON))
  end)

  it("of a large file, beyond 4 GiB, sends the bytes that are there", function()
    local large = os.tmpname()
    assert.equal(0, ffi.C.truncate(large, 5 * 2 ^ 30))
    local file = io.open(large, "r+")
    file:seek("end")
    file:write("end")
    file:close()
    local size = 1024 * 1024
    local from = a
    weir.spawn(function() from:send_file(large, { offset = 5 * 2 ^ 30 - size }) end)
    assert.is_true(b:read_bytes(size + 3, SOON) == ("\0"):rep(size) .. "end")
    os.remove(large)
  end)

  it("of a file that shrinks meanwhile fails, and does not hang", function()
    local shrinking = os.tmpname()
    assert.equal(0, ffi.C.truncate(shrinking, 64 * 2 ^ 20))
    local got = weir.channel(1)
    a:send_file(shrinking, SOON, function(...) got:put({ ... }) end)
    assert.equal(0, ffi.C.truncate(shrinking, 1000))
    local from = b
    weir.spawn(function() while from:read_some(SOON) do end end)
    local results = got:get(SOON)
    assert.is_nil(results[1])
    assert.equal("EIO", results[3])
    assert.equal("EIO", (select(3, a:write("x"))))
    os.remove(shrinking)
  end)

  it("names what cannot be sent", function()
    fails("ENOENT", "/nowhere/at/all: No such file", a:send_file("/nowhere/at/all"))
    fails("ENOENT", "No such file", a:send_file(path .. "\0.html"))
    fails("EISDIR", "/tmp: Is a directory", a:send_file("/tmp"))
    fails("EINVAL", "/dev/zero: not a regular file", a:send_file("/dev/zero"))
    fails("EBADF", "fd:987654: Bad file descriptor", a:send_file(987654))
    local fifo = os.tmpname() .. ".fifo"
    assert.equal(0, ffi.C.mkfifo(fifo, 384))
    fails("EINVAL", "not a regular file", a:send_file(fifo))
    os.remove(fifo)
    local fd = ffi.C.open(path, O_WRONLY)
    fails("EBADF", "Bad file descriptor", a:send_file(fd))
    ffi.C.close(fd)
    local got = weir.channel(1)
    a:send_file("/nowhere", function(...) got:put({ ... }) end)
    assert.equal("ENOENT", got:get(SOON)[3])
  end)

  it("is refused where writing is", function()
    a:shutdown(SOON)
    assert.equal("EPIPE", (select(3, a:send_file(path))))
    a:close()
    assert.equal("ECLOSED", (select(3, a:send_file(path))))
  end)
end)

describe("a long file over TCP", function()
  local IPPROTO_TCP, TCP_CORK = 6, 3
  local SIZE = 16 * 2 ^ 20
  local path, a, b

  before_each(function()
    path = os.tmpname()
    assert.equal(0, ffi.C.truncate(path, SIZE))
    a, b = transports.list[1].pair()
  end)
  after_each(function()
    a:abort()
    b:abort()
    os.remove(path)
  end)

  local function corked(stream)
    local value, length = ffi.new("int[1]"), ffi.new("int[1]", 4)
    assert(ffi.C.getsockopt(stream:fd(), IPPROTO_TCP, TCP_CORK, value, length) == 0)
    return value[0] == 1
  end

  it("leaves in whole segments, and what comes behind it at once", function()
    local sent = weir.channel(1)
    a:send_file(path, SOON, function(...) sent:put({ ... }) end)
    assert.equal(65536, #b:read_bytes(65536, SOON))
    assert.is_true(corked(a))
    a:write("behind", function() end)
    assert.equal(SIZE - 65536, #b:read_bytes(SIZE - 65536, SOON))
    assert.same({ SIZE }, sent:get(SOON))
    assert.equal("behind", b:read_bytes(6, SOON))
    assert.is_false(corked(a))
  end)

  it("leaves no descriptor behind that holds small writes back", function()
    local sent = weir.channel(1)
    a:write("before", function() end)
    a:detach({}, function(fd) sent:put(fd) end)
    a:send_file(path, SOON, function() end)
    local again = weir.stream(sent:get(SOON))
    assert.is_false(corked(again))
    again:abort()
  end)

  it("leaves alone what the script has set", function()
    local on = ffi.new("int[1]", 1)
    assert.equal(0, ffi.C.setsockopt(a:fd(), IPPROTO_TCP, TCP_CORK, on, 4))
    a:send_file(path, SOON, function() end)
    assert.equal(SIZE - 65536, #b:read_bytes(SIZE - 65536, SOON))
    a:flush(SOON)
    assert.is_true(corked(a))
  end)
end)

describe("a queue", function()
  it("counts files, too", function()
    local path = os.tmpname()
    local file = io.open(path, "w")
    file:write("12345678901")
    file:close()
    local a, b = weir.pair({ max_write_buffer_size = 10 })
    local _, message, code = a:send_file(path)
    assert.equal("ENOBUFS", code)
    assert.matches("max_write_buffer_size %(10 bytes%)", message)
    assert.equal(10, a:send_file(path, { length = 10 }))
    assert.equal("1234567890", b:read_bytes(10, SOON))
    a:abort()
    b:abort()
    os.remove(path)
  end)

  it("that was dropped has not left: flush says so", function()
    local a, b = weir.pair()
    a:write("x", function() end)
    a:abort()
    assert.equal("ECLOSED", (select(3, a:flush(SOON))))
    b:abort()
  end)
end)

describe("a file to which sendfile(2) does not send", function()
  it("gets the other one all the same", function()
    local from, to = os.tmpname(), os.tmpname()
    local file = io.open(from, "w")
    file:write(("0123456789"):rep(20000))
    file:close()
    local stream = weir.stream(ffi.C.open(to, O_WRONLY + O_APPEND))
    assert.equal(6, stream:send_file(from, { offset = 7, length = 6, timeout = 10 }))
    assert.equal(200000, stream:send_file(from, SOON))
    stream:close()
    assert.equal("789012" .. ("0123456789"):rep(20000), io.open(to):read("*a"))
    os.remove(from)
    os.remove(to)
  end)
end)
