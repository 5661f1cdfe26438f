-- A close_notify before the handshake is done: nobody was verified, so nothing
-- may look as if it had been.

local certificates = require "spec.support.certificates"
local peers = require "spec.support.tls"
local run = require "spec.support.weir"

local GOODBYE = "\21\3\3\0\2\1\0"
local LIMIT = 10

describe("a close_notify during the handshake", function()
  for _, verify in ipairs({ true, false }) do
    it("fails the connect, verify = " .. tostring(verify), function()
      local listener = assert(weir.listen("127.0.0.1:0", function(stream)
        stream:read_some({ timeout = LIMIT })
        stream:write(GOODBYE)
        stream:read_until_close({ timeout = LIMIT })
        stream:close()
      end))
      local stream, message, code = weir.connect(listener:address(), {
        tls = { verify = verify }, connect_timeout = LIMIT })
      listener:close()
      assert.is_nil(stream)
      assert.equal("ETRUNCATED", code)
      assert.matches("closed the connection during the TLS handshake", message, 1, true)
    end)
  end

  for _, version in ipairs({ "1.2", "1.3" }) do
    it("never reaches the handler, TLS " .. version, function()
      local hello = peers.client_hello({ verify = false, max_version = version })
      local handled = 0
      local tls = certificates.both()
      tls.verify, tls.ca = true, certificates.cert
      local listener = assert(weir.listen("127.0.0.1:0", { tls = tls }, function(stream)
        handled = handled + 1
        stream:close()
      end))
      local client = assert(weir.connect(listener:address(), { timeout = LIMIT }))
      client:write(hello)
      assert.is_string(client:read_some())
      client:write(GOODBYE)
      assert.is_string(client:read_until_close() or "")
      client:abort()
      local stats = listener:stats()
      listener:close()
      assert.equal(0, handled)
      assert.equal(1, stats.failed_handshakes)
    end)
  end

  it("is no line on standard error, as the peer only left", function()
    local _, errors, status = run.run({ "-e", [[
      local cert, key = weir.tls.self_signed()
      local tls = { cert = cert, key = key, verify = true, ca = cert }
      local listener = weir.listen("127.0.0.1:0", { tls = tls }, error)
      local plain = weir.listen("127.0.0.1:0", function(stream)
        local peer = weir.connect(listener:address())
        peer:write(stream:read_some())
        stream:close()
        peer:read_some()
        peer:write("\21\3\3\0\2\1\0")
        peer:read_until_close()
        peer:close()
        listener:close()
      end)
      weir.connect(plain:address(), { tls = { verify = false } })
      plain:close()
    ]] })
    assert.equal("", errors)
    assert.equal(0, status)
  end)
end)
