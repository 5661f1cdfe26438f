-- weir.listen and listeners, over loopback.

local descriptors = require("spec.support.descriptors")
local dns = require("spec.support.dns")
local weir_binary = require("spec.support.weir")

local run, binary, bound = weir_binary.run, weir_binary.binary, weir_binary.bound

local T = 10

local function fails(code, ...)
  local value, message, got = ...
  assert.is_nil(value)
  assert.equal(code, got, message)
  return message
end

local function nobody() end

local function hello(stream)
  stream:write("hello")
  stream:close()
end

local function greeted(address)
  local stream = assert(weir.connect(address, { connect_timeout = T }))
  local said = stream:read_until_close({ timeout = T })
  stream:close()
  return said
end

local function port_of(listener)
  return (listener:address():match(":(%d+)$"))
end

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
    for _, address in ipairs({ "nonsense", "127.0.0.1", "[::1", "host:99999", "unix:", "fd:x", "" }) do
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

describe("reuse_port", function()
  it("spreads connections over three processes", function()
    local first = assert(weir.listen("127.0.0.1:0", { reuse_port = true }, hello))
    local address, workers = first:address(), {}
    for i = 1, 3 do
      workers[i] = assert(weir.process(bound({ binary, "-e", ([[
        weir.listen(%q, { reuse_port = true }, function(stream)
          stream:write("worker %d")
          stream:close()
        end)
        print("ready")
        io.stdout:flush()
      ]]):format(address, i) })))
    end
    for _, worker in ipairs(workers) do assert.equal("ready\n", worker.stdout:read_until("\n", { timeout = T })) end
    first:close()
    local seen, count = {}, 0
    for _ = 1, 1000 do
      local name = greeted(address)
      count = seen[name] and count or count + 1
      seen[name] = true
      if count == 3 then break end
    end
    assert.same({ ["worker 1"] = true, ["worker 2"] = true, ["worker 3"] = true }, seen)
    for _, worker in ipairs(workers) do
      worker:kill("TERM")
      assert.same({ "exit", 0 }, { worker:wait({ timeout = T }) })
    end
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
    it(pattern:gsub("%%", ""), function()
      local ok, message = pcall(mistake)
      assert.is_false(ok)
      assert.matches(pattern, message)
      assert.matches("listen_spec%.lua:%d+:", message)
    end)
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

-- Connects `count` clients, which need not be accepted; a list of streams.
local function clients_of(listener, count)
  local clients = {}
  for i = 1, count do
    clients[i] = assert(weir.connect(listener:address(), { connect_timeout = T }))
  end
  return clients
end

local function abort_all(streams)
  for _, stream in ipairs(streams) do stream:abort() end
end

describe("a listener", function()
  it("passes its options on to the streams", function()
    local codes = weir.channel(1)
    local listener = assert(weir.listen("127.0.0.1:0", { timeout = 0.01 }, function(stream)
      codes:put((select(3, stream:read_bytes(1))))
    end))
    local client = assert(weir.connect(listener:address()))
    assert.equal("ETIMEDOUT", codes:get({ timeout = T }))
    client:close()
    listener:close()
  end)

  it("does not accept while it is paused, and refuses nobody", function()
    local served = weir.channel(3)
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      served:put(true)
      hello(stream)
    end))
    listener:pause()
    listener:pause()
    local clients = clients_of(listener, 3)
    for _ = 1, 5 do weir.sleep(0) end
    fails("ETIMEDOUT", served:get({ timeout = 0 }))
    assert.equal(0, listener:stats().accepted)
    listener:resume()
    for _, client in ipairs(clients) do
      assert.equal("hello", client:read_until_close({ timeout = T }))
      client:close()
    end
    listener:close()
  end)

  for _, stop in ipairs({ "close", "pause" }) do
    it("that a handler " .. stop .. "s accepts nobody after that", function()
      local accepted, listener = 0, nil
      listener = assert(weir.listen("127.0.0.1:0", function(stream)
        accepted = accepted + 1
        listener[stop](listener)
        stream:read_until_close()
      end))
      local tasks, connected = {}, {}
      for i = 1, 40 do
        tasks[i] = weir.spawn(function()
          local stream = weir.connect(listener:address(), { connect_timeout = T })
          connected[#connected + 1] = stream
          return true
        end)
      end
      weir.all(tasks)
      for _ = 1, 5 do weir.sleep(0) end
      assert.equal(1, accepted)
      assert.is_true(#connected > 0)
      if stop == "pause" then assert.equal(40, #connected) end
      abort_all(connected)
      listener:close()
    end)
  end

  it("that a handler pauses and resumes goes on with those who waited", function()
    local listener
    listener = assert(weir.listen("127.0.0.1:0", function(stream)
      listener:pause()
      listener:pause()
      weir.sleep(0)
      listener:resume()
      hello(stream)
    end))
    for _, client in ipairs(clients_of(listener, 5)) do
      assert.equal("hello", client:read_until_close({ timeout = T }))
      client:close()
    end
    listener:close()
  end)

  it("says ECONNREFUSED once it is closed, and closes but once", function()
    local listener = assert(weir.listen("127.0.0.1:0", nobody))
    local address = listener:address()
    assert.equal(("weir.listener (%s, listening)"):format(address), tostring(listener))
    listener:close()
    listener:close()
    assert.equal(address, listener:address())
    assert.equal(("weir.listener (%s, closed)"):format(address), tostring(listener))
    fails("ECONNREFUSED", weir.connect(address))
    listener:pause()
    listener:resume()
  end)

  it("that is closed leaves its connections alone", function()
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write(stream:read_until("\n"))
    end))
    local client = clients_of(listener, 1)[1]
    weir.sleep(0)
    weir.sleep(0)
    listener:close()
    client:write("still there\n")
    assert.equal("still there\n", client:read_until("\n", { timeout = T }))
    client:close()
  end)

  it("delivers what a handler wrote before it closed", function()
    local data = ("x"):rep(1000000)
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write(data)
      stream:close()
    end))
    assert.is_true(greeted(listener:address()) == data)
    listener:close()
  end)

  it("reports an error in a handler once, closes that stream, goes on", function()
    local out, err, status = run({ "-e", [[
      local count, listener = 0, nil
      listener = weir.listen("127.0.0.1:0", function(stream)
        count = count + 1
        if count == 1 then error("first") end
        stream:write("second")
        stream:close()
      end)
      local function ask()
        local stream = weir.connect(listener:address())
        return (stream:read_until_close({ timeout = 10 }))
      end
      print(ask(), ask())
      listener:close()
    ]] })
    assert.matches("\tsecond\n$", out)
    assert.equal(1, select(2, err:gsub("first", "")))
    assert.equal(1, status)
  end)

  it("keeps the host, unless it is unref'd", function()
    assert.same({ "", "", 0 }, { run({ "-e", [[
      weir.listen("127.0.0.1:0", function() end):unref()
      local other = weir.listen("127.0.0.1:0", function() end)
      weir.after(0, function() other:close() end)
    ]] }) })
  end)

  it("accepts as many as max_connections at once, and refuses nobody", function()
    local open, most, served = 0, 0, 0
    local listener = weir.listen("127.0.0.1:0", { max_connections = 2 }, function(stream)
      open = open + 1
      most = math.max(most, open)
      stream:read_until("\n")
      while served == 0 and open < 2 do weir.sleep(0) end
      stream:write("ok\n")
      open, served = open - 1, served + 1
      stream:close()
    end)
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = weir.spawn(function()
        local stream = assert(weir.connect(listener:address()))
        stream:write("go\n")
        local answer = stream:read_until("\n", { timeout = T })
        stream:close()
        return answer
      end)
    end
    for _, answer in ipairs(weir.all(tasks)) do assert.equal("ok\n", answer) end
    assert.equal(20, served)
    assert.equal(2, most)
    listener:close()
  end)

  it("counts a connection until it is over, whoever ended it", function()
    local streams = weir.channel(2)
    local listener = weir.listen("127.0.0.1:0", { max_connections = 1 }, function(stream) streams:put(stream) end)
    local first, second = unpack(clients_of(listener, 2))
    local stream = streams:get({ timeout = T })
    fails("ETIMEDOUT", streams:get({ timeout = 0 }))
    stream:set_close_callback(nobody)
    first:close()
    stream = streams:get({ timeout = T })
    stream:abort()
    second:abort()
    listener:close()
  end)

  it("serves 1,000 connections, and has no more descriptors open than before", function()
    local before = descriptors.settled()
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write(stream:read_until("\n"))
      stream:close()
    end))
    local tasks = {}
    for i = 1, 50 do
      tasks[i] = weir.spawn(function()
        for j = 1, 20 do
          local stream = assert(weir.connect(listener:address()))
          local line = ("%d %d\n"):format(i, j)
          stream:write(line)
          assert(stream:read_until_close({ timeout = T }) == line)
          stream:close()
        end
        return true
      end)
    end
    assert.equal(50, #assert(weir.all(tasks)))
    assert.equal(1000, listener:stats().accepted)
    listener:close()
    assert(descriptors.settle(before))
  end)
