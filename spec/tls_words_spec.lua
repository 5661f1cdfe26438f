-- What a failed handshake means to a person, on either side.

local peers = require("spec.support.tls_peers")
local run = require("spec.support.weir").run

require("spec.support.handshake_reports").hide(setup, teardown)

local LIMIT = 20

local certificates

setup(function() certificates = peers.certificates() end)

-- What a client says of a failure, in the connect or in the first read. The
-- server's options change those of a plain TLS server, the client's those of
-- a client that trusts it.
local function said(server, client)
  local tls = { cert = certificates.ec.cert, key = certificates.ec.key }
  for name, value in pairs(server) do tls[name] = value end
  local listener = assert(weir.listen("127.0.0.1:0", { tls = tls }, function(stream)
    stream:read_until_close({ timeout = LIMIT })
    stream:close()
  end))
  tls = { ca = certificates.root.cert }
  for name, value in pairs(client) do tls[name] = value end
  local stream, message, code =
    weir.connect(listener:address(), { tls = tls, connect_timeout = LIMIT })
  if stream then
    stream, message, code = stream:read_until("\n", { timeout = LIMIT })
  end
  listener:close()
  assert.is_nil(stream)
  assert.equal("ETLS", code)
  return message:match("^%S+ 127%.0%.0%.1:%d+: (.*)$")
end

describe("a client says", function()
  it("that the peer does not speak TLS", function()
    local listener = assert(weir.listen("127.0.0.1:0", function(stream)
      stream:write("220 mail.example.com ESMTP\r\n")
      stream:close()
    end))
    local _, message = weir.connect(listener:address(), { tls = true, connect_timeout = LIMIT })
    listener:close()
    assert.matches("TLS: wrong version number (the peer does not speak TLS)", message, 1, true)
  end)

  it("that nothing is in common", function()
    assert.equal("TLS: tlsv1 alert protocol version (the peer allows no version that is offered)",
      said({ min_version = "1.3" }, { max_version = "1.2" }))
    assert.equal("TLS: sslv3 alert handshake failure (the peer accepts nothing that is offered)",
      said({}, { max_version = "1.2", ciphers = "ECDHE-RSA-AES128-GCM-SHA256" }))
    assert.matches("(the peer has no ALPN protocol that is offered)",
      said({ alpn = { "a" } }, { alpn = { "b" } }), 1, true)
  end)

  it("what the peer has against its certificate", function()
    local asks = { ca = certificates.root.cert, verify = true }
    local function with(pair)
      return said(asks, { cert = pair.cert, key = pair.key })
    end
    local cert, key = weir.tls.self_signed({ subject = "CN=x" })
    assert.matches("(the peer demands a certificate of this side)", with({}), 1, true)
    assert.matches("(the peer does not trust this side's certificate)",
      with({ cert = cert, key = key }), 1, true)
    assert.matches("(this side's certificate has expired)",
      with(certificates.signed({ subject = "CN=x", not_after = weir.time() - 60 })), 1, true)
    assert.matches("(this side's certificate is for another use)",
      with(certificates.signed({ subject = "CN=x", usage = "server" })), 1, true)
  end)
end)

describe("a server reports", function()
  for _, version in ipairs({ "1.2", "1.3" }) do
    it("a client that does not accept its certificate in one line, TLS " .. version, function()
      local out, errors, status = run({ "-e", ([[
        local cert, key = weir.tls.self_signed()
        local listener = weir.listen("127.0.0.1:0", {
          tls = { cert = cert, key = key, max_version = %q } }, error)
        for i, tls in ipairs({ true, { ca = cert, server_name = "foo.example" } }) do
          print(select(3, weir.connect(listener:address(), { connect_timeout = 10, tls = tls })))
          while listener:stats().failed_handshakes < i do weir.sleep(0) end
        end
        listener:close()
      ]]):format(version) })
      assert.same({ "ETLS\nETLS\n", 0 }, { out, status })
      local line = "weir: TLS handshake with PEER: TLS: "
      assert.equal(line .. "tlsv1 alert unknown ca (the peer does not trust this side's certificate)\n"
        .. line .. "sslv3 alert bad certificate (the peer does not accept this side's certificate)\n",
        (errors:gsub("127%.0%.0%.1:%d+", "PEER")))
    end)
  end
end)
