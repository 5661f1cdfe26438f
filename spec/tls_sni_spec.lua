-- on_sni: a context for each name that clients ask for. What is said when there
-- is none: tls_sni_words_spec.
local certificates = require "spec.support.certificates"
local expect = require "spec.support.expect"
local peers = require "spec.support.tls"

require("spec.support.handshake_reports").hide(setup, teardown)

local connect, echo = peers.connect, peers.echo

describe("on_sni", function()
  local listener
  after_each(function()
    if listener then listener:close() end
    listener = nil
  end)

  local function serve(tls, options)
    listener = peers.serve(tls, options)
    return listener:address()
  end

  local contexts = {}
  for _, name in ipairs({ "one.example", "two.example" }) do
    local cert, key = weir.tls.self_signed({ host = name })
    contexts[name] = weir.tls.context({ cert = cert, key = key })
  end

  local function subject(address, name)
    local stream, message, code = connect(address,
      { tls = { server_name = name, verify = false }, timeout = 5 })
    if not stream then return nil, message, code end
    echo(stream)
    local certificate = stream:tls_info().peer_certificates[1]
    stream:close()
    return certificate.subject
  end

  it("chooses by the name that the client asks for, and may wait", function()
    local tls = certificates.both()
    local asked = {}
    tls.on_sni = function(name)
      weir.sleep(0.001)
      asked[#asked + 1] = name
      return contexts[name]
    end
    local address = serve(tls)
    assert.equal("CN=one.example", subject(address, "one.example"))
    assert.equal("CN=two.example", subject(address, "two.example"))
    assert.equal("CN=localhost", subject(address, "three.example"))
    assert.same({ "one.example", "two.example", "three.example" }, asked)
    -- No name: nobody is asked.
    assert.equal("CN=localhost", subject(address, "127.0.0.1"))
    assert.equal(3, #asked)
  end)

  it("asks each name for what its context demands", function()
    local cert, key = weir.tls.self_signed({ host = "strict.example" })
    local strict = weir.tls.context({ cert = cert, key = key, verify = true, ca = cert,
      alpn = { "strict" }, max_version = "1.2" })
    local tls = certificates.both()
    tls.on_sni = function() return strict end
    local address = serve(tls)
    local stream, message, code = connect(address,
      { tls = { ca = cert, server_name = "strict.example" } })
    assert.is_nil(stream)
    assert.equal("ETLS", code)
    assert.matches("handshake failure", message, 1, true)
    stream = assert(connect(address, { tls = { ca = cert, cert = cert, key = key,
      server_name = "strict.example", alpn = { "strict" } } }))
    echo(stream)
    assert.equal("strict", stream:tls_info().alpn)
    assert.equal("TLSv1.2", stream:tls_info().version)
    stream:close()
  end)

  for _, version in ipairs({ "1.2", "1.3" }) do
    it("does not let a session in where more is demanded, over TLS " .. version, function()
      local cert, key = weir.tls.self_signed({ host = "strict.example" })
      local strict = weir.tls.context({ cert = cert, key = key, verify = true, ca = cert })
      local tls = certificates.both({ max_version = version })
      tls.on_sni = function(name) return name == "strict.example" and strict end
      local address = serve(tls)
      local stream = assert(connect(address, { tls = { verify = false, server_name = "lax.example" } }))
      echo(stream)
      local session = stream:tls_info().session
      stream:close()
      local message, code
      stream, message, code = connect(address,
        { tls = { verify = false, server_name = "strict.example", session = session } })
      -- TLS 1.3's client is done before the server looks.
      if stream then _, message, code = stream:read_bytes(1) end
      assert.equal("ETLS", code, message)
    end)
  end

  it("refuses the client when it raises, and is bounded in time", function()
    local tls = certificates.both()
    local caught
    tls.on_sni = function(name)
      if name == "slow.example" then weir.sleep(60) end
      error("no such name")
    end
    local address
    weir.guard(function(err) caught = err end, function()
      address = serve(tls, { handshake_timeout = 0.25 })
    end)
    local _, message, code = subject(address, "one.example")
    assert.equal("ETLS", code)
    assert.matches("unrecognized name", message, 1, true)
    assert.matches("no such name", caught, 1, true)
    _, _, code = subject(address, "slow.example")
    assert.equal("ETRUNCATED", code)
    expect.soon(function() return listener:stats().failed_handshakes == 2 end)
  end)
end)
