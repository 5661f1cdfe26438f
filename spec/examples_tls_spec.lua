-- The examples about TLS, run as a user runs them, against real peers.

local shell = require("spec.support.weir")
local support = require("spec.support.tls_peers")

local contains = support.contains
local LIMIT = 20

local certificates, folder

local function path(name) return folder .. "/" .. name end

local function write(name, data)
  local file = assert(io.open(path(name), "w"))
  file:write(data)
  file:close()
  return path(name)
end

setup(function()
  certificates = support.certificates()
  folder = support.folder()
end)

teardown(function() support.remove(folder) end)

describe("tls_probe.lua", function()
  local function probe(...)
    return support.run({ shell.binary, "scripts/examples/tls_probe.lua", ... })
  end

  -- openssl's server, with this certificate.
  local function with_server(pair, f)
    local cert, key = write("probed.pem", pair.cert), write("probed.key", pair.key)
    support.with({ "openssl", "s_server", "-accept", "127.0.0.1:PORT", "-quiet", "-cert", cert,
      "-key", key, "-cert_chain", path("root.pem"), "-alpn", "h2" }, f)
  end

  it("shows what a server is like", function()
    with_server(certificates.ec, function(address)
      local output, status = probe(address, "14", path("root.pem"))
      contains("protocol   TLSv1.3, TLS_", output)
      contains("alpn       h2\n", output)
      contains("chain      1 CN=localhost\n             issued by O=weir, CN=Root\n", output)
      contains("           2 O=weir, CN=Root\n", output)
      contains("names      localhost, 127.0.0.1, foo.example.com\n", output)
      contains("key        ec, 256 bits\n", output)
      assert.matches("expires    %d+%-%d%d%-%d%d %d%d:%d%d:%d%d UTC, in 364 days\n", output)
      contains("verified   yes\n", output)
      assert.equal(0, status)
    end)
  end)

  it("warns before the certificate expires", function()
    with_server(certificates.ec, function(address)
      assert.equal(1, select(2, probe(address, "400", path("root.pem"))))
    end)
  end)

  it("is critical, but shows it all the same, if it cannot be trusted", function()
    with_server(certificates.ec, function(address)
      local output, status = probe(address)
      contains("chain      1 CN=localhost\n", output)
      contains("verified   no: ", output)
      assert.equal(2, status)
    end)
    local old = certificates.signed({ host = "127.0.0.1", not_after = weir.time() - 86400 })
    with_server(old, function(address)
      local output, status = probe(address, "14", path("root.pem"))
      contains("verified   no: certificate has expired", output)
      assert.equal(2, status)
    end)
  end)

  it("is critical if nobody answers", function()
    local output, status = probe("127.0.0.1:1")
    contains("CRITICAL: connect 127.0.0.1:1: Connection refused", output)
    assert.equal(2, status)
  end)

  it("says how it is used", function()
    local output, status = probe()
    contains("usage: tls_probe.lua HOST:PORT [DAYS] [CA-FILE]", output)
    assert.equal(3, status)
  end)
end)

