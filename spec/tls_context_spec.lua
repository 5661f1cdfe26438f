-- What TLS is made from: each option, and what is wrong with it.
local certificates = require "spec.support.certificates"
local expect = require "spec.support.expect"
local peers = require "spec.support.tls"
local run = require "spec.support.weir"

require("spec.support.handshake_reports").hide(setup, teardown)

-- What streams agree on with these options, seen from both ends.
local function agree(server, client)
  local a, b = peers.pair(server, client)
  local from, to = a:tls_info(), b:tls_info()
  a:abort()
  b:abort()
  return from, to
end

describe("weir.tls.context", function()
  local folder
  before_each(function() folder = run.folder({ ["not.pem"] = "nothing here" }) end)
  after_each(function() run.remove(folder) end)

  local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
    return folder .. "/" .. name
  end

  it("names the file that cannot be read, and why", function()
    for _, option in ipairs({ "cert", "ca" }) do
      local context, message, code = weir.tls.context({ [option] = "/no/such/file" })
      assert.is_nil(context)
      assert.equal("ENOENT", code)
      assert.matches("/no/such/file: No such file or directory", message, 1, true)
      context, message, code = weir.tls.context({ [option] = folder .. "/not.pem" })
      assert.is_nil(context)
      assert.equal("ETLS", code)
      assert.matches(folder .. "/not.pem: no certificate in it (no start line)", message, 1, true)
    end
    local _, message, code = weir.tls.context({ cert = certificates.cert, key = "/no/such/key" })
    assert.equal("ENOENT", code)
    assert.matches("key /no/such/key: No such file or directory", message, 1, true)
    _, message, code = weir.tls.context({ keylog = "/no/such/folder/keys" })
    assert.equal("ENOENT", code)
    assert.matches("keylog /no/such/folder/keys", message, 1, true)
  end)

  it("says so when a file or a text holds no private key", function()
    local path = write("cert.pem", certificates.cert)
    for _, case in ipairs({
      { { cert = path }, path }, { { cert = certificates.cert }, "PEM text" },
      { { cert = certificates.cert, key = path }, path },
      { { cert = certificates.cert, key = folder .. "/not.pem" }, folder .. "/not.pem" },
    }) do
      local context, message, code = weir.tls.context(case[1])
      assert.is_nil(context)
      assert.equal("ETLS", code)
      assert.equal("tls.context: key " .. case[2] .. ": no private key in it (unsupported)", message)
    end
  end)

  it("takes several lines for a text, and shows none of them", function()
    local context, message, code = weir.tls.context({ cert = "MIIB\nsecret\n" })
    assert.is_nil(context)
    assert.equal("ETLS", code)
    assert.equal("tls.context: certificate PEM text: no certificate in it (no start line)", message)
  end)

  it("looks at no pipe in a folder of authorities", function()
    local place = folder .. "/ca"
    os.execute(("mkdir %s && mkfifo %s/pipe"):format(place, place))
    local context, message, code = weir.tls.context({ ca = place })
    assert.is_nil(context)
    assert.equal("ETLS", code)
    assert.equal("tls.context: ca " .. place .. ": no certificate in it", message)
    write("ca/root.pem", certificates.cert)
    assert.truthy(weir.tls.context({ ca = place }))
  end)

  it("is told by connect, listen and start_tls too", function()
    local tls = { ca = "/no/such/file" }
    local _, message, code = weir.connect("127.0.0.1:1", { tls = tls })
    assert.equal("ENOENT", code)
    assert.matches("connect 127.0.0.1:1: ca /no/such/file", message, 1, true)
    _, message, code = weir.listen("127.0.0.1:0", { tls = { cert = "/no/such/file" } }, print)
    assert.equal("ENOENT", code)
    assert.matches("listen 127.0.0.1:0: certificate /no/such/file", message, 1, true)
    local a, b = weir.pair()
    _, message, code = a:start_tls(tls)
    assert.equal("ENOENT", code)
    assert.matches("start_tls: ca /no/such/file", message, 1, true)
    assert.is_true(a:write("still plain"))
    assert.equal("still plain", b:read_bytes(11))
    a:close()
    b:close()
  end)

  it("wants a key that fits its certificate", function()
    local _, other = weir.tls.self_signed()
    local context, message, code = weir.tls.context({
      cert = write("cert.pem", certificates.cert), key = write("key.pem", other) })
    assert.is_nil(context)
    assert.equal("ETLS", code)
    assert.matches("key " .. folder .. "/key.pem does not fit certificate "
      .. folder .. "/cert.pem: key values mismatch", message, 1, true)
    local _, rsa = weir.tls.self_signed({ key = "rsa" })
    message = select(2, weir.tls.context({ cert = certificates.cert, key = rsa }))
    assert.matches("does not fit .*: different key types$", message)
    assert.is_nil((weir.tls.context({ cert = certificates.cert })))
  end)

  it("takes a file with both, and keys with a password", function()
    local both = write("both.pem", certificates.cert .. certificates.key)
    assert.equal("localhost", agree({ cert = both },
      { ca = both, server_name = "localhost" }).server_name)
    local plain, locked = write("key.pem", certificates.key), folder .. "/locked.pem"
    assert.equal(0, os.execute(("openssl pkey -in %s -aes256 -passout pass:secret -out %s")
      :format(plain, locked)))
    local _, message, code = weir.tls.context({ cert = both, key = locked })
    assert.equal("ETLS", code)
    assert.matches("locked.pem: encrypted, and no password given", message, 1, true)
    _, message = weir.tls.context({ cert = both, key = locked, password = "wrong" })
    assert.matches("locked.pem: wrong password", message, 1, true)
    assert(weir.tls.context({ cert = both, key = locked, password = "secret" }))
  end)

  it("trusts a text, a file or a folder", function()
    local server = certificates.both()
    write("one.pem", certificates.cert)
    for _, ca in ipairs({ certificates.cert, folder .. "/one.pem", folder }) do
      assert.is_true(agree(server, { ca = ca, server_name = "localhost" }).verified)
    end
    os.remove(folder .. "/one.pem")
    local _, message, code = weir.tls.context({ ca = folder })
    assert.equal("ETLS", code)
    assert.matches("ca " .. folder .. ": no certificate in it", message, 1, true)
  end)

  it("trusts nobody else then", function()
    local other = weir.tls.self_signed({ subject = "CN=other" })
    local listener = weir.listen("127.0.0.1:0", { tls = certificates.both() }, print)
    local _, _, code = weir.connect(listener:address(), { tls = { ca = other } })
    assert.equal("ETLS", code)
    listener:close()
  end)

  it("says which ciphers there are not", function()
    local _, message, code = weir.tls.context({ ciphers = "NONSENSE" })
    assert.equal("ETLS", code)
    assert.matches("ciphers NONSENSE: no cipher match", message, 1, true)
    _, message, code = weir.tls.context({ ciphersuites = "NONSENSE" })
    assert.equal("ETLS", code)
    assert.matches("ciphersuites NONSENSE", message, 1, true)
  end)

  it("uses the ciphers and versions that are asked for", function()
    local server, client = certificates.both({ max_version = "1.2",
      ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305" })
    assert.equal("ECDHE-ECDSA-CHACHA20-POLY1305", agree(server, client).cipher)
    server, client = certificates.both({ min_version = "1.3",
      ciphersuites = "TLS_AES_128_GCM_SHA256" })
    assert.equal("TLS_AES_128_GCM_SHA256", agree(server, client).cipher)
  end)

  it("fails where there is no version in common", function()
    local server = certificates.both({ max_version = "1.2" })
    local _, client = certificates.both({ min_version = "1.3" })
    local listener = weir.listen("127.0.0.1:0", { tls = server }, print)
    local _, message, code = weir.connect(listener:address(), { tls = client })
    assert.equal("ETLS", code)
    assert.matches("protocol version", message, 1, true)
    listener:close()
  end)

  it("agrees on a protocol in the server's order", function()
    local server, client = certificates.both()
    server.alpn, client.alpn = { "h2", "http/1.1" }, { "http/1.1", "h2" }
    local from, to = agree(server, client)
    assert.equal("h2", from.alpn)
    assert.equal("h2", to.alpn)
    client.alpn = nil
    assert.is_nil(agree(server, client).alpn)
    client.alpn = { "smtp" }
    local listener = weir.listen("127.0.0.1:0", { tls = server }, print)
    local _, message, code = weir.connect(listener:address(), { tls = client })
    assert.equal("ETLS", code)
    assert.matches("no application protocol", message, 1, true)
    listener:close()
  end)

  it("writes the secrets down where it is told", function()
    local server, client = certificates.both()
    client.keylog = folder .. "/keys"
    agree(server, client)
    local file = assert(io.open(client.keylog))
    assert.matches("CLIENT_HANDSHAKE_TRAFFIC_SECRET %x+ %x+\n", file:read("*a"))
    file:close()
    local _, err = run.run({ env = { SSLKEYLOGFILE = folder .. "/env" }, "-e", [[
      local cert, key = weir.tls.self_signed()
      local a, b = weir.pair()
      b:start_tls({ server = true, cert = cert, key = key }, function() end)
      assert(a:start_tls({ verify = false }))
      a:abort() b:abort() ]] })
    assert.equal("", err)
    file = assert(io.open(folder .. "/env"))
    assert.matches("CLIENT_TRAFFIC_SECRET_0 %x+ %x+\n", file:read("*a"))
    file:close()
  end)

  it("notices that a file has changed", function()
    local server, client = certificates.both()
    client.ca = write("ca.pem", certificates.cert)
    agree(server, client)
    write("ca.pem", (weir.tls.self_signed({ subject = "CN=other" })))
    local listener = weir.listen("127.0.0.1:0", { tls = server }, print)
    local _, _, code = weir.connect(listener:address(), { tls = client })
    assert.equal("ETLS", code)
    listener:close()
  end)

  it("notices that a file in a folder has changed", function()
    local server, client = certificates.both()
    client.ca = folder .. "/trusted"
    assert.equal(0, os.execute("mkdir " .. client.ca))
    write("trusted/ca.pem", certificates.cert)
    agree(server, client)
    write("trusted/ca.pem", (weir.tls.self_signed({ subject = "CN=other" })))
    local listener = weir.listen("127.0.0.1:0", { tls = server }, print)
    assert.equal("ETLS", (select(3, weir.connect(listener:address(), { tls = client }))))
    listener:close()
  end)

  it("raises for what makes no sense", function()
    local function raises(words, options)
      local ok, message = pcall(weir.tls.context, options)
      assert.is_false(ok)
      assert.matches(words, message, 1, true)
    end
    raises("unknown option 'cret' (known: alpn, ca, cert", { cret = "x" })
    raises("bad option 'cert' (a string expected, got boolean)", { cert = true })
    raises("bad option 'verify' (true, false or \"optional\" expected, got maybe)", { verify = "maybe" })
    raises("bad option 'min_version' (\"1.2\" or \"1.3\" expected, got 2)", { min_version = "2" })
    raises("bad option 'max_version' (at least min_version, 1.3, expected)",
      { min_version = "1.3", max_version = "1.2" })
    raises("bad option 'alpn' (a list of strings expected, got string)", { alpn = "h2" })
    raises("bad option 'alpn' (strings of 1 to 255 bytes expected in the list)", { alpn = { "" } })
    raises("bad option 'alpn' (a list of strings expected)", { alpn = { h2 = true } })
    raises("bad option 'on_sni' (a function expected, got table)", { on_sni = {} })
    raises("bad option 'server_name' (1 to 255 bytes expected, got 0)", { server_name = "" })
    raises("bad option 'server_name' (1 to 255 bytes expected, got 256)",
      { server_name = ("x"):rep(256) })
    for _, option in ipairs({ "server_name", "ciphers", "ciphersuites", "keylog", "ocsp_response" }) do
      raises(("bad option '%s' (it has a zero byte)"):format(option), { [option] = "a\0b" })
    end
    raises("the option 'key' needs a 'cert'", { key = certificates.key })
    raises("bad option 'server' (true or false expected, got string)", { server = "yes" })
    raises("options (a table) expected", "x")
  end)

  it("raises for uses that make no sense", function()
    assert.has_error(function() weir.listen("127.0.0.1:0", { tls = true }, print) end,
      "listen: a TLS server needs a certificate (option 'cert')")
    assert.has_error(function() weir.connect("127.0.0.1:1", { tls = "yes" }) end,
      "bad option 'tls' (true, a table or a context expected, got string)")
    local path = "unix:" .. folder .. "/socket"
    assert.has_error(function() weir.connect(path, { tls = true }) end,
      "connect: whom to expect is not known: give TLS a 'server_name' to verify, or verify = false")
  end)

  it("is shared by both roles and by many streams", function()
    local both = assert(weir.tls.context({ cert = certificates.cert, key = certificates.key,
      ca = certificates.cert, server_name = "localhost" }))
    for _ = 1, 3 do assert.is_true(agree(both, both).verified) end
    assert.matches("^weir%.tls%.context", tostring(both))
  end)
end)

describe("sessions", function()
  for _, version in ipairs({ "1.2", "1.3" }) do
    it("are carried by the script, over TLS " .. version, function()
      local server, client = certificates.both({ min_version = version, max_version = version })
      server = weir.tls.context(server)
      local a, b = peers.pair(server, client)
      b:write("tickets come before this")
      assert.is_string(a:read_some({ timeout = 5 }))
      client.session = assert(a:tls_info().session)
      a:abort()
      b:abort()
      local from, to = agree(server, client)
      assert.is_true(from.resumed)
      assert.is_true(to.resumed)
      assert.is_true(from.verified)
    end)

    it("are verified again, over TLS " .. version, function()
      local cert, key = weir.tls.self_signed({ host = "localhost" })
      local server = weir.tls.context({ cert = cert, key = key,
        min_version = version, max_version = version })
      local function refused(first, second)
        local a, b = peers.pair(server, first)
        b:write("x")
        assert.is_string(a:read_some({ timeout = 5 }))
        second.session = assert(a:tls_info().session)
        a:abort()
        b:abort()
        local served = false
        local listener = weir.listen("127.0.0.1:0", { tls = server },
          function() served = true end)
        local stream, message, code = weir.connect(listener:address(), { tls = second })
        expect.soon(function() return listener:stats().failed_handshakes == 1 end)
        listener:close()
        assert.is_false(served)
        assert.is_nil(stream)
        assert.equal("ETLS", code)
        return message
      end
      assert.matches("hostname mismatch", refused({ ca = cert, server_name = "localhost" },
        { ca = cert, server_name = "other.example" }), 1, true)
      assert.matches("self-signed certificate", refused({ verify = false },
        { ca = cert, server_name = "localhost" }), 1, true)
    end)
  end

  it("must be ones that tls_info gave", function()
    local context, message, code = weir.tls.context({ session = "nonsense" })
    assert.is_nil(context)
    assert.equal("ETLS", code)
    assert.matches("session: not one that tls_info() gave", message, 1, true)
  end)
end)
