-- weir.tls.self_signed and weir.tls.certificates, seen by OpenSSL and GnuTLS.

local expect = require("spec.support.expect")
local shell = require("spec.support.weir")

local self_signed = weir.tls.self_signed

-- What the certificate says about itself.
local function parse(pem)
  return assert(weir.tls.certificates(pem))[1]
end

-- Runs a shell command in a folder with the given files; all that it prints.
local function run(files, command)
  local folder = shell.folder(files)
  local pipe = io.popen(("cd %s && { %s; } 2>&1"):format(folder, command))
  local output = pipe:read("*a")
  pipe:close()
  shell.remove(folder)
  return output
end

describe("weir.tls.self_signed", function()
  it("is for this machine unless one says otherwise", function()
    local certificate, key = self_signed()
    local info = parse(certificate)
    assert.same({ "localhost", "127.0.0.1", "::1" }, info.sans)
    assert.equal("CN=localhost", info.subject)
    assert.equal("CN=localhost", info.issuer)
    assert.equal("ec", info.key_type)
    assert.is_false(info.ca)
    assert.is_true(info.not_before < weir.time())
    assert.is_true(info.not_after > weir.time() + 364 * 86400)
    assert.matches("^%-%-%-%-%-BEGIN PRIVATE KEY", key)
  end)

  it("takes names, and tells their kinds apart", function()
    local certificate = self_signed({ host = "foo.example.com",
      names = { "*.example.com", "192.0.2.1", "2001:db8::1", "me@example.com",
        "https://example.com/" } })
    assert.same({ "foo.example.com", "*.example.com", "192.0.2.1", "2001:db8::1",
      "me@example.com", "https://example.com/" }, parse(certificate).sans)
    local text = run({ c = certificate }, "openssl x509 -in c -noout -ext subjectAltName")
    assert.matches("DNS:foo.example.com, DNS:*.example.com, IP Address:192.0.2.1, "
      .. "IP Address:2001:DB8:0:0:0:0:0:1, email:me@example.com, URI:https://example.com/",
      text, 1, true)
  end)

  it("makes RSA, EC and Ed25519 keys, which fit", function()
    for _, case in ipairs({
      { { key = "rsa", bits = 1024 }, "rsa", 1024 },
      { { key = "ec", curve = "P-384" }, "ec", 384, "P-384" },
      { { key = "ec", curve = "secp256k1" }, "ec", 256, "secp256k1" },
      { { key = "ed25519" }, "ed25519", 256 },
    }) do
      local certificate, key = assert(self_signed(case[1]))
      local info = parse(certificate)
      assert.same({ case[2], case[3], case[4] },
        { info.key_type, info.key_bits, info.curve })
      assert.equal("same\n", run({ c = certificate, k = key },
        "openssl x509 -in c -noout -pubkey >a; openssl pkey -in k -pubout >b; cmp a b && echo same"))
      assert.matches("c: OK", run({ c = certificate }, "openssl verify -CAfile c c"))
    end
  end)

  it("uses a key that one has", function()
    local _, key = self_signed({ key = "ed25519" })
    local certificate, same = self_signed({ key = key })
    assert.equal(key, same)
    assert.equal("ed25519", parse(certificate).key_type)
  end)

  it("makes chains that OpenSSL and GnuTLS accept", function()
    local root, root_key = self_signed({ ca = true, subject = "O=Example, CN=Root", key = "rsa" })
    local middle, middle_key = self_signed({ ca = true, subject = "CN=Middle",
      issuer_cert = root, issuer_key = root_key })
    local leaf = self_signed({ host = "foo.example.com", issuer_cert = middle,
      issuer_key = middle_key, usage = "server" })
    assert.equal("O=Example, CN=Root", parse(middle).issuer)
    assert.is_true(parse(middle).ca)
    local files = { root = root, middle = middle, leaf = leaf, chain = leaf .. middle }
    assert.equal("leaf: OK\n", run(files, "openssl verify -x509_strict -CAfile root "
      .. "-untrusted middle -purpose sslserver -verify_hostname foo.example.com leaf"))
    assert.matches("purpose", run(files, "openssl verify -CAfile root -untrusted middle -purpose sslclient leaf"))
    assert.matches("The certificate is trusted", run(files,
      "certtool --verify --load-ca-certificate root --infile chain"))
  end)

  it("signs with files too", function()
    local folder = shell.folder()
    local function save(name, data)
      local file = assert(io.open(folder .. "/" .. name, "w"))
      file:write(data)
      file:close()
      return folder .. "/" .. name
    end
    local root, key = self_signed({ ca = true })
    local leaf = self_signed({ host = "a", issuer_cert = save("cert", root),
      issuer_key = save("key", key) })
    assert.equal("CN=weir test CA", parse(leaf).issuer)
    shell.remove(folder)
  end)

  it("is valid when one says", function()
    local info = parse(self_signed({ not_before = 86400, not_after = 172800 }))
    assert.same({ 86400, 172800 }, { info.not_before, info.not_after })
    info = parse(self_signed({ not_before = 3000000000, days = 2 }))
    assert.equal(3000000000 + 172800, info.not_after)
    info = parse(self_signed({ not_after = 1000000000, days = 1 }))
    assert.equal(1000000000 - 86400, info.not_before)
    local expired = self_signed({ not_after = weir.time() - 60 })
    assert.matches("certificate has expired", run({ c = expired }, "openssl verify -CAfile c c"))
  end)

  it("takes a subject as text or as a table", function()
    for _, subject in ipairs({
      { "foo", "CN=foo" },
      { "O=Example, CN=foo", "O=Example, CN=foo" },
      { "/O=Example/CN=foo", "O=Example, CN=foo" },
      { "O=Ex\\, Inc,CN=foo", 'O="Ex, Inc", CN=foo' },
      { 'O="Ex, Inc", CN=foo', 'O="Ex, Inc", CN=foo' },
      { { CN = "foo", O = "Example", C = "DE" }, "C=DE, O=Example, CN=foo" },
      { { CN = "foo", OU = { "a", "b" } }, "OU=a, OU=b, CN=foo" },
      { "CN=müller", "CN=müller" },
    }) do
      assert.equal(subject[2], parse(self_signed({ subject = subject[1] })).subject)
    end
  end)

  it("may be used for what one says", function()
    local root, key = self_signed({ ca = true })
    local responder = self_signed({ host = "ocsp", usage = { "ocsp", "client" },
      issuer_cert = root, issuer_key = key })
    local text = run({ c = responder }, "openssl x509 -in c -noout -text")
    assert.matches("OCSP Signing, TLS Web Client Authentication", text, 1, true)
    assert.matches("OCSP No Check", text, 1, true)
  end)

  it("raises for what cannot be", function()
    local ca = self_signed({ ca = true })
    for _, case in ipairs({
      { { nme = "x" }, "unknown option 'nme' (known: bits, ca, " },
      { { key = "dsa" }, 'key: "rsa", "ec", "ed25519" or a PEM expected' },
      { { names = { 1 } }, "bad option 'names' (strings expected, got a number in it)" },
      { { names = "a b" }, "a name without spaces, in ASCII, expected" },
      { { names = "" }, "a name without spaces, in ASCII, expected" },
      { { names = "a\0b" }, "a name without spaces, in ASCII, expected" },
      { { curve = "P-1" }, "curve: not a curve that OpenSSL knows" },
      { { bits = 1 }, "bad option 'bits' (512 to 16384 expected, got 1)" },
      { { ca = 1 }, "bad option 'ca' (boolean expected, got number)" },
      { { not_before = 5, not_after = 5 }, "a time after not_before expected" },
      { { days = 1e12 }, "years 1 to 9999" },
      { { issuer_cert = ca }, "issuer_cert and issuer_key belong together" },
      { { usage = "x" }, 'usage: "server", "client", "ocsp"' },
      { { subject = { XX = "y" } }, "subject XX: unknown object name" },
      { { subject = "O=x, foo" }, '("O=Example, CN=foo" expected, got "O=x, foo")' },
      { { subject = ("x"):rep(65) }, "subject CN: string too long" },
    }) do
      local good, message = pcall(function() self_signed(case[1]) end)
      assert.is_false(good)
      assert.matches("^spec/tls_certificate_spec.lua:%d+: self_signed: ", message)
      assert.matches(case[2], message, 1, true)
    end
    assert.has_error(function() self_signed("localhost") end,
      "self_signed: a table of options expected, got string")
  end)

  it("returns what files and PEMs have against it", function()
    local ca, ca_key = self_signed({ ca = true })
    local _, other = self_signed()
    local function result(...)
      local certificate, message, code = self_signed(...)
      assert.is_nil(certificate)
      return message .. " " .. code
    end
    assert.equal("self_signed: /nonexistent: No such file or directory ENOENT",
      result({ issuer_cert = "/nonexistent", issuer_key = ca_key }))
    assert.equal("self_signed: /tmp: Is a directory EISDIR",
      result({ issuer_cert = ca, issuer_key = "/tmp" }))
    assert.equal("self_signed: PEM text: key values mismatch ETLS",
      result({ issuer_cert = ca, issuer_key = other }))
    assert.equal("self_signed: PEM text: no certificate in it (no start line) ETLS",
      result({ issuer_cert = ca_key, issuer_key = ca_key }))
    assert.matches("^self_signed: PEM text: .* ETLS$",
      result({ issuer_cert = ca, issuer_key = run({ k = ca_key },
        "openssl pkcs8 -topk8 -in k -passout pass:secret") }))
  end)
end)

