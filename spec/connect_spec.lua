-- weir.connect and stream:connect, over loopback. Names with several addresses,
-- and where a connection comes from: connect_addresses_spec.

local descriptors = require("spec.support.descriptors")
local dns = require("spec.support.dns")
local expect = require("spec.support.expect")
local greeter = require("spec.support.greeter")
local ports = require("spec.support.ports")
local silent = require("spec.support.silent")

local fails, port_of = expect.fails, ports.of
local echo, check_echo = greeter.echo, greeter.check_echo

local T = 10

local function nobody() end

after_each(function() ports.release() end)

describe("connect", function()
  for given, listens in pairs({
    ["127.0.0.1:%s"] = "127.0.0.1:0",
    ["tcp://127.0.0.1:%s"] = "127.0.0.1:0",
    ["[::1]:%s"] = "[::1]:0",
    ["tcp://[::1]:%s"] = "[::1]:0",
    ["localhost:%s"] = "127.0.0.1:0",
    ["LOCALHOST:%s "] = ":0",
    ["127.0.0.1:%s "] = ":0",
    ["[::1]:%s "] = ":0",
    ["[::ffff:127.0.0.1]:%s"] = "127.0.0.1:0",
  }) do
    it("takes " .. given .. "to a listener on " .. listens, function()
      local listener = echo(listens)
      local address = given:gsub(" ", ""):format(port_of(listener))
      check_echo(assert(weir.connect(address, { connect_timeout = T })))
      listener:close()
    end)
  end

  it("calls a unix peer that has no name by the stream's id", function()
    local got = weir.channel(1)
    local listener = assert(weir.listen("unix:@" .. os.tmpname(), function(stream) got:put(stream) end))
    local client = assert(weir.connect(listener:address()))
    local server = got:get({ timeout = T })
    assert.matches("^weir.stream #%d+ %(unix, open%)$", tostring(server))
    assert.equal("unix:", server:peer_address())
    client:close()
    local _, message = server:read_bytes(1, { timeout = T })
    assert.equal("read_bytes stream #" .. server:id() .. ": End of file", message)
    server:close()
    listener:close()
  end)

  it("takes unix:/path and unix:@abstract", function()
    local path = os.tmpname()
    for _, address in ipairs({ "unix:" .. path .. ".sock", "unix:@" .. path,
      "tcp://unix:@" .. path .. "-2" }) do
      local listener = echo(address)
      local stream = assert(weir.connect(address))
      assert.equal(address:gsub("^tcp://", ""), stream:peer_address())
      check_echo(stream)
      listener:close()
    end
    os.remove(path)
  end)

  it("takes fd:N, a descriptor that is connected", function()
    local listener = echo("127.0.0.1:0")
    local fd = assert(weir.connect(listener:address())):detach()
    local stream = assert(weir.connect("fd:" .. fd))
    assert.equal(listener:address(), stream:peer_address())
    assert.equal(fd, stream:fd())
    check_echo(stream)
    local unconnected = weir.udp("127.0.0.1:0")
    local message = fails("ENOTCONN", weir.connect("fd:" .. unconnected:fd()))
    assert.equal("connect fd:" .. unconnected:fd() .. ": Transport endpoint is not connected", message)
    unconnected:close()
    message = fails("EBADF", weir.connect("fd:9999"))
    assert.equal("connect fd:9999: Bad file descriptor", message)
    listener:close()
  end)

  it("names what is wrong with an address", function()
    for _, address in ipairs({ "nonsense", "127.0.0.1", "[::1", "[::1]", "::1:80", ":80", "host:99999",
      "host:", "unix:", "fd:x", "", "a b:80", "[127.0.0.1]:80", "http://host:80/" }) do
      local message = fails("EINVAL", weir.connect(address))
      assert.matches("connect " .. address .. ": ", message, 1, true)
      assert.truthy(message:find(" expected") or message:find(" is missing "), message)
    end
    for _, form in ipairs({ "unix:", "unix:@" }) do
      assert.matches("a unix path of at most 107 bytes expected", fails("EINVAL", weir.connect(form .. ("x"):rep(108))))
    end
  end)

  it("gives the stream itself, also to a callback", function()
    local listener = echo("127.0.0.1:0")
    local stream = weir.stream()
    assert.equal(stream, stream:connect(listener:address(), { timeout = T }))
    check_echo(stream)
    local got = weir.channel(1)
    stream = weir.connect(listener:address(), function(connected) got:put(connected) end)
    assert.equal(stream, got:get({ timeout = T }))
    check_echo(stream)
    listener:close()
  end)

  it("is followed by a dialogue", function() -- test_future_interface
    local listener = weir.listen("127.0.0.1:0", function(stream)
      stream:read_until("\r\n\r\n")
      stream:write("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
      stream:close()
    end)
    local stream = assert(weir.connect(listener:address(), { timeout = T }))
    stream:write("GET / HTTP/1.0\r\n\r\n")
    assert.equal("HTTP/1.0 200 OK\r\n", stream:read_until("\r\n"))
    local length = stream:read_until("\r\n\r\n"):match("Length: (%d+)")
    assert.equal("hello", stream:read_bytes(tonumber(length)))
    stream:close()
    listener:close()
  end)

  it("queues writes made meanwhile, and completes first", function()
    local got = weir.channel(1)
    local listener = weir.listen("127.0.0.1:0", function(stream)
      got:put(stream:read_until("\n"))
    end)
    local order, done = {}, weir.channel(1)
    local stream = weir.stream()
    stream:connect(listener:address(), function(s)
      order[#order + 1] = s == stream and "connected"
    end)
    stream:write("early\n", function()
      order[#order + 1] = "written"
      done:put(true)
    end)
    assert.same({}, order)
    assert.equal("early\n", got:get({ timeout = T }))
    assert.is_true(done:get({ timeout = T }))
    assert.same({ "connected", "written" }, order)
    stream:close()
    listener:close()
  end)

  it("raises for wrong use", function()
    local listener = echo("127.0.0.1:0")
    local stream = assert(weir.connect(listener:address()))
    local fresh = weir.stream()
    fresh:connect(listener:address(), nobody)
    for pattern, mistake in pairs({
      ["already in use"] = function() stream:connect(listener:address()) end,
      ["unknown option 'foo'"] = function() weir.connect("a:1", { foo = 1 }) end,
      ["unknown option 'bar'"] = function() weir.stream():connect("a:1", { bar = 1 }) end,
      ["bad option 'connect_timeout'"] = function() weir.connect("a:1", { connect_timeout = -1 }) end,
      ["bad option 'source'"] = function() weir.connect("a:1", { source = 1 }) end,
      ["string%) expected"] = function() weir.connect(80) end,
      ["detach: the stream is still being connected"] = function() local _ = fresh:detach() end,
    }) do
      expect.raises(pattern, mistake)
    end
    stream:close()
    fresh:abort()
    listener:close()
  end)
end)

describe("connect, failing", function()
  it("says what was refused, and the code", function()
    local address = "127.0.0.1:" .. ports.hold()
    local message = fails("ECONNREFUSED", weir.connect(address))
    assert.equal("connect " .. address .. ": Connection refused", message)
    local path = os.tmpname()
    assert.equal("connect unix:" .. path .. ": Connection refused",
      fails("ECONNREFUSED", weir.connect("unix:" .. path)))
    os.remove(path)
    assert.equal("connect unix:" .. path .. ": No such file or directory",
      fails("ENOENT", weir.connect("unix:" .. path)))
    local datagrams = assert(weir.udp("unix:" .. path))
    assert.equal("connect unix:" .. path .. ": Protocol wrong type for socket",
      fails("EPROTOTYPE", weir.connect("unix:" .. path)))
    datagrams:close()
  end)

  it("tells the callback once, and then the close callback", function()
    local told = weir.channel(3)
    local stream = weir.stream()
    stream:set_close_callback(function(_, code) told:put({ "over", code }) end)
    stream:connect("127.0.0.1:" .. ports.hold(), function(_, _, code) told:put({ "connect", code }) end)
    assert.same({ "connect", "ECONNREFUSED" }, told:get({ timeout = T }))
    assert.same({ "over", "ECONNREFUSED" }, told:get({ timeout = T }))
    assert.is_true(stream:closed())
  end)

  it("fails writes and reads that waited, with its reason", function()
    local stream, codes = weir.stream(), weir.channel(3)
    local address = "127.0.0.1:" .. ports.hold()
    stream:connect(address, function(_, _, code) codes:put(code) end)
    stream:read_bytes(1, function(_, _, code) codes:put(code) end)
    stream:write("x", function(_, message) codes:put(message) end)
    assert.equal("ECONNREFUSED", codes:get({ timeout = T }))
    assert.equal("ECONNREFUSED", codes:get({ timeout = T }))
    assert.matches("Connection refused", codes:get({ timeout = T }))
  end)

  it("fails with ECLOSED what waited when the stream is closed", function()
    local address, stop = silent("127.0.0.1:0")
    for _, close in ipairs({ "close", "abort" }) do
      local before = descriptors.settled()
      local stream, codes = weir.stream(), weir.channel(3)
      stream:set_close_callback(function(_, code) codes:put({ code }) end)
      stream:connect(address, function(_, message) codes:put(message) end)
      stream:read_bytes(1, function(_, _, code) codes:put(code) end)
      stream[close](stream) -- tells the read first
      assert.equal("ECLOSED", codes:get({ timeout = T }))
      assert.equal("connect " .. address .. ": Closed on this side", codes:get({ timeout = T }))
      assert.same({}, codes:get({ timeout = T }))
      assert(descriptors.settle(before))
    end
    stop()
  end)

  it("for a name that does not exist says so", function()
    local server = dns.serve_zone({})
    local message = fails("ENOTFOUND", dns.with(server, weir.connect, "nobody.test:80", { timeout = T }))
    assert.equal("connect nobody.test:80: Name not found", message)
    message = fails("EBADNAME", dns.with(server, weir.connect, "a..b:80", { timeout = T }))
    assert.equal("connect a..b:80: Malformed name", message)
    server.close()
    message = fails("ECONNREFUSED", dns.with(server, weir.connect, "nobody.test:80", { timeout = T }))
    assert.equal("connect nobody.test:80: No name server could be reached", message)
  end)
end)

describe("connect, timed out or cancelled", function()
  local before, stop, address, server

  before_each(function()
    before = descriptors.settled()
    address, stop = silent("127.0.0.1:0")
    server = dns.serve(function() end)
  end)

  after_each(function()
    stop()
    server.close()
    assert(descriptors.settle(before))
  end)

  it("while it connects, closes the stream and its descriptor", function()
    local count = descriptors.settled()
    local stream = weir.stream()
    local message = fails("ETIMEDOUT", stream:connect(address, { timeout = 0.01 }))
    assert.equal("connect " .. address .. " (no answer yet): timed out after 0.01 s", message)
    assert.is_true(stream:closed())
    fails("ETIMEDOUT", weir.connect(address, { connect_timeout = 0.01 }))
    fails("ETIMEDOUT", weir.stream({ connect_timeout = 0.01 }):connect(address))
    fails("ETIMEDOUT", weir.stream({ timeout = 0.01 }):connect(address))
    fails("ETIMEDOUT", weir.deadline(0.01, weir.connect, address))
    local task = weir.spawn(weir.connect, address)
    weir.sleep(0)
    assert(descriptors.settle(count + 1))
    task:cancel()
    message = fails("ECANCELED", task:join({ timeout = T }))
    assert.equal("connect " .. address .. " (no answer yet): Operation canceled", message)
    assert(descriptors.settle(count))
  end)

  it("while it connects, ends the stream for that reason", function()
    local told, stream = {}, weir.stream()
    stream:set_close_callback(function(_, code) told[#told + 1] = "over " .. tostring(code) end)
    stream:connect(address, { timeout = 0.01 }, function(_, _, code) told[#told + 1] = "connect " .. code end)
    stream:write("queued", function(_, _, code) told[#told + 1] = "write " .. code end)
    stream:read_bytes(1, function(_, _, code) told[#told + 1] = "read " .. code end)
    weir.deadline(T, function() while #told < 4 and weir.sleep(0) do end end)
    assert.equal("over ETIMEDOUT", table.remove(told))
    table.sort(told)
    assert.equal("connect ETIMEDOUT, read ETIMEDOUT, write ETIMEDOUT", table.concat(told, ", "))
    local message = fails("ETIMEDOUT", stream:write("x"))
    assert.matches("timed out after 0.01 s", message, 1, true)
    fails("ETIMEDOUT", stream:read_some())
  end)

  it("while a unix socket's backlog is full, too", function()
    local full, free = silent("unix:@" .. os.tmpname())
    local message = fails("ETIMEDOUT", weir.connect(full, { connect_timeout = 0.03 }))
    assert.equal("connect " .. full .. " (no answer yet): timed out after 0.03 s", message)
    free()
  end)

  it("while it resolves, says so and leaves nothing open", function()
    local count = descriptors.settled()
    local message = fails("ETIMEDOUT", dns.with(server, weir.connect, "silent.test:80", { connect_timeout = 0.01 }))
    assert.equal("connect silent.test:80 (resolving the name): timed out after 0.01 s", message)
    local task = dns.with(server, function()
      local task = weir.spawn(weir.connect, "silent.test:80")
      weir.sleep(0)
      return task
    end)
    task:cancel()
    message = fails("ECANCELED", task:join({ timeout = T }))
    assert.equal("connect silent.test:80 (resolving the name): Operation canceled", message)
    local codes = weir.channel(1)
    local stream = weir.stream()
    dns.with(server, function()
      stream:connect("silent.test:80", function(_, _, code) codes:put(code) end)
    end)
    stream:close()
    assert.equal("ECLOSED", codes:get({ timeout = T }))
    assert(descriptors.settle(count))
  end)

  it("has one connect_timeout for resolving and connecting", function()
    local slow = dns.serve(function(_, type)
      weir.sleep(0.05)
      return type == "A" and { { "A", dns.ip("127.0.0.1") } } or {}
    end)
    local name = "slow.test:" .. address:match("%d+$")
    local started = weir.now()
    local message = fails("ETIMEDOUT", dns.with(slow, weir.connect, name, { connect_timeout = 0.2, timeout = T }))
    assert.is_true(weir.now() - started >= 0.2)
    assert.equal(("connect %s (%s: no answer yet): timed out after 0.2 s"):format(name, address), message)
    slow.close()
  end)

  it("has the same one for the TLS handshake", function()
    local mute = assert(weir.listen("127.0.0.1:0", function(stream) stream:read_until_close({ timeout = T }) end))
    local name = "tls://" .. mute:address()
    local message = fails("ETIMEDOUT", weir.connect(name, { connect_timeout = 0.05, timeout = T }))
    assert.equal("connect " .. name .. " (TLS handshake): timed out after 0.05 s", message)
    mute:close()
  end)

  it("blocks nobody meanwhile", function()
    local task = dns.with(server, function()
      local task = weir.spawn(weir.connect, "silent.test:80", { connect_timeout = T })
      weir.sleep(0)
      return task
    end)
    local listener = echo("127.0.0.1:0")
    check_echo(assert(weir.connect(listener:address())))
    assert.equal("waiting", task:status())
    task:cancel()
    fails("ECANCELED", task:join({ timeout = T }))
    listener:close()
  end)
end)
