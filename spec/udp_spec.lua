-- Datagram sockets, on loopback. Their addresses: udp_address_spec.

local expect = require("spec.support.expect")

local fails = expect.fails

local T = { timeout = 10 }

local function open(address, options) return assert(weir.udp(address, options)) end

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
      expect.raises(mistake[2], mistake[1])
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
