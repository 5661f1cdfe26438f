-- weir.connect: which of a name's addresses, and from which of one's own.

local descriptors = require("spec.support.descriptors")
local dns = require("spec.support.dns")
local greeter = require("spec.support.greeter")
local ports = require("spec.support.ports")
local silent = require("spec.support.silent")

local fails, port_of = require("spec.support.expect").fails, ports.of
local echo, check_echo = greeter.echo, greeter.check_echo

local T = 10

after_each(function() ports.release() end)

describe("connect to a name with several addresses", function()
  local server, records

  before_each(function()
    records = {}
    server = dns.serve(function(_, type)
      local answer = {}
      for _, record in ipairs(records) do
        if record[1] == type then answer[#answer + 1] = record end
      end
      return answer
    end)
  end)
  after_each(function() server.close() end)

  local four = function(ip) return { "A", dns.ip(ip) } end
  local six = { "AAAA", dns.ip(0, 0, 0, 0, 0, 0, 0, 1) }

  local function connect(port, options)
    options = options or {}
    options.connect_timeout = T
    return dns.with(server, weir.connect, "many.test:" .. port, options)
  end

  it("goes on past those that refuse", function()
    local listener = echo("127.0.0.4:0")
    records = { four("127.0.0.2"), four("127.0.0.3"), four("127.0.0.4"), six }
    local stream = assert(connect(port_of(listener)))
    assert.equal(listener:address(), stream:peer_address())
    check_echo(stream)
    listener:close()
  end)

  it("goes on past those that never answer, and closes them when one succeeds", function()
    local listener = echo("127.0.0.1:0")
    local port = port_of(listener)
    local _, stop_two = silent("127.0.0.2:" .. port)
    local _, stop_three = silent("127.0.0.3:" .. port)
    records = { four("127.0.0.2"), four("127.0.0.3"), four("127.0.0.1") }
    local before = descriptors.settled()
    local stream = assert(connect(port))
    assert.equal("127.0.0.1:" .. port, stream:peer_address())
    assert(descriptors.settle(before + 2)) -- its two ends
    check_echo(stream)
    assert(descriptors.settle(before))
    stop_two()
    stop_three()
    listener:close()
  end)

  it("takes the one that succeeds first, not the one tried first", function()
    local port = ports.hold()
    local address, stop = silent("127.0.0.2:" .. port)
    local listener = echo("127.0.0.3:" .. port)
    records = { four("127.0.0.2"), four("127.0.0.3") }
    local stream = assert(connect(port))
    assert.not_equal(address, stream:peer_address())
    check_echo(stream)
    stop()
    listener:close()
  end)

  it("lists every address and its reason when all fail, families interleaved", function()
    local port = ports.hold()
    records = { four("127.0.0.2"), four("127.0.0.3"), six }
    local message = fails("ECONNREFUSED", connect(port))
    assert.equal((("connect many.test:P: [::1]:P: Connection refused; 127.0.0.2:P: Connection refused; "
      .. "127.0.0.3:P: Connection refused"):gsub("P", port)), message)
  end)

  it("lists what became of each when time is up", function()
    local port = ports.hold()
    local _, stop = silent("127.0.0.3:" .. port)
    records = { four("127.0.0.2"), four("127.0.0.3"), four("127.0.0.4") }
    local message = fails("ETIMEDOUT",
      dns.with(server, weir.connect, "many.test:" .. port, { connect_timeout = 0.2 }))
    assert.equal((("connect many.test:P (127.0.0.2:P: Connection refused; 127.0.0.3:P: no answer yet; "
      .. "127.0.0.4:P: not tried yet): timed out after 0.2 s"):gsub("P", port)), message)
    stop()
  end)

  it("tries only those of the source's family", function()
    local port = ports.hold()
    records = { four("127.0.0.2"), six }
    local message = fails("ECONNREFUSED", connect(port, { source = "127.0.0.1" }))
    assert.equal(("connect many.test:%s: 127.0.0.2:%s: Connection refused"):format(port, port), message)
    message = fails("ECONNREFUSED", connect(port, { source = "::1" }))
    assert.equal(("connect many.test:%s: [::1]:%s: Connection refused"):format(port, port), message)
  end)
end)

describe("connect, source", function()
  it("binds to an address, or an address and a port", function()
    local listener = echo("127.0.0.1:0")
    local stream = assert(weir.connect(listener:address(), { source = "127.0.0.2" }))
    assert.matches("^127%.0%.0%.2:", stream:local_address())
    check_echo(stream)
    local port = ports.hold()
    stream = assert(weir.stream():connect(listener:address(), { source = "127.0.0.3:" .. port }))
    assert.equal("127.0.0.3:" .. port, stream:local_address())
    stream:abort()
    stream = assert(weir.stream({ source = "127.0.0.4" }):connect(listener:address()))
    assert.matches("^127%.0%.0%.4:", stream:local_address())
    stream:abort()
    listener:close()
  end)

  it("may be a port alone, of either family", function()
    for _, host in ipairs({ "127.0.0.1", "[::1]" }) do
      local listener, port = echo(host .. ":0"), ports.hold()
      local stream = assert(weir.connect(listener:address(), { source = ":" .. port }))
      assert.equal(host .. ":" .. port, stream:local_address())
      stream:abort()
      listener:close()
    end
  end)

  it("that is the address itself reaches nobody, not itself", function()
    local listener = echo("127.0.0.1:0")
    local address = listener:address()
    listener:close()
    assert.equal("connect " .. address .. ": Connection refused",
      fails("ECONNREFUSED", weir.connect(address, { source = address, connect_timeout = T })))
  end)

  it("says when it cannot be bound", function()
    local listener = echo("127.0.0.1:0")
    local address = listener:address()
    local message = fails("EADDRNOTAVAIL", weir.connect(address, { source = "8.8.8.8" }))
    assert.equal("connect " .. address .. ": Cannot assign requested address", message)
    message = fails("EADDRINUSE", weir.connect(address, { source = address }))
    assert.equal("connect " .. address .. ": Address already in use", message)
    message = fails("EAFNOSUPPORT", weir.connect(address, { source = "::1" }))
    assert.matches("^connect " .. address .. ": Address family not supported", message)
    message = fails("EINVAL", weir.connect(address, { source = "nonsense" }))
    assert.equal("connect " .. address .. ": source nonsense: an IP address, or IP:port, expected", message)
    listener:close()
  end)
end)
