-- TLS: what is set up, and what it comes to. Streams over it: see
-- support/transports.lua.
local certificates = require "spec.support.certificates"
local peers = require "spec.support.tls"

describe("tls", function()
  local listener
  after_each(function()
    if listener then listener:close() end
    listener = nil
  end)

  -- Serves with `tls`; every handler gets a line and answers with it.
  local function serve(tls, options)
    options = options or {}
    options.tls = tls
    listener = assert(weir.listen("127.0.0.1:0", options, function(stream)
      for line in stream:lines() do stream:write(line:upper() .. "\n") end
      stream:close()
    end))
    return listener:address()
  end

  local function echo(stream)
    stream:write("hello\n")
    assert.equal("HELLO\n", stream:read_until("\n", { timeout = 5 }))
  end

  for _, version in ipairs({ "1.2", "1.3" }) do
    describe(version, function()
      local server, client = certificates.both({ min_version = version, max_version = version })

      it("is complete before connect is, and tls_info says what it is", function()
        local stream = assert(weir.connect(serve(server), { tls = client }))
        local info = stream:tls_info()
        assert.equal("TLSv" .. version, info.version)
        assert.is_string(info.cipher)
        assert.is_true(info.verified)
        assert.is_nil(info.verify_error)
        assert.is_false(info.resumed)
        assert.equal("localhost", info.server_name)
        assert.equal(1, #info.peer_certificates)
        echo(stream)
        stream:close()
      end)

      it("resumes the session that the last connection left", function()
        local tls = weir.tls.context(client)
        local address = serve(server)
        for i = 1, 3 do
          local stream = assert(weir.connect(address, { tls = tls }))
          echo(stream)
          assert.equal(i > 1, stream:tls_info().resumed)
          assert.is_true(stream:tls_info().verified)
          stream:close()
        end
      end)

      it("upgrades a stream with start_tls, both sides", function()
        listener = assert(weir.listen("127.0.0.1:0", function(stream)
          assert.equal("STARTTLS\r\n", stream:read_until("\r\n"))
          stream:write("220 go ahead\r\n")
          local tls = { server = true }
          for key, value in pairs(server) do tls[key] = value end
          assert.equal(stream, stream:start_tls(tls))
          stream:write("220 hello " .. stream:read_until("\r\n"))
          stream:close()
        end))
        local stream = assert(weir.connect(listener:address()))
        assert.is_nil(stream:tls_info())
        stream:write("STARTTLS\r\n")
        assert.equal("220 go ahead\r\n", stream:read_until("\r\n"))
        assert.equal(stream, stream:start_tls(client))
        assert.equal("TLSv" .. version, stream:tls_info().version)
        stream:write("EHLO\r\n")
        assert.equal("220 hello EHLO\r\n", stream:read_until_close())
        stream:close()
      end)

      it("tells an end from a connection that was cut", function()
        local ends = { close = "EOF", cut = "ETRUNCATED" }
        for how, code in pairs(ends) do
          local client_end, server_end = peers.pair(server, client)
          if how == "close" then
            server_end:close()
          else
            peers.cut(server_end)
          end
          assert.equal(code, (select(3, client_end:read_bytes(1, { timeout = 5 }))))
          client_end:abort()
          server_end:abort()
        end
      end)
    end)
  end

  describe("verification", function()
    local server, client = certificates.both()

    it("fails the connect with what is wrong, and closes it", function()
      local address = serve(server)
      local stream, message, code = weir.connect(address,
        { tls = { ca = client.ca, server_name = "foo.example.com" } })
      assert.is_nil(stream)
      assert.equal("ETLS", code)
      assert.matches("hostname mismatch: certificate is for localhost", message, 1, true)
      stream, message, code = weir.connect(address, { tls = true })
      assert.is_nil(stream)
      assert.equal("ETLS", code)
      assert.matches("self-signed certificate", message, 1, true)
      assert.matches("connect " .. address, message, 1, true)
    end)

    it("looks at the address where there is no name", function()
      local stream = assert(weir.connect(serve(server), { tls = { ca = client.ca } }))
      echo(stream)
      assert.is_nil(stream:tls_info().server_name)
      stream:close()
    end)

    it("is left out if asked, and tls_info still says", function()
      local stream = assert(weir.connect(serve(server), { tls = { verify = false } }))
      echo(stream)
      assert.is_false(stream:tls_info().verified)
      assert.matches("self-signed", stream:tls_info().verify_error, 1, true)
      stream:close()
    end)
  end)

  it("counts handshakes that fail, and calls no handler for them", function()
    local called = false
    listener = assert(weir.listen("127.0.0.1:0", { tls = certificates.both() },
      function() called = true end))
    local stream = assert(weir.connect(listener:address()))
    stream:close()
    peers.wait(function() return listener:stats().failed_handshakes == 1 end)
    assert.is_false(called)
    assert.equal(0, listener:stats().open)
  end)
end)
