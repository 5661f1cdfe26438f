-- weir --trace: what another weir writes about its streams, line by line, the
-- times and the ports masked.

local traces = require "spec.support.traces"
local weir_binary = require "spec.support.weir"

local about, mask = traces.about, traces.mask

local PRELUDE = [[
local cert, key = weir.tls.self_signed({ host = "localhost" })
local function serve(options, handler)
  options.timeout = 10
  return assert(weir.listen("127.0.0.1:0", options, handler))
end
local function connect(listener, options)
  options = options or {}
  options.timeout = 10
  return assert(weir.connect(listener:address(), options))
end
]]

-- Runs weir with `options`, a list, and the code; what it wrote to standard
-- error.
local function trace_of(code, options)
  local run = { "--trace" }
  for _, option in ipairs(options or {}) do run[#run + 1] = option end
  run[#run + 1], run[#run + 2] = "-e", PRELUDE .. code
  local _, err, status = weir_binary.run(run)
  assert.equal(0, status, err)
  return err
end

describe("the trace of", function()
  it("a TCP connection is of both its ends", function()
    local trace = trace_of([[
      local listener = serve({}, function(stream)
        stream:read_until("\r\n\r\n")
        stream:write("HTTP/1.0 200 OK\r\n\r\nhello\n")
        stream:shutdown()
        stream:read_until_close()
        stream:close()
      end)
      local stream = connect(listener)
      stream:write({ "GET / HTTP/1.0\r\n", "\r\n" })
      stream:read_until_close()
      stream:close()
      listener:close()
    ]])
    assert.same({
      "* listening on 127.0.0.1:PORT",
      "* no longer listening on 127.0.0.1:PORT",
    }, about("-", trace))
    assert.same({
      "* connecting to 127.0.0.1:PORT",
      "* connected 127.0.0.1:PORT -> 127.0.0.1:PORT",
      [[> 18 "GET / HTTP/1.0\r\n\r\n"]],
      [[< 25 "HTTP/1.0 200 OK\r\n\r\nhello\n"]],
      "< end (FIN)",
      "> end (FIN)",
      "* closed",
    }, about("#1", trace))
    assert.same({
      "* accepted 127.0.0.1:PORT <- 127.0.0.1:PORT",
      [[< 18 "GET / HTTP/1.0\r\n\r\n"]],
      [[> 25 "HTTP/1.0 200 OK\r\n\r\nhello\n"]],
      "> end (FIN)",
      "< end (FIN)",
      "* closed",
    }, about("#2", trace))
  end)

  it("has the addresses, and times that grow", function()
    local trace = trace_of([[
      local listener = serve({}, function(stream) stream:close() end)
      local stream = connect(listener)
      weir.stderr:write(("%s %s\n"):format(stream:local_address(), stream:peer_address()))
      weir.stderr:flush()
      stream:read_until_close()
      stream:close()
      listener:close()
    ]])
    local mine, its = trace:match("\n(127%.0%.0%.1:%d+) (127%.0%.0%.1:%d+)\n")
    assert.truthy(trace:find(("#1   * connecting to %s\n"):format(its), 1, true))
    assert.truthy(trace:find(("#1   * connected %s -> %s\n"):format(mine, its), 1, true))
    assert.truthy(trace:find(("#2   * accepted %s <- %s\n"):format(its, mine), 1, true))
    local last = 0
    for time in trace:gmatch("%f[^\n%z] *(%d+%.%d+) #") do
      assert.is_true(tonumber(time) >= last)
      last = tonumber(time)
    end
    assert.is_true(last > 0 and last < 60)
  end)

  it("TLS has the bytes in the clear", function()
    local trace = trace_of([[
      local listener = serve({ tls = { cert = cert, key = key, alpn = { "x/1" } } },
        function(stream)
          stream:write(stream:read_until("\n"):upper())
          stream:close()
        end)
      local tls = weir.tls.context({ ca = cert, server_name = "localhost", alpn = { "x/1" } })
      for _ = 1, 2 do
        local stream = connect(listener, { tls = tls })
        stream:write("secret\n")
        stream:read_until_close()
        stream:close()
      end
      listener:close()
    ]])
    assert.same({
      "* connecting to 127.0.0.1:PORT",
      "* connected 127.0.0.1:PORT -> 127.0.0.1:PORT",
      "* tls handshake begins",
      "* tls handshake done: TLSv1.3, CIPHER, alpn x/1, name localhost, peer verified",
      [[> 7 "secret\n"]],
      [[< 7 "SECRET\n"]],
      "< end (close_notify)",
      "> end (close_notify)",
      "* closed",
    }, about("#1", trace))
    assert.same({
      "* accepted 127.0.0.1:PORT <- 127.0.0.1:PORT",
      "* tls handshake begins",
      "* tls handshake done: TLSv1.3, CIPHER, alpn x/1, name localhost",
      [[< 7 "secret\n"]],
      [[> 7 "SECRET\n"]],
      "> end (close_notify)",
    }, { unpack(about("#2", trace), 1, 6) })
    assert.equal("* tls handshake done: TLSv1.3, CIPHER, alpn x/1, name localhost, " ..
      "resumed, peer verified", about("#3", trace)[4])
  end)

  it("a failed handshake says why, on both sides, and ends without a close_notify", function()
    local trace = trace_of([[
      local listener = serve({ tls = { cert = cert, key = key } }, print)
      weir.connect(listener:address(), { timeout = 10, tls = { server_name = "localhost" } })
      repeat weir.sleep(0) until listener:stats().failed_handshakes == 1
      listener:close()
    ]]):gsub("weir: TLS [^\n]*\n", "")
    local why = "(ETLS: self-signed certificate: CN=localhost is not trusted here)"
    assert.same({
      "* connecting to 127.0.0.1:PORT",
      "* connected 127.0.0.1:PORT -> 127.0.0.1:PORT",
      "* tls handshake begins",
      "* tls handshake failed " .. why,
      "< end (FIN)",
      "* closed " .. why,
    }, about("#1", trace))
    why = "(ETLS: TLS: tlsv1 alert unknown ca (the peer does not trust this side's certificate))"
    assert.same({
      "* accepted 127.0.0.1:PORT <- 127.0.0.1:PORT",
      "* tls handshake begins",
      "* tls handshake failed " .. why,
      "< end (FIN)",
      "* closed " .. why,
    }, about("#2", trace))
  end)

  it("start_tls is plain, then encrypted", function()
    local trace = trace_of([[
      local listener = serve({}, function(stream)
        stream:read_until("\n")
        stream:write("go\n")
        stream:start_tls({ server = true, cert = cert, key = key })
        stream:read_until_close()
      end)
      local stream = connect(listener)
      stream:write("STARTTLS\n")
      stream:read_until("\n")
      stream:start_tls({ ca = cert, server_name = "localhost", max_version = "1.2" })
      stream:write("x")
      stream:close()
      listener:close()
    ]])
    assert.same({
      [[> 9 "STARTTLS\n"]],
      [[< 3 "go\n"]],
      "* tls handshake begins",
      "* tls handshake done: TLSv1.2, ECDHE-ECDSA-AES256-GCM-SHA384, name localhost, peer verified",
      [[> 1 "x"]],
      "> end (close_notify)",
    }, { unpack(about("#1", trace), 3, 8) })
  end)

  it("unix sockets has their paths", function()
    local trace = trace_of([[
      local path = os.tmpname()
      os.remove(path)
      local listener = weir.listen("unix:" .. path, function(stream)
        stream:write("x")
        stream:close()
      end)
      local stream = weir.connect("unix:" .. path, { timeout = 10 })
      stream:read_until_close()
      stream:close()
      listener:close()
    ]])
    assert.same({ "* listening on unix:PATH", "* no longer listening on unix:PATH" },
      about("-", trace))
    assert.same({
      "* connecting to unix:PATH",
      "* connected unix: -> unix:PATH",
      [[< 1 "x"]],
      "< end",
      "> end",
      "* closed",
    }, about("#1", trace))
    assert.same({ "* accepted unix:PATH <- unix:", [[> 1 "x"]], "> end", "* closed" },
      about("#2", trace))
  end)

  it("pairs, and of descriptors", function()
    local trace = trace_of([[
      local a, b = weir.pair()
      a:write("x")
      a:close()
      b:read_until_close()
      local fd = b:detach()
      local c = weir.stream(fd)
      c:abort()
      weir.stdin:read_until_close()
    ]])
    assert.same({ "* opened fd N (unix)", [[> 1 "x"]], "> end", "* closed" },
      about("#1", trace))
    assert.same({ "* opened fd N (unix)", [[< 1 "x"]], "< end", "* detached fd N" },
      about("#2", trace))
    assert.same({ "* opened fd N (unix)", "* aborted" }, about("#3", trace))
    assert.same({ "* opened fd N (file)", "< end", "* closed" }, about("#4", trace))
  end)

  it("datagrams has whom they are from and to", function()
    local trace = trace_of([[
      local server, client = weir.udp("127.0.0.1:0"), weir.udp("127.0.0.1:0")
      client:send("ping\0", server:local_address())
      local _, from = server:receive({ timeout = 10 })
      client:connect(server:local_address())
      server:send("pong", from)
      client:receive({ timeout = 10, max = 3 })
      server:close()
      client:send("anybody?")
      client:receive({ timeout = 10 })
      client:close()
    ]])
    assert.same({
      "* opened 127.0.0.1:PORT",
      [[< 5 from 127.0.0.1:PORT "ping\x00"]],
      [[> 4 to 127.0.0.1:PORT "pong"]],
      "* closed 127.0.0.1:PORT",
    }, about("udp1", trace))
    assert.same({
      "* opened 127.0.0.1:PORT",
      [[> 5 to 127.0.0.1:PORT "ping\x00"]],
      "* connected 127.0.0.1:PORT -> 127.0.0.1:PORT",
      "< error (EMSGSIZE: Message too long)",
      [[> 8 to 127.0.0.1:PORT "anybody?"]],
      "< error (ECONNREFUSED: Connection refused)",
      "* closed 127.0.0.1:PORT -> 127.0.0.1:PORT",
    }, about("udp2", trace))
  end)

  it("a connect that fails has each address", function()
    local trace = trace_of([[
      weir.connect("127.0.0.1:1", { timeout = 10 })
      weir.connect("localhost:1", { timeout = 10, source = "127.0.0.1" })
    ]])
    local refused = "(ECONNREFUSED: Connection refused)"
    assert.same({
      "* connecting to 127.0.0.1:PORT",
      "* not connected to 127.0.0.1:PORT " .. refused,
      "* closed (ECONNREFUSED: connect 127.0.0.1:PORT: Connection refused)",
    }, about("#1", trace))
    assert.same({
      "* resolving localhost",
      "* connecting to 127.0.0.1:PORT",
      "* not connected to 127.0.0.1:PORT " .. refused,
    }, { unpack(about("#2", trace), 1, 3) })
  end)

  it("a connect that is given up says so", function()
    local trace = trace_of([[
      local path = os.tmpname()
      os.remove(path)
      local listener = weir.listen("unix:" .. path, { backlog = 1 }, print)
      listener:pause()
      local streams, stream = {}, nil
      repeat -- until the backlog is full
        stream = weir.connect("unix:" .. path, { timeout = 0.05 })
        streams[#streams + 1] = stream
      until not stream
      listener:close()
    ]])
    assert.truthy(mask(trace):find("* not connected to unix:PATH (given up)\n", 1, true))
  end)

  it("a file that is sent has what left, with and without TLS", function()
    local code = [[
      local path = os.tmpname()
      local file = io.open(path, "w")
      file:write("0123456789", ("\1"):rep(100000))
      file:close()
      local listener = serve({ tls = TLS and { cert = cert, key = key } }, function(stream)
        stream:write("head\n")
        stream:send_file(path, { offset = 2 })
        stream:close()
        os.remove(path)
      end)
      local stream = connect(listener, { tls = TLS and { verify = false } })
      stream:read_until_close()
      stream:close()
      listener:close()
    ]]
    for _, tls in ipairs({ "nil", "true" }) do
      local sent = 0
      local trace = trace_of(("local TLS = %s\n"):format(tls) .. code, { "--trace-bytes", "12" })
      local lines = about("#2", trace)
      local first = tls == "true" and 4 or 2
      assert.equal([[> 5 "head\n"]], lines[first])
      assert.matches([[^> %d+ "23456789\x01\x01\x01\x01"... %d+ more$]], lines[first + 1])
      for _, line in ipairs(lines) do
        local size, more = line:match([[^> (%d+) "[^"]*"... (%d+) more$]])
        assert.equal(size and size - 12, tonumber(more))
        sent = sent + (size or 0)
      end
      assert.equal(100008, sent)
    end
  end)

  it("copy_to has what came and what left", function()
    local trace = trace_of([[
      local a, b = weir.pair()
      local c, d = weir.pair()
      a:write("one")
      a:shutdown()
      b:copy_to(c)
      d:read_bytes(3)
    ]])
    assert.same({ [[< 3 "one"]], "< end" }, { unpack(about("#2", trace), 2, 3) })
    assert.equal([[> 3 "one"]], about("#3", trace)[2])
    assert.equal([[< 3 "one"]], about("#4", trace)[2])
  end)

  it("a reset is an error in the direction that met it", function()
    local trace = trace_of([[
      local peers = weir.channel()
      local listener = serve({}, function(stream) peers:put(stream) end)
      local reader = connect(listener)
      peers:get():abort()
      reader:read_until_close()
      local writer = connect(listener)
      peers:get():abort()
      writer:write("x")
      writer:flush()
      listener:close()
    ]])
    local reset = "(ECONNRESET: Connection reset by peer)"
    assert.same({ "< error " .. reset, "* closed " .. reset },
      { unpack(about("#1", trace), 3) })
    assert.equal("* aborted", about("#2", trace)[2])
    assert.equal("> error " .. reset, about("#3", trace)[3])
  end)

  it("what comes after close is counted", function()
    local trace = trace_of([[
      local closed = weir.channel()
      local listener = serve({}, function(stream)
        stream:close()
        closed:put(true)
      end)
      local stream = connect(listener)
      closed:get()
      stream:read_until_close()
      stream:write("too late")
      stream:close()
      listener:close()
    ]])
    assert.same({ "> end (FIN)", "< 8 discarded", "< end (FIN)", "* closed" },
      { unpack(about("#2", trace), 2) })
  end)

  it("a connection that cannot be accepted says why", function()
    local pipe = io.popen(("ulimit -n 30; %s --trace -e '%s' 2>&1"):format(weir_binary.binary, [[
      local listener = weir.listen("127.0.0.1:0", function(stream) stream:close() end)
      listener:pause()
      local stream = weir.connect(listener:address(), { timeout = 10 })
      local files = {}
      for i = 1, 30 do files[i] = io.open("/dev/null") end
      listener:resume()
      weir.sleep(0.01)
      for _, file in ipairs(files) do file:close() end
      stream:read_until_close()
      listener:close()
    ]]))
    local trace = mask(pipe:read("*a"))
    pipe:close()
    assert.truthy(trace:find("-    * nobody accepted on 127.0.0.1:PORT (EMFILE: Too many open files)\n",
      1, true), trace)
  end)

  it("any byte is one that Lua reads", function()
    local trace = trace_of([[
      local all = {}
      for byte = 0, 255 do all[#all + 1] = string.char(byte) end
      local a, b = weir.pair()
      a:write(table.concat(all))
      b:read_bytes(256)
    ]])
    local text = about("#1", trace)[2]:match("^> 256 (.*)$")
    local data = assert(loadstring("return " .. text))()
    assert.equal(256, #data)
    for byte = 0, 255 do assert.equal(byte, data:byte(byte + 1)) end
    assert.truthy(text:find([["\x00\x01]], 1, true))
    assert.truthy(text:find([[\x08\t\n\x0b\x0c\r\x0e]], 1, true))
    assert.truthy(text:find([[ !\"#]], 1, true))
    assert.truthy(text:find([=[[\\]]=], 1, true))
    assert.truthy(text:find([[~\x7f\x80]], 1, true))
  end)

  it("long data shows its first 512 bytes", function()
    local trace = trace_of([[
      local a, b = weir.pair()
      a:write(("x"):rep(512))
      b:read_bytes(512)
      a:write({ ("x"):rep(500), ("y"):rep(13) })
      b:read_bytes(513)
    ]])
    local long = ('513 "%s%s"... 1 more'):format(("x"):rep(500), ("y"):rep(12))
    assert.same({ ('> 512 "%s"'):format(("x"):rep(512)), "> " .. long },
      { unpack(about("#1", trace), 2, 3) })
    assert.equal("< " .. long, about("#2", trace)[3])
  end)

  it("words from outside stays one line", function()
    local trace = trace_of([[weir.connect("unix:/no\n\1 \"such\"", { timeout = 10 })]])
    assert.equal([[* connecting to unix:/no\n\x01 "such"]], about("#1", trace)[1])
  end)
end)
