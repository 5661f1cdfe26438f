-- Datagram sockets, on loopback.

local dns = require("spec.support.dns")
local netns = require("spec.support.netns")

local T = { timeout = 10 }

local function open(address, options) return assert(weir.udp(address, options)) end

local function fails(code, ...)
  local value, message, got = ...
  assert.is_nil(value)
  assert.equal(code, got)
  return message
end

describe("udp", function()
  it("says who sent what, and answers", function()
    local server, client = open("127.0.0.1:0"), open("127.0.0.1:0")
    assert.is_true(client:send("hello", server:local_address()))
    local data, from = server:receive(T)
    assert.equal("hello", data)
    assert.equal(client:local_address(), from)
    assert.is_true(server:send("hi", from))
    data, from = client:receive(T)
    assert.equal("hi", data)
    assert.equal(server:local_address(), from)
    server:close()
    client:close()
  end)

  it("keeps datagrams apart, empty ones and those of 65,507 bytes too", function()
    local server, client = open("127.0.0.1:0"), open()
    local to = server:local_address()
    local largest = ("\0x"):rep(32753) .. "!"
    for _, data in ipairs({ "", "one", largest, "" }) do
      assert(client:send(data, to))
      assert.is_true(server:receive(T) == data)
    end
    local message = fails("EMSGSIZE", client:send(largest .. "!", to))
    assert.equal("send " .. to .. ": Message too long", message)
    server:close()
    client:close()
  end)

  it("calls back, never inside the call", function()
    local server, client = open("127.0.0.1:0"), open("127.0.0.1:0")
    local order, done = {}, weir.channel(2)
    assert(client:send("early", server:local_address()))
    server:receive(T, function(data, from)
      order[#order + 1] = data
      done:put(from)
    end)
    client:send("late", server:local_address(), function(ok)
      order[#order + 1] = ok
      done:put(ok)
    end)
    assert.same({}, order)
    assert.equal(client:local_address(), done:get(T))
    assert.is_true(done:get(T))
    assert.equal("late", server:receive(T))
    assert.same({ "early", true }, order)
    server:close()
    client:close()
  end)

  it("waits for a datagram, and only the task that asked does", function()
    local server, client = open("127.0.0.1:0"), open()
    local task = weir.spawn(function() return server:receive(T) end)
    weir.sleep(0)
    assert(client:send("x", server:local_address()))
    assert.equal("x", task:join(T))
    server:close()
    client:close()
  end)

  it("allows one pending receive", function()
    local server = open("127.0.0.1:0")
    server:receive(T, function() end)
    assert.error_matches(function() server:receive(T) end, "already receiving")
    assert.error_matches(function() server:receive(T, print) end, "already receiving")
    server:close()
  end)

  it("loses nothing to a timeout or a cancel", function()
    local server, client = open("127.0.0.1:0"), open()
    local to = server:local_address()
    local message = fails("ETIMEDOUT", server:receive({ timeout = 0.001 }))
    assert.equal("receive on " .. to .. ": timed out after 0.001 s", message)
    local task = weir.spawn(function() return server:receive(T) end)
    weir.sleep(0)
    task:cancel()
    assert.equal("receive on " .. to .. ": Operation canceled", fails("ECANCELED", task:join(T)))
    assert(client:send("kept", to))
    assert.equal("kept", server:receive(T))
    fails("ETIMEDOUT", weir.deadline(0.001, server.receive, server))
    assert(client:send("kept too", to))
    assert.equal("kept too", server:receive(T))
    server:close()
    client:close()
  end)

  it("takes its default timeout from the options", function()
    local server = open("127.0.0.1:0", { timeout = 0.001 })
    fails("ETIMEDOUT", server:receive())
    server:close()
  end)

  it("tells of a datagram that max cuts, and goes on with the next", function()
    local server, client = open("127.0.0.1:0"), open()
    local to = server:local_address()
    assert(client:send("too long", to))
    assert(client:send("too long", to))
    assert(client:send("fits ok", to))
    local message = fails("EMSGSIZE", server:receive({ max = 7, timeout = 10 }))
    assert.equal("receive on " .. to .. ": a datagram of 8 bytes, max 7, was cut", message)
    local codes = weir.channel(1)
    server:receive({ max = 1, timeout = 10 }, function(_, _, code) codes:put(code) end)
    assert.equal("EMSGSIZE", codes:get(T))
    assert.equal("fits ok", server:receive({ max = 7, timeout = 10 }))
    server:close()
    client:close()
  end)

  it("fails with ECLOSED what waits when it is closed, and what comes later", function()
    local server = open("127.0.0.1:0")
    local results = weir.channel(1)
    server:receive(function(...) results:put({ ... }) end)
    server:close()
    server:close()
    local result = results:get(T)
    assert.is_nil(result[1])
    assert.equal("ECLOSED", result[3])
    assert.equal("receive: Closed on this side", fails("ECLOSED", server:receive(T)))
    assert.equal("send 127.0.0.1:9: Closed on this side", fails("ECLOSED", server:send("x", "127.0.0.1:9")))
    assert.equal("connect 127.0.0.1:9: Closed on this side", fails("ECLOSED", server:connect("127.0.0.1:9")))
    assert.equal("local_address: Closed on this side", fails("ECLOSED", server:local_address()))
    assert.equal("set_broadcast: Closed on this side", fails("ECLOSED", server:set_broadcast(true)))
    assert.equal("join 239.1.2.3: Closed on this side", fails("ECLOSED", server:join("239.1.2.3")))
    assert.equal("leave 239.1.2.3: Closed on this side", fails("ECLOSED", server:leave("239.1.2.3")))
    assert.is_true(server:closed())
    assert.is_nil(server:fd())
    assert.equal("weir.udp (closed)", tostring(server))
  end)

  it("shows its address", function()
    local server, client = open("127.0.0.1:0"), open("127.0.0.1:0")
    local address = server:local_address()
    assert.matches("^127%.0%.0%.1:%d+$", address)
    assert.equal("weir.udp (" .. address .. ")", tostring(server))
    fails("ENOTCONN", client:peer_address())
    assert(client:connect(address))
    assert.equal(address, client:peer_address())
    assert.equal(("weir.udp (%s, connected to %s)"):format(client:local_address(), address),
      tostring(client))
    assert.is_false(client:closed())
    assert.is_number(client:fd())
    server:close()
    client:close()
  end)

  it("refuses a port in use, unless both want to share it", function()
    local one = open("127.0.0.1:0")
    local address = one:local_address()
    local message = fails("EADDRINUSE", weir.udp(address))
    assert.equal("udp " .. address .. ": Address already in use", message)
    one:close()
    one = open("127.0.0.1:0", { reuse_port = true })
    local two = open(one:local_address(), { reuse_port = true })
    one:close()
    two:close()
  end)

  it("closes a socket that nobody can reach any more", function()
    local fd = open("127.0.0.1:0"):fd()
    local link = io.popen("readlink /proc/$PPID/fd/" .. fd):read("*l")
    assert.matches("socket:", link)
    collectgarbage()
    collectgarbage()
    assert.not_equal(link, io.popen("readlink /proc/$PPID/fd/" .. fd):read("*l"))
  end)
end)

describe("udp, connected", function()
  it("sends without an address, and hears its peer only", function()
    local server, client, other = open("127.0.0.1:0"), open("127.0.0.1:0"), open()
    assert.is_true(client:connect(server:local_address()))
    assert(client:send("hello"))
    local data, from = server:receive(T)
    assert.equal("hello", data)
    assert(other:send("stranger", from))
    assert(server:send("friend", from))
    assert.equal("friend", client:receive(T))
    local message = fails("ETIMEDOUT", client:receive({ timeout = 0 }))
    assert.matches("receive from " .. server:local_address(), message, 1, true)
    server:close()
    client:close()
    other:close()
  end)

  it("hears that nobody listens there: to a receive, and to a send", function()
    local server, client = open("127.0.0.1:0"), open()
    local address = server:local_address()
    server:close()
    assert(client:connect(address))
    assert(client:send("x"))
    local message = fails("ECONNREFUSED", client:receive(T))
    assert.equal("receive from " .. address .. ": Connection refused", message)
    assert(client:send("x"))
    message = fails("ECONNREFUSED", client:send("y"))
    assert.equal("send " .. address .. ": Connection refused", message)
    client:close()
  end)

  it("needs an address if it is not connected", function()
    local client = open()
    assert.equal("send: Destination address required",
      fails("EDESTADDRREQ", client:send("x")))
    client:close()
  end)
end)

describe("udp addresses", function()
  it("may be IPv6", function()
    local server, client = open("[::1]:0"), open()
    assert(client:send("six", server:local_address()))
    local data, from = server:receive(T)
    assert.equal("six", data)
    assert.matches("^%[::1%]:%d+$", from)
    server:close()
    client:close()
  end)

  it("of all interfaces speak both families", function()
    local server = open(":0")
    local port = server:local_address():match("%d+$")
    for _, host in ipairs({ "127.0.0.1", "[::1]" }) do
      local client = open(host .. ":0")
      assert(client:send("x", host .. ":" .. port))
      local _, from = server:receive(T)
      assert.equal(client:local_address(), from)
      assert(server:send("y", from))
      assert.equal("y", client:receive(T))
      client:close()
    end
    server:close()
  end)

  it("may be names when sending and connecting", function()
    local server, client = open("localhost:0"), open("127.0.0.1:0")
    local to = "localhost:" .. server:local_address():match("%d+$")
    assert.is_true(client:send("by name", to, T))
    assert.equal("by name", server:receive(T))
    local sent = weir.channel(1)
    client:send("later", to, function(ok) sent:put(ok) end)
    assert.is_true(sent:get(T))
    assert.equal("later", server:receive(T))
    assert.is_true(client:connect(to, T))
    assert.equal(server:local_address(), client:peer_address())
    server:close()
    client:close()
  end)

  it("may be names that DNS knows, and say so when it does not", function()
    local names = dns.serve_zone({ ["here.test"] = { A = { dns.ip("127.0.0.1") } } })
    local server = open("127.0.0.1:0")
    local port = server:local_address():match("%d+$")
    for _, address in ipairs({ "127.0.0.1:0", ":0" }) do
      local client = open(address)
      assert(dns.with(names, client.send, client, "by name", "here.test:" .. port, T))
      assert.equal("by name", server:receive(T))
      assert.equal("send nobody.test:9: Name not found",
        fails("ENOTFOUND", dns.with(names, client.send, client, "x", "nobody.test:9", T)))
      client:close()
    end
    local six = open("[::1]:0")
    assert.equal("connect here.test:9: No record of that type",
      fails("ENODATA", dns.with(names, six.connect, six, "here.test:9", T)))
    six:close()
    server:close()
    names.close()
  end)

  it("that are looked up when the socket is closed fail with ECLOSED", function()
    local client, codes = open(), weir.channel(2)
    client:send("x", "localhost:9", function(_, _, code) codes:put(code) end)
    client:connect("localhost:9", function(_, _, code) codes:put(code) end)
    client:close()
    assert.equal("ECLOSED", codes:get(T))
    assert.equal("ECLOSED", codes:get(T))
  end)

  it("may be unix sockets, whose file goes with them", function()
    local path = os.tmpname()
    os.remove(path)
    local server = open("unix:" .. path)
    local client = open("unix:@weir-udp-spec-" .. path)
    assert(client:send("local", "unix:" .. path))
    local data, from = server:receive(T)
    assert.equal("local", data)
    assert.equal("unix:@weir-udp-spec-" .. path, from)
    fails("EADDRINUSE", weir.udp("unix:" .. path))
    server:close()
    assert.not_equal(0, os.execute("test -e " .. path))
    fails("ENOENT", client:send("x", "unix:" .. path))
    client:close()
  end)

  it("leave a file alone that is not theirs", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("precious")
    file:close()
    assert.equal("udp unix:" .. path .. ": Address already in use",
      fails("EADDRINUSE", weir.udp("unix:" .. path)))
    assert.equal("precious", assert(io.open(path)):read("*a"))
    os.remove(path)
    local former = open("unix:" .. path)
    os.remove(path)
    local server = open("unix:" .. path)
    former:close()
    assert.equal(0, os.execute("test -S " .. path))
    server:close()
    assert.not_equal(0, os.execute("test -e " .. path))
  end)

  it("hold a send back until the receiver has room", function()
    local name = "unix:@weir-udp-room-" .. os.tmpname()
    local server, client = open(name), open()
    client:close()
    client = open(name .. "-client")
    assert(client:connect(name))
    local sent = weir.channel(200)
    for i = 1, 200 do client:send(tostring(i), function(ok) sent:put(ok) end) end
    for i = 1, 200 do assert.equal(tostring(i), server:receive(T)) end
    for _ = 1, 200 do assert.is_true(sent:get(T)) end
    local codes = weir.channel(200)
    for i = 1, 200 do client:send(tostring(i), function(_, _, code) codes:put(code or "sent") end) end
    client:close()
    local last
    for _ = 1, 200 do last = codes:get(T) end
    assert.equal("ECLOSED", last)
    server:close()
  end)

  it("without room take a datagram back at a timeout and a cancel", function()
    local name = "unix:@weir-udp-full-" .. os.tmpname()
    local server, client = open(name), open(name .. "-client")
    assert(client:connect(name))
    local sent, message = 0, nil
    repeat
      local ok, said, code = client:send("kept", { timeout = 0.01 })
      if ok then sent = sent + 1 else message = fails("ETIMEDOUT", ok, said, code) end
    until not ok
    assert.equal("send " .. name .. ": timed out after 0.01 s", message)
    local task = weir.spawn(function() return client:send("cancelled") end)
    weir.sleep(0)
    task:cancel()
    assert.equal("send " .. name .. ": Operation canceled", fails("ECANCELED", task:join(T)))
    for _ = 1, sent do assert.equal("kept", server:receive(T)) end
    assert(client:send("last", T))
    assert.equal("last", server:receive(T))
    server:close()
    client:close()
  end)

  it("may be descriptors that exist", function()
    local one = open("127.0.0.1:0")
    local address = one:local_address()
    local ffi = require("ffi")
    ffi.cdef("int dup(int fd);")
    local two = open("fd:" .. ffi.C.dup(one:fd()))
    one:close()
    assert.equal(address, two:local_address())
    assert(two:send("self", address))
    assert.equal("self", two:receive(T))
    two:close()
    local listener = weir.listen("127.0.0.1:0", function() end)
    local stream = weir.connect(listener:address())
    assert.equal(("udp fd:%d: Protocol wrong type for socket"):format(stream:fd()),
      fails("EPROTOTYPE", weir.udp("fd:" .. stream:fd())))
    stream:close()
    listener:close()
    assert.equal("udp fd:999999: Bad file descriptor", fails("EBADF", weir.udp("fd:999999")))
  end)

  it("that are wrong are EINVAL, with what was expected", function()
    local client = open()
    for _, address in ipairs({ "nonsense", ":9", "fd:3", "tls://127.0.0.1:9", "[::1]9" }) do
      local message = fails("EINVAL", client:send("x", address))
      assert.matches("send " .. address .. ": ", message, 1, true)
      fails("EINVAL", client:connect(address))
    end
    client:close()
    assert.equal("udp example.com:9: the IP address of an interface expected",
      fails("EINVAL", weir.udp("example.com:9")))
    assert.matches("^udp nonsense: ", fails("EINVAL", weir.udp("nonsense")))
  end)

  it("that cannot be had are named", function()
    assert.equal("udp 8.8.8.8:0: Cannot assign requested address", fails("EADDRNOTAVAIL", weir.udp("8.8.8.8:0")))
    assert.equal("udp unix:/no/such/socket: No such file or directory",
      fails("ENOENT", weir.udp("unix:/no/such/socket")))
    local four = open("127.0.0.1:0")
    assert.matches("^send %[::1%]:9: Address family not supported", fails("EAFNOSUPPORT", four:send("x", "[::1]:9")))
    four:close()
  end)

  it("that are names nobody answers for end at a timeout, a deadline, a cancel", function()
    local silent, client = dns.serve(function() end), open()
    local name = "silent.test:9"
    assert.equal("send silent.test:9: timed out after 0.01 s",
      fails("ETIMEDOUT", dns.with(silent, client.send, client, "x", name, { timeout = 0.01 })))
    assert.equal("connect silent.test:9: timed out after 0.01 s",
      fails("ETIMEDOUT", dns.with(silent, client.connect, client, name, { timeout = 0.01 })))
    fails("ETIMEDOUT", dns.with(silent, weir.deadline, 0.01, client.send, client, "x", name))
    for _, method in ipairs({ "send", "connect" }) do
      local task = dns.with(silent, function()
        local task = weir.spawn(function()
          if method == "send" then return client:send("x", name) end
          return client:connect(name)
        end)
        weir.sleep(0)
        return task
      end)
      task:cancel()
      assert.equal(method .. " silent.test:9: Operation canceled", fails("ECANCELED", task:join(T)))
    end
    client:close()
    silent.close()
  end)
end)

describe("udp to many", function()
  it("sends to broadcast addresses only when allowed", function()
    local server, client = open("0.0.0.0:0"), open("127.0.0.1:0")
    local to = "127.255.255.255:" .. server:local_address():match("%d+$")
    fails("EACCES", client:send("all", to))
    assert.is_true(client:set_broadcast(true))
    assert(client:send("all", to))
    assert.equal("all", server:receive(T))
    assert.is_true(client:set_broadcast(false))
    fails("EACCES", client:send("all", to))
    client:close()
    client = open("127.0.0.1:0", { broadcast = true })
    assert(client:send("again", to))
    assert.equal("again", server:receive(T))
    client:close()
    server:close()
  end)

  it("joins and leaves groups", function()
    local one = open("0.0.0.0:0", { reuse_address = true })
    local two = open(one:local_address(), { reuse_address = true })
    local client = open(nil, { interface = "lo", ttl = 1 })
    local to = "239.255.42.42:" .. one:local_address():match("%d+$")
    assert.is_true(one:join("239.255.42.42", "lo"))
    assert.is_true(two:join("239.255.42.42", "lo"))
    assert(client:send("all", to))
    assert.equal("all", one:receive(T))
    assert.equal("all", two:receive(T))
    assert.equal("join 239.255.42.42: Address already in use",
      fails("EADDRINUSE", two:join("239.255.42.42", "lo")))
    assert.is_true(two:leave("239.255.42.42", "lo"))
    assert.equal("leave 239.255.42.42: Cannot assign requested address",
      fails("EADDRNOTAVAIL", two:leave("239.255.42.42", "lo")))
    assert.equal("join 127.0.0.1: Invalid argument",
      fails("EINVAL", one:join("127.0.0.1", "lo")))
    for _, socket in ipairs({ one, two, client }) do socket:close() end
  end)

  if netns.available then
    it("joins IPv6 groups", function()
      assert.equal("all [::1] true EADDRNOTAVAIL\n", netns.run(
        "ip link set lo up; ip -6 route add local ff00::/8 dev lo table local", [=[
          local server = assert(weir.udp(":0"))
          local client = assert(weir.udp("[::1]:0", { interface = "lo" }))
          assert(server:join("ff02::4242%lo"))
          assert(client:send("all", "[ff02::4242]:" .. server:local_address():match("%d+$")))
          local data, from = server:receive({ timeout = 10 })
          print(("%s %s %s %s"):format(data, from:match("^[^%]]*%]"), server:leave("ff02::4242", 1),
            (select(3, server:leave("ff02::4242", 1)))))
        ]=]))
    end)
  end

  it("sets the options that it is given", function()
    local ffi = require("ffi")
    ffi.cdef("int getsockopt(int fd, int level, int name, int *value, int *length);")
    local function option(socket, level, name)
      local value, length = ffi.new("int[1]"), ffi.new("int[1]", 4)
      assert.equal(0, ffi.C.getsockopt(socket:fd(), level, name, value, length))
      return value[0]
    end
    local IP, IPV6, MULTICAST_LOOP, TTL, HOPS = 0, 41, 34, 2, 16
    local plain, given = open("0.0.0.0:0"), open("0.0.0.0:0", { loopback = false, ttl = 7 })
    assert.equal(1, option(plain, IP, MULTICAST_LOOP))
    assert.equal(0, option(given, IP, MULTICAST_LOOP))
    assert.equal(7, option(given, IP, TTL))
    local six = open("[::1]:0", { ttl = 9 })
    assert.equal(9, option(six, IPV6, HOPS))
    for _, socket in ipairs({ plain, given, six }) do socket:close() end
  end)

  it("names an interface that does not exist", function()
    local message = fails("ENODEV", weir.udp(":0", { interface = "nosuch0" }))
    assert.equal("udp :0: No such device", message)
    local socket = open(":0")
    assert.equal("join nosuch0: No such device",
      fails("ENODEV", socket:join("239.1.2.3", "nosuch0")))
    fails("EINVAL", socket:join("example.com"))
    socket:close()
  end)
end)

describe("udp raises for", function()
  local socket = open()
  local mistakes = {
    ["an unknown option"] = { function() weir.udp(":0", { foo = 1 }) end,
      "unknown option 'foo' %(known: broadcast" },
    ["a wrong option"] = { function() weir.udp(":0", { ttl = 300 }) end,
      "bad option 'ttl' %(a whole number from 1 to 255 expected, got 300%)" },
    ["a wrong interface option"] = { function() weir.udp(":0", { interface = 1.5 }) end, "bad option 'interface'" },
    ["an address that is no string"] = { function() weir.udp(5) end, "a string%) expected" },
    ["data that is no string"] = { function() socket:send({}) end, "a string%) expected" },
    ["a wrong destination"] = { function() socket:send("x", 5) end, "an address %(a string%) expected" },
    ["an unknown option of receive"] = { function() socket:receive({ size = 1 }) end,
      "receive: unknown option 'size' %(known: max, timeout%)" },
    ["max 0"] = { function() socket:receive({ max = 0 }) end, "bad option 'max'" },
    ["a wrong flag"] = { function() socket:set_broadcast(1) end, "true or false expected" },
    ["a wrong interface"] = { function() socket:join("239.1.1.1", {}) end,
      "interface %(a name or a number%) expected" },
    ["waiting across a C call"] = { function()
      table.sort({ 1, 2 }, function()
        local data = socket:receive()
        return data
      end)
    end, "receive cannot wait here" },
  }
  for name, mistake in pairs(mistakes) do
    it(name, function()
      local ok, message = pcall(mistake[1])
      assert.is_false(ok)
      assert.matches(mistake[2], message)
      assert.matches("udp_spec%.lua:%d+:", message)
    end)
  end
end)

describe("udp and the host", function()
  local run = require("spec.support.weir").run

  it("ends although a socket is open, but not while it receives", function()
    local out, err, status = run({ "-e", [[
      local idle, server, client = weir.udp(":0"), weir.udp("127.0.0.1:0"), weir.udp()
      server:receive(function(data) print(data) end)
      weir.after(0.01, function() client:send("last", server:local_address()) end)
    ]] })
    assert.same({ "last\n", "", 0 }, { out, err, status })
  end)

  it("ends while an unref'd one receives", function()
    local out, err, status = run({ "-e", [[
      local server = weir.udp("127.0.0.1:0"):unref()
      server:receive(function() end)
      local other = weir.udp("127.0.0.1:0")
      other:receive(function() end)
      other:unref()
    ]] })
    assert.same({ "", "", 0 }, { out, err, status })
  end)

  it("drains: a pending receive fails with ECANCELED", function()
    local out, err, status = run({ "-e", [[
      local server = weir.udp("127.0.0.1:0")
      weir.after(0, function() require("ffi").cdef("int raise(int);") require("ffi").C.raise(15) end)
      repeat
        local data, message, code = server:receive()
        print(code)
      until not data
      print((select(3, server:receive())))
    ]] })
    assert.same({ "ECANCELED\nECANCELED\n", "", 0 }, { out, err, status })
  end)
end)
