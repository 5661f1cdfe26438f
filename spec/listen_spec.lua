-- weir.listen: where, over loopback. What listeners then do: listener_spec.

local dns = require("spec.support.dns")
local expect = require("spec.support.expect")
local greeter = require("spec.support.greeter")
local ports = require("spec.support.ports")
local run = require("spec.support.weir").run

local fails, hello, greeted = expect.fails, greeter.hello, greeter.greeted
local port_of = ports.of

local T = 10

local function nobody() end

describe("listen on", function()
  for given, shown in pairs({
    ["127.0.0.1:0"] = "^127%.0%.0%.1:%d+$",
    ["tcp://127.0.0.1:0"] = "^127%.0%.0%.1:%d+$",
    ["[::1]:0"] = "^%[::1%]:%d+$",
    ["0.0.0.0:0"] = "^0%.0%.0%.0:%d+$",
    ["localhost:0"] = "^127%.0%.0%.1:%d+$",
  }) do
    it(given .. " says which port, and serves there", function()
      local listener = assert(weir.listen(given, hello))
      assert.matches(shown, listener:address())
      assert.not_equal("0", port_of(listener))
      assert.equal("hello", greeted(listener:address()))
      listener:close()
    end)
  end

  it("all interfaces serves both families", function()
    for _, address in ipairs({ ":0", "[::]:0" }) do
      local listener = assert(weir.listen(address, hello))
      for _, host in ipairs({ "127.0.0.1", "127.0.0.2", "[::1]" }) do
        assert.equal("hello", greeted(host .. ":" .. port_of(listener)))
      end
      listener:close()
    end
  end)

  it("shows IPv4 peers of both families as IPv4", function()
    local peers = weir.channel(1)
    local listener = assert(weir.listen(":0", function(stream)
      peers:put(stream:peer_address())
      stream:close()
    end))
    local stream = assert(weir.connect("127.0.0.1:" .. port_of(listener)))
    assert.equal(stream:local_address(), peers:get({ timeout = T }))
    stream:close()
    listener:close()
  end)

  it("unix sockets serves there; the file goes with it", function()
    local path = os.tmpname()
    os.remove(path)
    local listener = assert(weir.listen("unix:" .. path, hello))
    assert.equal("unix:" .. path, listener:address())
    assert.equal("hello", greeted(listener:address()))
    listener:close()
    assert.not_equal(0, os.execute("test -e " .. path))
    local abstract = assert(weir.listen("unix:@" .. path, hello))
    assert.equal("unix:@" .. path, abstract:address())
    assert.equal("hello", greeted(abstract:address()))
    abstract:close()
  end)

  it("fd:N takes over a socket that listens, and leaves a unix path alone", function()
    local path = os.tmpname()
    os.remove(path)
    local out, err, status = run({ "-", path, stdin = [[
      local ffi = require("ffi")
      ffi.cdef("int socket(int, int, int); int bind(int, const void *, unsigned); int listen(int, int);")
      local fd = ffi.C.socket(1, 1, 0)
      local path = arg[1]
      assert(ffi.C.bind(fd, "\1\0" .. path .. "\0", 3 + #path) == 0 and ffi.C.listen(fd, 5) == 0)
      local listener = assert(weir.listen("fd:" .. fd, function(stream)
        stream:write("adopted")
        stream:close()
      end))
      print(listener:address())
      print(weir.connect(listener:address()):read_until_close({ timeout = 10 }))
      listener:close()
      print(io.open(path), select(3, weir.connect("unix:" .. path)))
    ]] })
    os.remove(path)
    assert.same({ "unix:" .. path .. "\nadopted\nnil\tECONNREFUSED\n", "", 0 }, { out, err, status })
  end)

  it("fd:N says what is wrong with it", function()
    assert.equal("listen fd:9999: Bad file descriptor", fails("EBADF", weir.listen("fd:9999", nobody)))
    local file = io.popen("cat")
    assert.equal("listen fd:0: Socket operation on non-socket", fails("ENOTSOCK", weir.listen("fd:0", nobody)))
    file:close()
    local datagrams = weir.udp("127.0.0.1:0")
    assert.equal(("listen fd:%d: The socket does not listen"):format(datagrams:fd()),
      fails("EINVAL", weir.listen("fd:" .. datagrams:fd(), nobody)))
    datagrams:close()
    local listener = assert(weir.listen("127.0.0.1:0", hello))
    local stream = assert(weir.connect(listener:address()))
    assert.equal(("listen fd:%d: The socket does not listen"):format(stream:fd()),
      fails("EINVAL", weir.listen("fd:" .. stream:fd(), nobody)))
    assert.equal("hello", stream:read_until_close({ timeout = T }))
    stream:close()
    listener:close()
  end)

  it("a name resolves it, and takes what is this machine's", function()
    local server = dns.serve_zone({ ["here.test"] = { A = { dns.ip("192.0.2.1"), dns.ip("127.0.0.9") } },
      ["away.test"] = { A = { dns.ip("192.0.2.1") } } })
    local listener = assert(dns.with(server, weir.listen, "here.test:0", hello))
    assert.matches("^127%.0%.0%.9:%d+$", listener:address())
    assert.equal("hello", greeted(listener:address()))
    local message = fails("EADDRINUSE", dns.with(server, weir.listen, "here.test:" .. port_of(listener), hello))
    assert.equal(("listen here.test:%s: %s: Address already in use"):format(port_of(listener), listener:address()),
      message)
    listener:close()
    message = fails("EADDRNOTAVAIL", dns.with(server, weir.listen, "away.test:80", hello))
    assert.equal("listen away.test:80: 192.0.2.1:80: Cannot assign requested address", message)
    message = fails("ENOTFOUND", dns.with(server, weir.listen, "nowhere.test:80", hello))
    assert.equal("listen nowhere.test:80: Name not found", message)
    server.close()
  end)

  it("a name ends at a deadline, when cancelled, and cannot be waited for across a C call", function()
    local server = dns.serve(nobody)
    local function slow() return weir.listen("slow.test:0", nobody) end
    assert.matches("^listen slow%.test:0 %(resolving the name%): timed out after 0%.0",
      fails("ETIMEDOUT", dns.with(server, weir.deadline, 0.01, slow)))
    local task = dns.with(server, function()
      local task = weir.spawn(slow)
      weir.sleep(0)
      return task
    end)
    task:cancel()
    assert.equal("listen slow.test:0 (resolving the name): Operation canceled",
      fails("ECANCELED", task:join({ timeout = T })))
    assert.error_matches(function()
      table.sort({ 1, 2 }, function()
        local listener = slow()
        return listener
      end)
    end, "listen cannot wait here")
    server.close()
  end)

  it("a name keeps nothing alive when it fails, whatever way", function()
    local server = dns.serve_zone({})
    local handlers = setmetatable({}, { __mode = "k" })
    local function new()
      local function handler(stream) handlers[handler] = stream end
      handlers[handler] = true
      return handler
    end
    fails("ENOTFOUND", dns.with(server, weir.listen, "nobody.test:0", new()))
    fails("ETIMEDOUT", dns.with(server, weir.deadline, 0, weir.listen, "nobody.test:0", new()))
    fails("EADDRNOTAVAIL", weir.listen("8.8.8.8:0", new()))
    assert.is_false(pcall(table.sort, { 1, 2 }, function()
      local listener = weir.listen("nobody.test:0", new())
      return listener
    end))
    server.close()
    for _ = 1, 10 do
      weir.sleep(0)
      collectgarbage()
    end
    assert.is_nil(next(handlers))
  end)

  it("an address that is wrong says what was expected", function()
    for _, address in ipairs({ "nonsense", "127.0.0.1", "[::1", "host:99999", "127.0.0.1:+0", "127.0.0.1: 0",
      "127.0.0.1:-0", "unix:", "fd:x", "" }) do
      assert.matches("listen " .. address .. ": ", fails("EINVAL", weir.listen(address, nobody)), 1, true)
    end
    assert.matches("a unix path of at most 107 bytes expected",
      fails("EINVAL", weir.listen("unix:" .. ("x"):rep(108), nobody)))
    assert.equal("listen 8.8.8.8:0: Cannot assign requested address",
      fails("EADDRNOTAVAIL", weir.listen("8.8.8.8:0", nobody)))
    assert.equal("listen unix:/no/such/folder/socket: No such file or directory",
      fails("ENOENT", weir.listen("unix:/no/such/folder/socket", nobody)))
  end)

  it("a port in use is refused, unless both share it", function()
    local listener = assert(weir.listen("127.0.0.1:0", nobody))
    local address = listener:address()
    assert.equal("listen " .. address .. ": Address already in use",
      fails("EADDRINUSE", weir.listen(address, nobody)))
    listener:close()
    listener = assert(weir.listen("127.0.0.1:0", { reuse_port = true }, nobody))
    local other = assert(weir.listen(listener:address(), { reuse_port = true }, nobody))
    other:close()
    listener:close()
  end)
end)

describe("listen raises", function()
  for pattern, mistake in pairs({
    ["an address %(a string%) expected"] = function() weir.listen(80, nobody) end,
    ["a handler %(a function%) expected"] = function() weir.listen("127.0.0.1:0") end,
    ["handler %(a function%) expected"] = function() weir.listen("127.0.0.1:0", {}, {}) end,
    ["nothing expected behind the handler"] = function() weir.listen("127.0.0.1:0", nobody, { tls = true }) end,
    ["unknown option 'foo'"] = function() weir.listen("127.0.0.1:0", { foo = 1 }, nobody) end,
    ["bad option 'backlog'"] = function() weir.listen("127.0.0.1:0", { backlog = -1 }, nobody) end,
    ["bad option 'max_connections'"] = function()
      weir.listen("127.0.0.1:0", { max_connections = "many" }, nobody)
    end,
  }) do
    it(pattern:gsub("%%", ""), function() expect.raises(pattern, mistake) end)
  end
end)

describe("a unix path", function()
  local path, address

  before_each(function()
    path = os.tmpname()
    os.remove(path)
    address = "unix:" .. path
  end)
  after_each(function() os.remove(path) end)

  it("that somebody answers is in use", function()
    local listener = assert(weir.listen(address, hello))
    assert.equal("listen " .. address .. ": Address already in use",
      fails("EADDRINUSE", weir.listen(address, nobody)))
    assert.equal("hello", greeted(address))
    listener:close()
    address = "unix:@" .. path
    listener = assert(weir.listen(address, hello))
    assert.equal("listen " .. address .. ": Address already in use",
      fails("EADDRINUSE", weir.listen(address, nobody)))
    listener:close()
  end)

  it("that is somebody's who answers nobody now is in use, too", function()
    local listener = assert(weir.listen(address, { backlog = 1 }, hello))
    listener:pause()
    local waiting = {}
    for i = 1, 2 do waiting[i] = assert(weir.connect(address, { connect_timeout = T })) end
    fails("EADDRINUSE", weir.listen(address, nobody))
    listener:resume()
    for _, stream in ipairs(waiting) do
      assert.equal("hello", stream:read_until_close({ timeout = T }))
      stream:close()
    end
    listener:close()
    local datagrams = assert(weir.udp(address))
    fails("EADDRINUSE", weir.listen(address, nobody))
    assert(datagrams:send("still there", address))
    assert.equal("still there", datagrams:receive({ timeout = T }))
    datagrams:close()
  end)

  it("that nobody answers is replaced", function()
    local _, _, status = run({ "-", address, stdin = [[
      weir.listen(arg[1], function() end)
      require("ffi").cdef("int raise(int);")
      require("ffi").C.raise(9)
    ]] })
    assert.equal(137, status)
    assert.equal(0, os.execute("test -S " .. path))
    local listener = assert(weir.listen(address, hello))
    assert.equal("hello", greeted(address))
    listener:close()
    assert.not_equal(0, os.execute("test -e " .. path))
  end)

  it("that is another file is left alone", function()
    io.open(path, "w"):close()
    assert.equal("listen " .. address .. ": Address already in use",
      fails("EADDRINUSE", weir.listen(address, nobody)))
    assert.is_truthy(io.open(path))
  end)

  it("that somebody else has taken meanwhile is left alone", function()
    local listener = assert(weir.listen(address, nobody))
    os.remove(path)
    local other = assert(weir.listen(address, hello))
    listener:close()
    assert.equal("hello", greeted(address))
    other:close()
  end)
end)
