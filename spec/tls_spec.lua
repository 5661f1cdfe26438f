-- TLS: what is set up, and what it comes to. Streams over it: see
-- support/transports.lua.
local ffi = require "ffi"
local certificates = require "spec.support.certificates"
local expect = require "spec.support.expect"
local peers = require "spec.support.tls"
local run = require "spec.support.weir"

ffi.cdef [[
  void ERR_new(void);
  void ERR_set_error(int library, int reason, const char *format, ...);
]]

require("spec.support.handshake_reports").hide(setup, teardown)

local connect, echo = peers.connect, peers.echo

describe("tls", function()
  local listener
  after_each(function()
    if listener then listener:close() end
    listener = nil
  end)

  local function serve(tls, options)
    listener = peers.serve(tls, options)
    return listener:address()
  end

  for _, version in ipairs({ "1.2", "1.3" }) do
    describe(version, function()
      local server, client = certificates.both({ min_version = version, max_version = version })

      it("is complete before connect is, and tls_info says what it is", function()
        local stream = assert(connect(serve(server), { tls = client }))
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
          local stream = assert(connect(address, { tls = tls }))
          echo(stream)
          assert.equal(i > 1, stream:tls_info().resumed)
          assert.is_true(stream:tls_info().verified)
          stream:close()
        end
      end)

      it("tells a server the name that a resuming client asked for", function()
        local tls = weir.tls.context(client)
        listener = assert(weir.listen("127.0.0.1:0", { tls = server }, function(stream)
          local info = stream:tls_info()
          stream:write(("%s %s\n"):format(info.server_name, info.resumed))
          stream:close()
        end))
        for _, resumed in ipairs({ "false", "true" }) do
          local stream = assert(weir.connect(listener:address(), { tls = tls }))
          assert.equal("localhost " .. resumed .. "\n", stream:read_until("\n", { timeout = 5 }))
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
        local stream = assert(connect(listener:address()))
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
      local stream, message, code = connect(address,
        { tls = { ca = client.ca, server_name = "foo.example.com" } })
      assert.is_nil(stream)
      assert.equal("ETLS", code)
      assert.matches("hostname mismatch: certificate is for localhost", message, 1, true)
      stream, message, code = connect(address, { tls = true })
      assert.is_nil(stream)
      assert.equal("ETLS", code)
      assert.matches("self-signed certificate", message, 1, true)
      assert.matches("connect " .. address, message, 1, true)
    end)

    it("looks at the address where there is no name", function()
      local stream = assert(connect(serve(server), { tls = { ca = client.ca } }))
      echo(stream)
      assert.is_nil(stream:tls_info().server_name)
      stream:close()
    end)

    it("is left out if asked, and tls_info still says", function()
      local stream = assert(connect(serve(server), { tls = { verify = false } }))
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
    local stream = assert(connect(listener:address()))
    stream:close()
    expect.soon(function() return listener:stats().failed_handshakes == 1 end)
    assert.is_false(called)
    assert.equal(0, listener:stats().open)
  end)

  describe("an address", function()
    it("may begin with tls://", function()
      local cert, key = weir.tls.self_signed()
      local inner = assert(weir.listen("tls://127.0.0.1:0", { tls = { cert = cert, key = key } },
        function(stream) stream:write(stream:tls_info().version) stream:close() end))
      local stream = assert(connect("tls://" .. inner:address(), { tls = { ca = cert } }))
      assert.equal("TLSv1.3", stream:read_until_close())
      assert.equal("ETLS", (select(3, connect("tls://" .. inner:address()))))
      inner:close()
      assert.has_error(function() weir.listen("tls://127.0.0.1:0", print) end,
        "listen: a TLS server needs a certificate (option 'cert')")
    end)

    it("may be a descriptor, and a stream may have had its options before", function()
      local server, client = certificates.both()
      local address = serve(server)
      local plain = assert(connect(address))
      local stream = assert(connect("fd:" .. plain:detach(), { tls = client }))
      echo(stream)
      stream:close()
      stream = weir.stream({ tls = client })
      assert.equal(stream, stream:connect(address))
      echo(stream)
      stream:close()
      stream = weir.stream((assert(connect(address)):detach()), { tls = client })
      echo(stream)
      assert.equal("TLSv1.3", stream:tls_info().version)
      stream:close()
    end)
  end)

  describe("client certificates", function()
    local cert, key = weir.tls.self_signed({ subject = "CN=client", usage = "client" })
    local function both(verify)
      local server, client = certificates.both()
      server.verify, server.ca = verify, cert
      return server, client
    end

    for _, version in ipairs({ "1.2", "1.3" }) do
      it("may be demanded, over TLS " .. version, function()
        local server, client = both(true)
        client.max_version = version
        local stream, message, code = connect(serve(server), { tls = client })
        -- TLS 1.3's client is done before the server looks.
        if stream then _, message, code = stream:read_bytes(1, { timeout = 5 }) end
        assert.equal("ETLS", code)
        assert.matches(version == "1.3" and "certificate required" or "handshake failure", message, 1, true)
        client.cert, client.key = cert, key
        local a, b = peers.pair(server, client)
        assert.is_true(b:tls_info().verified)
        assert.equal("CN=client", b:tls_info().peer_certificates[1].subject)
        a:abort()
        b:abort()
      end)
    end

    it("may be asked for", function()
      local server, client = both("optional")
      local a, b = peers.pair(server, client)
      assert.is_false(b:tls_info().verified)
      assert.same({}, b:tls_info().peer_certificates)
      a:abort()
      b:abort()
      client.cert, client.key = weir.tls.self_signed({ subject = "CN=stranger" })
      local stream, _, code = connect(serve(server), { tls = client })
      if stream then code = select(3, stream:read_bytes(1, { timeout = 5 })) end
      assert.equal("ETLS", code)
    end)
  end)

  describe("a handshake", function()
    it("that never comes is dropped in time", function()
      serve(certificates.both(), { handshake_timeout = 0.02 })
      local silent = assert(connect(listener:address()))
      assert.equal("EOF", (select(3, silent:read_bytes(1, { timeout = 5 }))))
      silent:close()
      expect.soon(function() return listener:stats().failed_handshakes == 1 end)
    end)

    it("counts in connect_timeout, and ends the stream", function()
      local mute = weir.listen("127.0.0.1:0", function(stream) stream:read_until_close() end)
      local stream = weir.stream()
      local _, message, code = stream:connect(mute:address(),
        { tls = { verify = false }, connect_timeout = 0.02 })
      assert.equal("ETIMEDOUT", code)
      assert.matches("connect " .. mute:address(), message, 1, true)
      assert.is_true(stream:closed())
      stream = weir.stream()
      local result
      local task = weir.spawn(function()
        result = { stream:connect(mute:address(), { tls = { verify = false } }) }
      end)
      expect.soon(function() return tostring(stream):find("handshaking") end)
      task:cancel()
      task:join()
      assert.equal("ECANCELED", result[3])
      assert.is_true(stream:closed())
      mute:close()
    end)

    it("waits without using the processor, whatever is queued", function()
      local mute = weir.listen("127.0.0.1:0", function(stream) stream:read_until_close() end)
      local stream = weir.stream()
      stream:connect(mute:address(), { tls = { verify = false } }, function() end)
      stream:write(("x"):rep(1000000), function() end)
      expect.soon(function() return tostring(stream):find("handshaking") end)
      local before = os.clock()
      weir.sleep(0.2)
      assert.is_true(os.clock() - before < 0.05)
      stream:abort()
      mute:close()
    end)

    it("sends what was queued meanwhile, after its own result", function()
      local server, client = certificates.both()
      local order, done = {}, weir.channel(1)
      local stream = weir.stream()
      stream:connect(serve(server), { tls = client }, function() order[#order + 1] = "connected" end)
      stream:write("early\n", function() order[#order + 1] = "written" end)
      stream:read_until("\n", function(line) done:put(line) end)
      assert.equal("EARLY\n", done:get({ timeout = 5 }))
      assert.same({ "connected", "written" }, order)
      stream:close()
    end)

    it("still gets a handler when the listener closes meanwhile", function()
      local server, client = certificates.both()
      local shaking
      server.on_sni = function()
        shaking = listener:stats().handshaking
        listener:close()
      end
      local stream = assert(connect(serve(server), { tls = client }))
      assert.equal(1, shaking)
      echo(stream)
      stream:close()
    end)

    it("that nobody has begun does not keep a host that is to end", function()
      local cert, key = weir.tls.self_signed()
      local other = assert(weir.process({ run.binary, "-e", ([[
        local listener = weir.listen("127.0.0.1:0", { tls = { cert = %q, key = %q } }, print)
        weir.stdout:write(listener:address() .. "\n")
      ]]):format(cert, key) }))
      local address = other.stdout:read_until("\n", { inclusive = false, timeout = 5 })
      local silent = assert(connect(address))
      other:kill("TERM")
      assert.same({ "exit", 0 }, { other:wait({ timeout = 5 }) })
      silent:abort()
    end)

    it("storm does not keep others waiting", function()
      local server, client = certificates.both()
      client = weir.tls.context(client)
      local address = serve(server)
      local steady = assert(connect(address, { tls = client }))
      local tasks = {}
      for i = 1, 60 do
        tasks[i] = weir.spawn(function()
          local stream = assert(connect(address, { tls = client, timeout = 20 }))
          echo(stream)
          stream:close()
          return true
        end)
      end
      for _ = 1, 20 do echo(steady) end
      assert.same(60, #weir.all(tasks))
      assert.equal(0, listener:stats().failed_handshakes)
      steady:close()
    end)
  end)

  it("errors of one stream do not show up on another", function()
    local server, client = certificates.both()
    local a, b = peers.pair(server, client)
    for _ = 1, 3 do
      local bad = assert(connect(serve(server)))
      bad:write("GET / HTTP/1.0\r\n\r\n")
      bad:read_until_close({ timeout = 5 })
      listener:close()
      a:write("fine\n")
      assert.equal("fine\n", b:read_until("\n", { timeout = 5 }))
    end
    a:abort()
    b:abort()
  end)

  it("errors that others have left in OpenSSL do not show up on a stream", function()
    local crypto = ffi.load("libcrypto.so.3")
    local function leave_error()
      crypto.ERR_new()
      crypto.ERR_set_error(13, 1, nil)
    end
    local a, b = peers.pair(certificates.both())
    peers.inject(a, "\23\3\3") -- a record begins
    leave_error()
    assert.equal("ETIMEDOUT", (select(3, b:read_bytes(1, { timeout = 0.01 }))))
    a:abort()
    b:abort()
    a, b = peers.pair(certificates.both())
    assert(a:shutdown())
    leave_error()
    assert.equal("EOF", (select(3, b:read_bytes(1, { timeout = 5 }))))
    a:abort()
    b:abort()
  end)

  it("damaged records are told, and nothing after them is believed", function()
    local server, client = certificates.both()
    local a, b = peers.pair(server, client)
    a:write("good")
    assert.equal("good", b:read_bytes(4))
    a:flush()
    peers.inject(a, "\23\3\3\0\50" .. ("x"):rep(50))
    local _, message, code = b:read_bytes(1, { timeout = 5 })
    assert.equal("ETLS", code)
    assert.matches("bad record mac", message, 1, true)
    assert.equal("ETLS", (select(3, b:read_some())))
    -- The other side got the alert.
    assert.equal("ETLS", (select(3, a:read_bytes(1, { timeout = 5 }))))
    a:abort()
    b:abort()
  end)

  it("says goodbye when the host ends with streams open", function()
    local server, client = certificates.both()
    local got = weir.channel(1)
    listener = assert(weir.listen("127.0.0.1:0", { tls = server }, function(stream)
      got:put({ stream:read_until_close({ timeout = 5 }) })
      stream:close()
    end))
    local other = assert(weir.process({ run.binary, "-e", ([[
      local stream = assert(weir.connect(%q, { tls = { ca = %q, server_name = "localhost" } }))
      stream:write("last words")
    ]]):format(listener:address(), client.ca) }))
    assert.equal("last words", got:get({ timeout = 10 })[1])
    assert.equal("exit", (other:wait()))
  end)
end)
