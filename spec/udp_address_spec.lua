-- Where datagrams go to and come from, on loopback: names, unix paths,
-- descriptors, broadcast addresses and groups.

local dns = require("spec.support.dns")
local netns = require("spec.support.netns")
local fails = require("spec.support.expect").fails

local T = { timeout = 10 }

local function open(address, options) return assert(weir.udp(address, options)) end

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
    assert.equal("send fd:3: host:port, [IPv6]:port or unix:/path expected",
      fails("EINVAL", client:send("x", "fd:3")))
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