describe("weir.tls.certificates", function()
  it("says what OpenSSL says", function()
    local certificate = self_signed({ host = "foo", key = "rsa", subject = "O=Example, CN=foo" })
    local info = parse(certificate)
    local text = run({ c = certificate },
      "openssl x509 -in c -noout -serial -sha256 -fingerprint -text; openssl x509 -in c")
    assert.equal(text:match("serial=(%x+)"), info.serial)
    assert.equal(text:match("Fingerprint=([%x:]+)"), info.fingerprint)
    assert.equal("RSA-SHA256", info.signature_algorithm)
    assert.same({ O = "Example", CN = "foo" }, info.subject_fields)
    assert.same(info.subject_fields, info.issuer_fields)
    assert.equal(certificate, info.pem)
    assert.equal(text:match("(%-%-%-%-%-BEGIN.*)$"), info.pem)
    assert.equal(os.date("!%b %e %H:%M:%S %Y GMT", info.not_after),
      text:match("Not After : (.-)\n"))
  end)

  it("reads all of them, from a file or a text", function()
    local a, b = self_signed({ host = "a" }), self_signed({ host = "b" })
    local folder = shell.folder({ ["both.pem"] = "words\n" .. a .. "\nmore words\n" .. b })
    local both = assert(weir.tls.certificates(folder .. "/both.pem"))
    assert.same({ "CN=a", "CN=b" }, { both[1].subject, both[2].subject })
    assert.equal(2, #both)
    assert.same(both, weir.tls.certificates(a .. b))
    shell.remove(folder)
  end)

  it("returns what is wrong with it", function()
    local pem, key = self_signed()
    local function result(source)
      local list, message, code = weir.tls.certificates(source)
      assert.is_nil(list)
      return message .. " " .. code
    end
    assert.equal("/nonexistent: No such file or directory ENOENT", result("/nonexistent"))
    assert.equal("/tmp: Is a directory EISDIR", result("/tmp"))
    assert.equal("PEM text: no certificate in it (no start line) ETLS", result(key))
    assert.equal("PEM text: bad end line ETLS", result(pem:sub(1, 300)))
    assert.equal("PEM text: bad base64 decode ETLS", result((pem:gsub("\n(.)", "\n*%1", 1))))
    assert.equal("a: No such file or directory ENOENT", result("a\0b"))
    expect.raises("string expected, got table", function() weir.tls.certificates({}) end)
  end)
end)