end)

describe("weir.exit", function()
  it("closes listeners: who comes while streams flush does not keep the host", function()
    local server = assert(weir.process({ binary, "-e", [[
      local listener
      listener = weir.listen("127.0.0.1:0", function(stream)
        stream:write(("x"):rep(20000000), function() end)
        weir.exit(3)
      end)
      print(listener:address())
      io.stdout:flush()
    ]] }))
    local address = server.stdout:read_until("\n", { inclusive = false, timeout = T })
    local slow = assert(weir.connect(address))
    slow:read_bytes(1, { timeout = T })
    while true do
      local stream = weir.connect(address, { connect_timeout = T })
      if not stream then break end
      stream:close()
    end
    assert.equal(19999999, #slow:read_until_close({ timeout = T }))
    slow:close()
    assert.same({ "exit", 3 }, { server:wait({ timeout = T }) })
  end)
end)

-- The CPU time that a process has used, in clock ticks.
local function ticks(pid)
  local file = assert(io.open(("/proc/%d/stat"):format(pid)))
  local fields = file:read("*a"):match("%) (.*)")
  file:close()
  local numbers = {}
  for field in fields:gmatch("%S+") do numbers[#numbers + 1] = tonumber(field) or 0 end
  return numbers[12] + numbers[13]
end

describe("at the descriptor limit", function()
  it("a listener uses no CPU, says so once an episode, and serves everybody", function()
    local server = assert(weir.process(bound({ "sh", "-c", 'ulimit -n 24; exec "$0" -e "$1"', binary, [[
      local listener = weir.listen("127.0.0.1:0", function(stream)
        stream:write(stream:read_until("\n"))
        stream:close()
      end)
      print(listener:address())
      io.stdout:flush()
    ]] })))
    local address = server.stdout:read_until("\n", { inclusive = false, timeout = T })
    for _ = 1, 2 do
      local clients, tasks = {}, {}
      for i = 1, 60 do clients[i] = assert(weir.connect(address, { connect_timeout = T })) end
      assert.equal("weir: accept on " .. address .. ": Too many open files; new connections wait\n",
        server.stderr:read_until("\n", { timeout = T }))
      local before = ticks(server:pid())
      weir.sleep(0.25)
      assert.is_true(ticks(server:pid()) - before < 10) -- a tenth of a second
      for i, client in ipairs(clients) do
        tasks[i] = weir.spawn(function()
          client:write("hello\n")
          local said = client:read_until_close({ timeout = T })
          client:close()
          return said
        end)
      end
      for _, said in ipairs(weir.all(tasks)) do assert.equal("hello\n", said) end
    end
    server:kill("TERM")
    assert.equal("", server.stderr:read_until_close({ timeout = T }))
    server:wait({ timeout = T })
  end)
end)
