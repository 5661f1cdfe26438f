-- The examples that speak UDP, run as a user runs them, with real peers.

local binary = require("spec.support.weir").binary

-- Starts an example; its address, and a function that ends it.
local function start(command)
  local pipe = io.popen(("echo $$; exec timeout 60 '%s' scripts/examples/%s 2>&1"):format(binary, command))
  local pid, line = pipe:read("*l"), pipe:read("*l")
  return line:match("^%w+ on (.*)$"), function()
    os.execute("kill " .. pid)
    return pipe:read("*a"), pipe:close()
  end
end

-- An address that is free for UDP and TCP.
local function free_address()
  for _ = 1, 20 do
    local listener = assert(weir.listen("127.0.0.1:0", function() end))
    local socket = weir.udp(listener:address())
    listener:close()
    if socket then
      socket:close()
      return listener:address()
    end
  end
  error("no port is free for both TCP and UDP")
end

local function output_of(command)
  local pipe = io.popen(command)
  local output = pipe:read("*a")
  pipe:close()
  return output
end

describe("dns_server.lua", function()
  local address, stop
  local function dig(arguments)
    local host, port = address:match("^(.*):(%d+)$")
    return output_of(("dig +time=5 +tries=1 @%s -p %s %s"):format(host, port, arguments))
  end

  setup(function()
    local hosts = { "www.test=192.0.2.1", "WWW.test=2001:db8::1", "www.test=192.0.2.2" }
    for i = 1, 40 do hosts[#hosts + 1] = "many.test=192.0.2." .. i end
    address, stop = start("dns_server.lua " .. free_address() .. " " .. table.concat(hosts, " "))
  end)
  teardown(function() stop() end)

  it("answers dig", function()
    assert.equal("192.0.2.1\n192.0.2.2\n", dig("+short www.test"))
    assert.equal("2001:db8::1\n", dig("+short WwW.tEsT AAAA"))
    local whole = dig("www.test")
    assert.matches("status: NOERROR", whole)
    assert.matches("flags: qr aa rd; QUERY: 1, ANSWER: 2", whole)
    assert.matches("www%.test%.%s+60%s+IN%s+A%s+192%.0%.2%.1", whole)
  end)

  it("answers over TCP, by itself when the answer is long", function()
    assert.equal("192.0.2.1\n192.0.2.2\n", dig("+tcp +short www.test"))
    assert.matches("ANSWER: 40", dig("+noedns many.test"))
    assert.matches("Truncated, retrying in TCP mode", dig("+noedns many.test"))
  end)

  it("says what does not exist", function()
    assert.matches("status: NXDOMAIN", dig("nobody.test"))
    assert.matches("status: NOERROR.*ANSWER: 0", dig("www.test MX"))
  end)

  it("answers weir.resolve", function()
    assert.same({ "192.0.2.1", "192.0.2.2" },
      weir.resolve("www.test", { servers = address, family = 4, timeout = 10 }))
  end)

  it("survives what is no query", function()
    local socket = assert(weir.udp("127.0.0.1:0"))
    assert(socket:connect(address))
    for size = 0, 20 do assert(socket:send(("\255"):rep(size))) end
    assert(socket:send(("\0"):rep(12) .. ("\63"):rep(600)))
    socket:close()
    assert.equal("192.0.2.1\n192.0.2.2\n", dig("+short www.test"))
  end)
end)

describe("udp_echo.lua", function()
  it("sends back what socat sends, and ends at SIGTERM", function()
    local address, stop = start("udp_echo.lua 127.0.0.1:0")
    assert.equal("hello", output_of(("printf hello | timeout 10 socat -t 0.2 - UDP:%s"):format(address)))
    assert.equal("", (stop()))
  end)
end)
