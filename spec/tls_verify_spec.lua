-- What a person reads when a certificate is not accepted (R30).

local peers = require("spec.support.tls_peers")

require("spec.support.handshake_reports").hide(setup, teardown)

local LIMIT = 20

local certificates

-- The words of a connect to a server with this certificate, and its code.
local function failure(pair, change)
  local listener = assert(weir.listen("127.0.0.1:0", { tls = pair }, function(stream)
    stream:read_until_close({ timeout = LIMIT })
    stream:close()
  end))
  local tls = { ca = certificates.root.cert, server_name = "foo.example.com" }
  for name, value in pairs(change or {}) do tls[name] = value end
  local address = listener:address()
  local stream, message, code = weir.connect(address, { tls = tls, connect_timeout = LIMIT })
  listener:close()
  if stream then
    stream:abort()
    return "connected"
  end
  assert.equal("ETLS", code)
  local prefix = "connect " .. address .. ": "
  assert.equal(prefix, message:sub(1, #prefix))
  return message:sub(#prefix + 1)
end

local function date(time) return os.date("!%Y-%m-%d %H:%M:%S UTC", time) end

setup(function() certificates = peers.certificates() end)

for _, version in ipairs({ "1.2", "1.3" }) do
  describe("a failed verification, TLS " .. version, function()
    local only = { min_version = version, max_version = version }

    local function words(options, change)
      options.subject = options.subject or "CN=foo"
      local all = { min_version = version, max_version = version }
      for name, value in pairs(change or {}) do all[name] = value end
      return failure(certificates.signed(options), all)
    end

    it("says whom the certificate is for", function()
      assert.equal("hostname mismatch: certificate is for bar.example.com, www.example.com, "
        .. "not foo.example.com", words({ names = { "bar.example.com", "www.example.com" } }))
      assert.equal("hostname mismatch: certificate is for CN=foo, not foo.example.com", words({}))
      assert.equal("hostname mismatch: certificate is for foo.example.com, not 127.0.0.1",
        words({ host = "foo.example.com" }, { server_name = "127.0.0.1" }))
      assert.equal("hostname mismatch: certificate is for a, b, c, d, e and 2 more, "
        .. "not foo.example.com", words({ names = { "a", "b", "c", "d", "e", "f", "g" } }))
    end)

    it("takes a wildcard for a whole label only", function()
      assert.equal("hostname mismatch: certificate is for f*.example.com, not foo.example.com",
        words({ host = "f*.example.com" }))
    end)

    it("says when it expired, or begins", function()
      local time = math.floor(weir.time())
      assert.equal("certificate has expired: CN=foo was valid until " .. date(time - 60),
        words({ host = "foo.example.com", not_after = time - 60 }))
      assert.equal("certificate is not valid yet: CN=foo is valid from " .. date(time + 600),
        words({ host = "foo.example.com", not_before = time + 600 }))
    end)

    it("says who is not trusted", function()
      local cert, key = weir.tls.self_signed({ host = "foo.example.com" })
      assert.equal("self-signed certificate: CN=foo.example.com is not trusted here",
        failure({ cert = cert, key = key }, only))
      local ca, ca_key = weir.tls.self_signed({ ca = true, subject = "CN=Other" })
      cert, key = weir.tls.self_signed({ host = "foo.example.com", issuer_cert = ca,
        issuer_key = ca_key })
      assert.equal("unknown issuer: CN=Other, which signed CN=foo.example.com, was not sent by the "
        .. "peer and is not trusted here", failure({ cert = cert, key = key }, only))
      assert.equal("self-signed certificate in the chain: CN=Other is not trusted here",
        failure({ cert = cert .. ca, key = key }, only))
    end)

    it("says what the certificate is for instead", function()
      assert.equal("certificate is for another use: CN=foo is for TLS clients only",
        words({ host = "foo.example.com", usage = "client" }))
    end)

    it("takes a name with a percent sign as it is", function()
      local options = { host = "foo.example.com" }
      for _, name in ipairs({ "%", "%lo", "foo.example.com%lo" }) do
        assert.equal("hostname mismatch: certificate is for foo.example.com, not " .. name,
          words(options, { server_name = name }))
      end
      assert.equal("connected", words({ host = "fe80::1" }, { server_name = "fe80::1%lo" }))
    end)

    it("shows no control characters of a stranger's", function()
      assert.equal([[hostname mismatch: certificate is for CN=\1B[2Jevil\0A, not foo.example.com]],
        words({ subject = { CN = "\27[2Jevil\n" } }))
    end)

    it("does not happen when it is not asked for, or told what to trust", function()
      local cert, key = weir.tls.self_signed({ host = "bar.example.com", not_after = 5, not_before = 1 })
      assert.equal("connected", failure({ cert = cert, key = key },
        { verify = false, min_version = version, max_version = version }))
      assert.equal("connected", words({ host = "*.example.com" }))
    end)
  end)
end
