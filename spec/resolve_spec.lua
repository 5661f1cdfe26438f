-- Names, asked from a small DNS server that answers what each spec wants.

local descriptors = require("spec.support.descriptors")
local dns = require("spec.support.dns")
local expect = require("spec.support.expect")
local netns = require("spec.support.netns")
local run = require("spec.support.weir").run

local fails = expect.fails

local T = 10

-- Asks a server with that zone.
local function ask(zone, name, options)
  local server = dns.serve_zone(zone)
  options.servers, options.timeout = server.address, T
  local result, message, code = weir.resolve(name, options)
  server.close()
  return result, message, code, server.queries
end

describe("resolve", function()
  local zone = { ["host.test"] = {
    A = { dns.ip("192.0.2.1"), dns.ip("127.0.0.1") },
    AAAA = { dns.ip(0, 0, 0, 0, 0, 0, 0, 1) },
  } }

  it("gives the addresses of both families, in RFC 6724's order", function()
    local addresses, _, _, queries = ask(zone, "host.test", {})
    assert.same({ "::1", "127.0.0.1", "192.0.2.1" }, addresses)
    table.sort(queries)
    assert.same({ "udp A host.test", "udp AAAA host.test" }, queries)
  end)

  it("gives one family's addresses", function()
    local addresses, _, _, queries = ask(zone, "host.test", { family = 4 })
    assert.same({ "127.0.0.1", "192.0.2.1" }, addresses)
    assert.same({ "udp A host.test" }, queries)
    assert.same({ "::1" }, (ask(zone, "host.test", { family = 6 })))
  end)

  it("calls back", function()
    local server = dns.serve_zone(zone)
    local results, inside = weir.channel(1), true
    weir.resolve("host.test", { servers = server.address, family = 6, timeout = T }, function(...)
      results:put({ inside, ... })
    end)
    inside = false
    assert.same({ false, { "::1" } }, results:get({ timeout = T }))
    server.close()
  end)

  it("follows aliases", function()
    local server = dns.serve(function(_, type)
      if type ~= "A" then return {} end
      return { { "CNAME", dns.name("real.test") },
        { "A", dns.ip("192.0.2.7"), name = "real.test" } }
    end)
    assert.same({ "192.0.2.7" },
      weir.resolve("alias.test", { servers = server.address, timeout = T }))
    server.close()
  end)

  it("asks nobody about numeric addresses", function()
    local server = dns.serve_zone({})
    for given, expected in pairs({ ["127.0.0.1"] = "127.0.0.1", ["::1"] = "::1",
      ["2001:DB8:0::1"] = "2001:db8::1" }) do
      assert.same({ expected }, weir.resolve(given, { servers = server.address, timeout = T }))
    end
    fails("ENODATA", weir.resolve("127.0.0.1", { servers = server.address, family = 6 }))
    server.close()
    assert.same({}, server.queries)
  end)

  it("asks nobody about localhost, nor about names below it", function()
    local server = dns.serve_zone({})
    for _, name in ipairs({ "localhost", "LocalHost.", "a.localhost" }) do
      local addresses = assert(weir.resolve(name, { servers = server.address, family = 4, timeout = T }))
      assert.same({ "127.0.0.1" }, addresses)
    end
    server.close()
    assert.same({}, server.queries)
  end)

  it("says that a name does not exist", function()
    local _, message, code = ask({}, "nobody.test", {})
    assert.equal("ENOTFOUND", code)
    assert.equal("resolve nobody.test: Name not found", message)
    _, message, code = ask({}, "nobody.test", { type = "MX" })
    assert.equal("ENOTFOUND", code)
    assert.equal("resolve nobody.test: Name not found", message)
  end)

  it("says that a name has no such record", function()
    local _, _, code = ask({ ["empty.test"] = {} }, "empty.test", {})
    assert.equal("ENODATA", code)
    local _, message, again = ask({ ["empty.test"] = {} }, "empty.test", { type = "MX" })
    assert.equal("ENODATA", again)
    assert.equal("resolve empty.test: No record of that type", message)
  end)

  for rcode, code in pairs({ SERVFAIL = "ESERVFAIL", REFUSED = "EREFUSED", NOTIMP = "ENOTIMP",
    FORMERR = "EFORMERR" }) do
    it("says that the server answered " .. rcode, function()
      local server = dns.serve(function() return { rcode = rcode } end)
      local options = { servers = server.address, timeout = T }
      assert.matches("^resolve x%.test: %u", fails(code, weir.resolve("x.test", options)))
      options.type = "MX"
      assert.matches("^resolve x%.test: %u", fails(code, weir.resolve("x.test", options)))
      server.close()
    end)
  end

  it("says that an answer is malformed", function()
    local server = dns.serve(function(_, type) return { { type, "x" }, count = 3 } end)
    local message = fails("EBADRESP", weir.resolve("x.test", { servers = server.address, type = "A", timeout = T }))
    assert.matches("^resolve x%.test: %u", message)
    fails("EBADRESP", weir.resolve("x.test", { servers = server.address, timeout = T }))
    server.close()
  end)

  it("says that no server is there", function()
    local server = dns.serve_zone({})
    server.close()
    local message = fails("ECONNREFUSED", weir.resolve("x.test", { servers = server.address, timeout = T }))
    assert.equal("resolve x.test: No name server could be reached", message)
  end)

  it("asks the next server when the first fails", function()
    local broken = dns.serve(function() return { rcode = "SERVFAIL" } end)
    local server = dns.serve_zone(zone)
    assert.same({ "::1" }, weir.resolve("host.test", { family = 6, timeout = T,
      servers = broken.address .. "," .. server.address }))
    broken.close()
    server.close()
    assert.equal(1, #broken.queries)
  end)

  it("asks again over TCP when an answer was truncated", function()
    local many = {}
    for i = 1, 100 do many[i] = { "A", dns.ip("192.0.2." .. i) } end
    local server = dns.serve(function(_, _, over)
      return over == "tcp" and many or { truncated = true }
    end)
    local records = assert(weir.resolve("many.test", { type = "A", servers = server.address, timeout = T }))
    assert.equal(100, #records)
    assert.same({ "udp A many.test", "tcp A many.test" }, server.queries)
    local addresses = assert(weir.resolve("many.test",
      { family = 4, servers = server.address, timeout = T }))
    assert.equal(100, #addresses)
    server.close()
  end)
end)

describe("resolve, records", function()
  local function record(type, rdata, expected)
    it(type, function()
      local records = assert(ask({ ["x.test"] = { [type] = { rdata, rdata } } }, "x.test", { type = type }))
      expected.name, expected.type, expected.ttl = "x.test", type, 60
      assert.same({ expected, expected }, records)
    end)
  end

  record("A", dns.ip("192.0.2.1"), { address = "192.0.2.1" })
  record("AAAA", dns.ip(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), { address = "2001:db8::1" })
  record("NS", dns.name("ns.test"), { nsdname = "ns.test" })
  record("CNAME", dns.name("real.test"), { cname = "real.test" })
  record("PTR", dns.name("host.test"), { ptrdname = "host.test" })
  record("MX", dns.u16(10) .. dns.name("mail.test"), { preference = 10, exchange = "mail.test" })
  record("TXT", dns.text("one") .. dns.text("") .. dns.text("t\0wo"), { strings = { "one", "", "t\0wo" },
    txt = "onet\0wo" })
  record("SRV", dns.u16(1) .. dns.u16(2) .. dns.u16(5060) .. dns.name("sip.test"),
    { priority = 1, weight = 2, port = 5060, target = "sip.test" })
  record("CAA", "\128" .. dns.text("issue") .. "ca.test", { flags = 128, tag = "issue", value = "ca.test" })
  record("SOA", dns.name("ns.test") .. dns.name("root.test") .. dns.u32(2026) .. dns.u32(1) .. dns.u32(2)
    .. dns.u32(3) .. dns.u32(4294967295), { mname = "ns.test", rname = "root.test", serial = 2026,
    refresh = 1, retry = 2, expire = 3, minimum = 4294967295 })
  record("NAPTR", dns.u16(1) .. dns.u16(2) .. dns.text("S") .. dns.text("SIP+D2U") .. dns.text("")
    .. dns.name("sip.test"), { order = 1, preference = 2, flags = "S", services = "SIP+D2U", regexp = "",
    replacement = "sip.test" })
  record("TYPE65280", "\1\2\3", { data = "\1\2\3" })

  it("leaves out the aliases before them", function()
    local server = dns.serve(function(_, type)
      return { { "CNAME", dns.name("real.test") }, { type, dns.ip("192.0.2.1"), name = "real.test", ttl = 5 } }
    end)
    assert.same({ { name = "real.test", type = "A", ttl = 5, address = "192.0.2.1" } },
      weir.resolve("x.test", { type = "A", servers = server.address, timeout = T }))
    server.close()
  end)

  it("PTR of an address asks for its reverse name", function()
    local zone = { ["1.2.0.192.in-addr.arpa"] = { PTR = { dns.name("host.test") } } }
    local records = assert(ask(zone, "192.0.2.1", { type = "PTR" }))
    assert.equal("host.test", records[1].ptrdname)
    local _, _, _, queries = ask({}, "2001:db8::1", { type = "PTR" })
    assert.same({ "udp PTR 1.0.0.0." .. ("0."):rep(20) .. "8.b.d.0.1.0.0.2.ip6.arpa" }, queries)
  end)
end)

describe("resolve, unanswered", function()
  local server

  before_each(function() server = dns.serve(function() end) end)
  after_each(function() server.close() end)

  it("times out, and says after how long", function()
    local message = fails("ETIMEDOUT", weir.resolve("x.test", { servers = server.address, timeout = 0.01 }))
    assert.equal("resolve x.test: timed out after 0.01 s", message)
    fails("ETIMEDOUT", weir.resolve("x.test", { servers = server.address, timeout = 0.01, type = "MX" }))
  end)

  it("ends at a deadline, or when it is cancelled", function()
    fails("ETIMEDOUT", weir.deadline(0.01, weir.resolve, "x.test", { servers = server.address }))
    local task = weir.spawn(weir.resolve, "x.test", { servers = server.address })
    weir.sleep(0)
    task:cancel()
    local message = fails("ECANCELED", task:join({ timeout = T }))
    assert.equal("resolve x.test: Operation canceled", message)
  end)

  it("blocks nobody else", function()
    local task = weir.spawn(weir.resolve, "x.test", { servers = server.address, timeout = T })
    local other = dns.serve_zone({ ["y.test"] = { A = { dns.ip("192.0.2.1") } } })
    assert.same({ "192.0.2.1" }, weir.resolve("y.test", { servers = other.address, timeout = T }))
    assert.equal("waiting", task:status())
    other.close()
    task:cancel()
    task:join({ timeout = T })
  end)

  it("leaves no descriptor open", function()
    local before = descriptors.settled()
    for _, type in ipairs({ "A", "MX" }) do
      fails("ETIMEDOUT", weir.resolve("x.test", { servers = server.address, type = type, timeout = 0.001 }))
      fails("ETIMEDOUT", weir.resolve("x.test", { servers = server.address, timeout = 0.001 }))
    end
    assert(descriptors.settle(before))
  end)
end)

describe("resolve, the system's settings", function()
  it("are overruled by WEIR_NAMESERVERS", function()
    local server = dns.serve_zone({ ["host.test"] = { A = { dns.ip("192.0.2.9") } } })
    local addresses, message = dns.with(server, weir.resolve, "host.test", { timeout = T })
    server.close()
    assert.same({ "192.0.2.9" }, addresses, message)
  end)

  if netns.available then
    it("are in /etc/hosts and /etc/resolv.conf, which is read again when it has changed", function()
      local setup = [[
        ip link set lo up
        place=$(mktemp -d); echo "192.0.2.5 hosts.test" >$place/hosts
        printf "search local.test\nnameserver 127.0.0.53\n" >$place/resolv.conf; mount --bind $place /etc]]
      assert.equal("192.0.2.5\n192.0.2.6\n192.0.2.10\n192.0.2.7\n", netns.run(setup, [[
        local dns = require("spec.support.dns")
        local zone = { ["x.test"] = { A = { dns.ip("192.0.2.6") } },
          ["short.local.test"] = { A = { dns.ip("192.0.2.10") } } }
        dns.serve_zone(zone, "127.0.0.53:53")
        print(weir.resolve("hosts.test", { timeout = 5 })[1])
        print(weir.resolve("x.test", { timeout = 5 })[1])
        print(weir.resolve("short", { timeout = 5 })[1])
        zone["x.test"].A = { dns.ip("192.0.2.8") }
        dns.serve_zone({ ["x.test"] = { A = { dns.ip("192.0.2.7") } } }, "127.0.0.54:53")
        local file = io.open("/etc/resolv.conf", "w")
        file:write("# moved\nnameserver 127.0.0.54\n")
        file:close()
        print(weir.resolve("x.test", { timeout = 5 })[1])
        weir.exit(0)
      ]]))
    end)
  end
end)

describe("resolve refuses", function()
  it("names that are none", function()
    for _, name in ipairs({ "", "a\0b", ("x"):rep(64) .. ".test", "a..b" }) do
      fails("EBADNAME", weir.resolve(name, { timeout = T, type = "A", servers = "127.0.0.1:9" }))
    end
  end)

  it("servers that cannot be parsed", function()
    local expected = "addresses such as 192.0.2.53 or [::1]:53, with commas between them, expected"
    assert.equal("resolve x.test: servers 'nonsense': " .. expected,
      fails("EINVAL", weir.resolve("x.test", { servers = "nonsense" })))
    local out = run({ "-e", "print(weir.resolve('x.test'))", env = { WEIR_NAMESERVERS = "nonsense" } })
    assert.equal("nil\tresolve x.test: WEIR_NAMESERVERS 'nonsense': " .. expected .. "\tEINVAL\n", out)
    fails("EINVAL", weir.resolve("x.test", { servers = "" }))
  end)

  local mistakes = {
    ["an unknown option"] = { function() weir.resolve("x", { foo = 1 }) end,
      "resolve: unknown option 'foo' %(known: family, servers, timeout, type%)" },
    ["an unknown type"] = { function() weir.resolve("x", { type = "NOPE" }) end, 'such as "MX"' },
    ["an unknown family"] = { function() weir.resolve("x", { family = 5 }) end, "4 or 6 expected" },
    ["a name that is no string"] = { function() weir.resolve({}) end, "a string%) expected" },
  }
  for name, mistake in pairs(mistakes) do
    it(name .. ", raising", function()
      expect.raises(mistake[2], mistake[1])
    end)
  end
end)

describe("resolve without a descriptor left", function()
  it("says so, and not that no server was there", function()
    local out, err, status = run({ "-e", [[
      require("ffi").cdef("int dup(int); int setrlimit(int, const unsigned long *);")
      local C = require("ffi").C
      C.setrlimit(7, require("ffi").new("unsigned long[2]", 20, 20))
      while C.dup(0) >= 0 do end
      for _, kind in ipairs({ "A", "MX" }) do
        print(weir.resolve("x.test", { servers = "127.0.0.1:9", type = kind, timeout = 10 }))
      end
      print(weir.resolve("x.test", { servers = "127.0.0.1:9", timeout = 10 }))
    ]] })
    assert.same({ ("nil\tresolve x.test: Too many open files\tEMFILE\n"):rep(3), "", 0 }, { out, err, status })
  end)
end)

describe("resolve and the host", function()
  it("does not end while a name is looked up, but a cancelled one holds nobody", function()
    local out, err, status = run({ "-e", [[
      local dns = require("spec.support.dns")
      local server = dns.serve_zone({ ["x.test"] = { A = { dns.ip("192.0.2.1") } } })
      local silent = dns.serve(function() end)
      weir.resolve("y.test", { servers = silent.address, timeout = 0.01 }, function(_, _, code)
        print(code)
        silent.close()
        weir.resolve("x.test", { servers = server.address, type = "A" }, function(records)
          print(records[1].address)
          server.close()
        end)
      end)
    ]] })
    assert.same({ "ETIMEDOUT\n192.0.2.1\n", "", 0 }, { out, err, status })
  end)
end)