describe("smtp_starttls.lua", function()
  -- A mail server of python's asyncio; it prints what it was sent.
  local SERVER = [[
import asyncio, ssl, sys
port, cert, key, offer = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(cert, key)
async def serve(reader, writer):
    def say(text): writer.write(text.encode() + b"\r\n")
    secure, data = False, False
    say("220 mail.example.com ESMTP")
    while line := (await reader.readline()).decode():
        line = line.rstrip("\r\n")
        if data:
            if line == ".":
                data = False
                say("250 2.0.0 queued as 7")
            print("clear" if not secure else "secure", line, flush=True)
        elif line.startswith("EHLO"):
            say("250-mail.example.com")
            if offer == "yes" and not secure: say("250-STARTTLS")
            say("250 SIZE 1000")
        elif line == "STARTTLS":
            say("220 go ahead")
            await writer.drain()
            await writer.start_tls(context)
            secure = True
        elif line == "DATA":
            say("354 go ahead")
            data = True
        elif line == "QUIT":
            say("221 bye")
            break
        else:
            print("clear" if not secure else "secure", line, flush=True)
            say("250 ok")
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(port))
    await server.serve_forever()
asyncio.run(main())
]]

  local function with_server(offer, f)
    support.with({ "python3", "-c", SERVER, "PORT", path("ec.pem"), path("ec.key"), offer }, f,
      { stdout = "pipe" })
  end

  local function send(address, mail, ca)
    return support.run({ shell.binary, "scripts/examples/smtp_starttls.lua", address,
      "ann@example.com", "bob@example.com", ca }, mail)
  end

  it("sends a mail, encrypted", function()
    with_server("yes", function(address, process)
      local output, status = send(address, "Subject: hello\n\n.dot\nbye\n", path("root.pem"))
      assert.equal("250 2.0.0 queued as 7\n", output)
      assert.equal(0, status)
      for _, line in ipairs({ "MAIL FROM:<ann@example.com>", "RCPT TO:<bob@example.com>",
        "Subject: hello", "", "..dot", "bye", "." }) do
        assert.equal("secure " .. line .. "\n",
          process.stdout:read_until("\n", { timeout = LIMIT }))
      end
    end)
  end)

  it("sends nothing to a server that it cannot trust, or without TLS", function()
    with_server("yes", function(address)
      local output, status = send(address, "hello\n")
      contains("smtp: start_tls ", output)
      contains("CN=Root", output)
      assert.equal(1, status)
    end)
    with_server("no", function(address)
      local output, status = send(address, "hello\n", path("root.pem"))
      assert.equal("smtp: no STARTTLS here\n", output)
      assert.equal(1, status)
    end)
  end)
end)

describe("tls_terminator.lua", function()
  -- A backend that says who it is and what it was told.
  local function backend(name)
    return assert(weir.listen("127.0.0.1:0", { timeout = LIMIT }, function(stream)
      local said = stream:read_until_close()
      stream:write({ name, " got ", said })
      stream:close()
    end))
  end

  it("passes each name on to its own backend", function()
    local foo, bar = backend("foo"), backend("bar")
    local other = certificates.signed({ names = { "bar.example.com", "127.0.0.1" } })
    local terminator = assert(weir.process({ shell.binary, "scripts/examples/tls_terminator.lua",
      "127.0.0.1:0",
      "foo.example.com=" .. foo:address() .. "="
        .. write("foo.both", certificates.ec.cert .. certificates.ec.key),
      "bar.example.com=" .. bar:address() .. "=" .. write("bar.both", other.cert .. other.key) }))
    local address = assert(terminator.stdout:read_until("\n", { timeout = LIMIT }))
      :match("listening on (%S+)")
    for _, case in ipairs({ { "foo.example.com", "foo" }, { "bar.example.com", "bar" },
      { "BAR.example.com", "bar" }, { "127.0.0.1", "foo" } }) do
      local stream = assert(weir.connect(address, { timeout = LIMIT,
        tls = { ca = path("root.pem"), server_name = case[1] } }))
      local data = ("0123456789"):rep(100000)
      stream:write(data)
      stream:shutdown()
      assert.is_true(stream:read_until_close() == case[2] .. " got " .. data)
      stream:close()
    end
    terminator:kill("TERM")
    assert.equal("", terminator.stderr:read_until_close({ timeout = LIMIT }))
    assert.same({ "exit", 0 }, { terminator:wait({ timeout = LIMIT }) })
    terminator.stdin:close()
    terminator.stdout:close()
    foo:close()
    bar:close()
  end)

  it("names what it cannot use", function()
    local output, status = support.run({ shell.binary, "scripts/examples/tls_terminator.lua",
      "127.0.0.1:0", "foo=127.0.0.1:1=/nonexistent.pem" })
    contains("/nonexistent.pem: No such file or directory", output)
    assert.equal(1, status)
    output, status = support.run({ shell.binary, "scripts/examples/tls_terminator.lua" })
    contains("usage: tls_terminator.lua LISTEN NAME=BACKEND=PEM...", output)
    assert.equal(2, status)
  end)
end)
