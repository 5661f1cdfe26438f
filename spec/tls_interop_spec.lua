-- TLS with peers of other makes, in both roles, versions and kinds of key.

local ports = require("spec.support.ports")
local support = require("spec.support.tls_peers")

require("spec.support.handshake_reports").hide(setup, teardown)

local contains, with_peer = support.contains, support.with
local LIMIT = 20

local certificates, folder

-- The path of one of the files that support.folder makes.
local function path(name) return folder .. "/" .. name end

-- Both versions with both kinds of key.
local function each_kind(declare)
  for _, version in ipairs({ "1.2", "1.3" }) do
    for _, key in ipairs({ "rsa", "ec" }) do
      declare(version, key, ("over TLS %s, %s"):format(version, key:upper()))
    end
  end
end

-- What openssl's commands call a version, and gnutls'.
local function openssl_flag(version) return "-tls" .. version:gsub("%.", "_") end
local function gnutls_priority(version)
  return "NORMAL:-VERS-ALL:+VERS-TLS" .. version
end

-- A server that answers one line and ends; f(port, seen) uses it, and `seen`
-- has the tls_info of each connection.
local function with_server(tls, f, answer)
  local seen = {}
  local listener = assert(weir.listen("127.0.0.1:0", { tls = tls, timeout = LIMIT },
    function(stream)
      seen[#seen + 1] = stream:tls_info()
      local line = stream:read_until("\n")
      if line then stream:write(answer and answer(line) or line:upper()) end
      stream:close()
    end))
  local good, message = pcall(f, listener:address():match(":(%d+)$"), seen)
  listener:close()
  if not good then error(message, 0) end
end

-- Sends a line and returns what comes back, after a full close.
local function say(stream, line)
  stream:write(line .. "\n")
  local got = assert(stream:read_until("\n", { timeout = LIMIT, inclusive = false }))
  stream:close()
  return got
end

local function connect(address, tls)
  return assert(weir.connect(address, { tls = tls, connect_timeout = LIMIT }))
end

setup(function()
  certificates = support.certificates()
  folder = support.folder()
end)

teardown(function() support.remove(folder) end)

describe("openssl s_client", function()
  local function s_client(port, input, ...)
    return support.run({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port,
      "-CAfile", path("root.pem"), "-verify_return_error", "-servername", "foo.example.com",
      "-verify_hostname", "foo.example.com", ... }, input, true)
  end

  each_kind(function(version, key, words)
    it("talks to weir " .. words, function()
      local pair = certificates[key]
      with_server({ cert = pair.cert, key = pair.key, alpn = { "weir", "other" } },
        function(port, seen)
          local output = s_client(port, "hello\n", openssl_flag(version), "-alpn", "other,weir")
          contains("Verification: OK", output)
          contains("New, TLSv" .. version, output)
          contains("ALPN protocol: weir", output)
          contains("HELLO\n", output)
          contains("closed", output)
          assert.same({ "TLSv" .. version, "weir", "foo.example.com" },
            { seen[1].version, seen[1].alpn, seen[1].server_name })
        end)
    end)
  end)

  for _, version in ipairs({ "1.2", "1.3" }) do
    it("resumes a session with weir over TLS " .. version, function()
      local pair = certificates.ec
      with_server({ cert = pair.cert, key = pair.key }, function(port, seen)
        local flag, file = openssl_flag(version), path("session" .. version)
        contains("New, TLSv" .. version, s_client(port, "a\n", flag, "-sess_out", file))
        contains("Reused, TLSv" .. version, s_client(port, "b\n", flag, "-sess_in", file))
        assert.same({ false, true }, { seen[1].resumed, seen[2].resumed })
      end)
    end)

    it("shows its certificate to weir over TLS " .. version, function()
      local pair = certificates.ec
      with_server({ cert = pair.cert, key = pair.key, ca = certificates.root.cert, verify = true },
        function(port, seen)
          local output = s_client(port, "hello\n", openssl_flag(version),
            "-cert", path("client.pem"), "-key", path("client.key"))
          contains("HELLO\n", output)
          assert.equal("CN=a client", seen[1].peer_certificates[1].subject)
          assert.is_true(seen[1].verified)
          local _, status = s_client(port, "hello\n", openssl_flag(version))
          assert.not_equal(0, status)
          assert.equal(1, #seen)
        end)
    end)

    it("may keep its certificate to itself over TLS " .. version, function()
      local pair = certificates.ec
      with_server({ cert = pair.cert, key = pair.key, ca = certificates.root.cert,
        verify = "optional" }, function(port, seen)
        local flag = openssl_flag(version)
        contains("HELLO\n", s_client(port, "hello\n", flag))
        contains("HELLO\n", s_client(port, "hello\n", flag, "-cert", path("client.pem"),
          "-key", path("client.key")))
        assert.equal(0, #(seen[1].peer_certificates or {}))
        assert.is_false(seen[1].verified)
        assert.is_true(seen[2].verified)
      end)
    end)
  end

  -- Its commands work only at the beginning of what one read brings.
  local function conversation(port, flag)
    local process = assert(weir.process({ "openssl", "s_client", flag, "-connect",
      "127.0.0.1:" .. port, "-CAfile", path("root.pem") }, { stderr = "stdout" }))
    local function expect(words)
      return assert(process.stdout:read_until(words, { timeout = LIMIT }))
    end
    return process, expect
  end

  it("updates its keys, and weir's", function()
    local pair = certificates.ec
    local listener = assert(weir.listen("127.0.0.1:0", { tls = pair, timeout = LIMIT },
      function(stream)
        for line in stream:lines() do stream:write(line:upper() .. "\n") end
        stream:close()
      end))
    local process, expect = conversation(listener:address():match("%d+$"), "-tls1_3")
    process.stdin:write("hello\n")
    expect("HELLO\n")
    for _, command in ipairs({ "K\n", "k\n", "K\n" }) do
      process.stdin:write(command)
      expect("KEYUPDATE\n")
      process.stdin:write("hello\n")
      expect("HELLO\n")
    end
    process.stdin:close()
    process.stdout:read_until_close({ timeout = LIMIT })
    process:wait({ timeout = LIMIT })
    listener:close()
  end)

  it("updates its keys, and weir's, while much goes both ways", function()
    local data = {}
    for i = 1, 200000 do data[i] = ("line %d of many\n"):format(i) end
    data = table.concat(data)
    local pair, heard = certificates.ec, weir.channel(1)
    local listener = assert(weir.listen("127.0.0.1:0", { tls = pair, timeout = LIMIT },
      function(stream)
        local sending = weir.spawn(function() return stream:write(data) end)
        for line in stream:lines() do heard:put(line) end
        sending:join()
        stream:close()
      end))
    local process = assert(weir.process({ "openssl", "s_client", "-quiet", "-no_ign_eof", "-connect",
      (listener:address()) }))
    local first = assert(process.stdout:read_bytes(100000, { timeout = LIMIT }))
    local typing = weir.spawn(function()
      for i = 1, 20 do
        process.stdin:write(i % 3 == 0 and "k\n" or "K\n")
        -- What the same read of its brings would be lost with the command.
        assert(process.stderr:read_until("KEYUPDATE\n", { timeout = LIMIT }))
        process.stdin:write("typed " .. i .. "\n")
        assert.equal("typed " .. i, heard:get({ timeout = LIMIT }))
      end
      return true
    end)
    local rest = assert(process.stdout:read_bytes(#data - #first, { timeout = LIMIT }))
    assert.is_true(first .. rest == data)
    assert.is_true(typing:join())
    process:kill()
    process:wait({ timeout = LIMIT })
    process.stdin:close()
    process.stdout:close()
    process.stderr:close()
    listener:close()
  end)

  it("may not renegotiate", function()
    local pair = certificates.ec
    local lines, codes = {}, {}
    local listener = assert(weir.listen("127.0.0.1:0", { tls = pair, timeout = LIMIT },
      function(stream)
        for _ = 1, 2 do
          local line, _, code = stream:read_until("\n")
          lines[#lines + 1], codes[#codes + 1] = line, code
          if line then stream:write(line:upper()) end
        end
        stream:close()
      end))
    local process, expect = conversation(listener:address():match("%d+$"), "-tls1_2")
    process.stdin:write("hello\n")
    expect("HELLO\n")
    process.stdin:write("R\n")
    expect("RENEGOTIATING\n")
    contains("no renegotiation", process.stdout:read_until_close({ timeout = LIMIT }))
    process:wait({ timeout = LIMIT })
    process.stdin:close()
    listener:close()
    assert.same({ "hello\n" }, lines)
    assert.equal(1, #codes)
  end)
end)

describe("gnutls-cli", function()
  each_kind(function(version, key, words)
    it("talks to weir " .. words, function()
      local pair = certificates[key]
      with_server({ cert = pair.cert, key = pair.key, alpn = { "weir" } }, function(port, seen)
        local output = support.run({ "gnutls-cli", "--port", port, "--x509cafile", path("root.pem"),
          "--priority", gnutls_priority(version), "--alpn", "weir", "localhost" }, "hello\n", true)
        contains("The certificate is trusted", output)
        contains("(TLS" .. version .. "-X.509)", output)
        contains("HELLO\n", output)
        contains("Peer has closed the GnuTLS connection", output)
        assert.same({ "TLSv" .. version, "weir", "localhost" },
          { seen[1].version, seen[1].alpn, seen[1].server_name })
      end)
    end)
  end)
end)

describe("curl", function()
  each_kind(function(version, key, words)
    it("gets a page from weir " .. words, function()
      local pair = certificates[key]
      with_server({ cert = pair.cert, key = pair.key, ca = certificates.root.cert, verify = true,
        alpn = { "http/1.1" } }, function(port, seen)
        local output = support.run({ "curl", "-sS", "--cacert", path("root.pem"),
          "--cert", path("client.pem"), "--key", path("client.key"),
          "--tlsv" .. version, "--tls-max", version, "https://localhost:" .. port .. "/" })
        assert.equal("GET / HTTP/1.1\r\n", output)
        assert.equal("http/1.1", seen[1].alpn)
        assert.equal("CN=a client", seen[1].peer_certificates[1].subject)
      end, function(line) return { "HTTP/1.0 200 OK\r\n\r\n", line } end)
    end)
  end)
end)

describe("python's ssl", function()
  local CLIENT = [[
import socket, ssl, sys
port, version, root = sys.argv[1:]
context = ssl.create_default_context(cafile=root)
number = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
context.minimum_version = context.maximum_version = number
context.set_alpn_protocols(["weir"])
session = None
for i in range(2):
    plain = socket.create_connection(("127.0.0.1", port), 20)
    tls = context.wrap_socket(plain, server_hostname="foo.example.com", session=session)
    tls.sendall(b"hello\n")
    line = b""
    while not line.endswith(b"\n"):
        line += tls.recv(100)
    session = tls.session
    print(line.decode().strip(), tls.version(), tls.selected_alpn_protocol(), tls.session_reused)
    tls.unwrap().close()
]]
  local SERVER = [[
import socket, ssl, sys
port, version, folder, key = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder + "/root.pem")
context.load_cert_chain(folder + "/" + key + ".pem", folder + "/" + key + ".key")
context.verify_mode = ssl.CERT_REQUIRED
number = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
context.minimum_version = context.maximum_version = number
context.set_alpn_protocols(["weir"])
listener = socket.create_server(("127.0.0.1", int(port)))
while True:
    plain, _ = listener.accept()
    try:
        tls = context.wrap_socket(plain, server_side=True)
        line = tls.recv(100).decode().strip()
        name = dict(x[0] for x in tls.getpeercert()["subject"])["commonName"]
        words = (line.upper(), tls.version(), tls.selected_alpn_protocol(), name, tls.session_reused)
        tls.sendall((" ".join(map(str, words)) + "\n").encode())
        tls.unwrap().close()
    except OSError:
        plain.close()
]]

  each_kind(function(version, key, words)
    it("talks to weir, and resumes, " .. words, function()
      local pair = certificates[key]
      with_server({ cert = pair.cert, key = pair.key, alpn = { "weir" } }, function(port, seen)
        local output = support.run({ "python3", "-c", CLIENT, port, version, path("root.pem") })
        assert.equal(("HELLO TLSv%s weir False\nHELLO TLSv%s weir True\n")
          :format(version, version), output)
        assert.same({ false, true }, { seen[1].resumed, seen[2].resumed })
      end)
    end)

    it("is talked to by weir, which resumes, " .. words, function()
      with_peer({ "python3", "-c", SERVER, "PORT", version, folder, key }, function(address)
        local context = assert(weir.tls.context({ ca = certificates.root.cert, alpn = { "weir" },
          cert = certificates.client.cert, key = certificates.client.key }))
        for _, resumed in ipairs({ "False", "True" }) do
          local stream = connect(address, context)
          assert.equal(resumed == "True", stream:tls_info().resumed)
          assert.equal(("HELLO TLSv%s weir a client %s"):format(version, resumed),
            say(stream, "hello"))
        end
      end)
    end)
  end)
end)

describe("openssl s_server", function()
  each_kind(function(version, key, words)
    it("is talked to by weir " .. words, function()
      with_peer({ "openssl", "s_server", "-accept", "127.0.0.1:PORT", "-rev", openssl_flag(version),
        "-cert", path(key .. ".pem"), "-key", path(key .. ".key"), "-alpn", "weir",
        "-CAfile", path("root.pem"), "-Verify", "1", "-verify_return_error" }, function(address)
        local stream = connect(address, { ca = path("root.pem"), alpn = { "other", "weir" },
          cert = path("client.pem"), key = path("client.key") })
        local info = stream:tls_info()
        assert.same({ "TLSv" .. version, "weir", true },
          { info.version, info.alpn, info.verified })
        assert.equal(key, info.peer_certificates[1].key_type)
        assert.equal("olleh", say(stream, "hello"))
      end)
    end)
  end)

  it("updates its keys, and weir's", function()
    with_peer({ "openssl", "s_server", "-accept", "127.0.0.1:PORT", "-tls1_3",
      "-cert", path("ec.pem"), "-key", path("ec.key") }, function(address, process)
      local stream = connect(address, { ca = path("root.pem") })
      for i = 1, 3 do
        process.stdin:write(i == 2 and "k\n" or "K\n")
        -- What it says of that it only flushes when something comes in.
        local said
        repeat
          stream:write("to it\n")
          said = assert(process.stdout:read_until("to it\n", { timeout = LIMIT }))
        until said:find("SSL_do_handshake -> 1", 1, true)
        process.stdin:write("from it\n")
        assert.equal("from it\n", stream:read_until("\n", { timeout = LIMIT }))
      end
      stream:close()
    end, { stdout = "pipe" })
  end)
end)

describe("gnutls-serv", function()
  each_kind(function(version, key, words)
    it("is talked to by weir " .. words, function()
      with_peer({ "gnutls-serv", "--port", "PORT", "--echo", "--quiet",
        "--priority", gnutls_priority(version), "--alpn", "weir",
        "--x509certfile", path(key .. ".pem"), "--x509keyfile", path(key .. ".key"),
        "--x509cafile", path("root.pem"), "--require-client-cert", "--verify-client-cert" },
        function(address)
          local stream = connect(address, { ca = path("root.pem"), alpn = { "weir" },
            cert = path("client.pem"), key = path("client.key") })
          local info = stream:tls_info()
          assert.same({ "TLSv" .. version, "weir" }, { info.version, info.alpn })
          assert.equal("hello", say(stream, "hello"))
        end)
    end)
  end)
end)

describe("nginx", function()
  local CONFIGURATION = [[
    daemon off; pid FOLDER/pid; error_log FOLDER/error.log; worker_processes 1;
    events { worker_connections 64; }
    http {
      access_log off; client_body_temp_path FOLDER/t; proxy_temp_path FOLDER/t;
      fastcgi_temp_path FOLDER/t; uwsgi_temp_path FOLDER/t; scgi_temp_path FOLDER/t;
      ssl_certificate FOLDER/KEY.pem; ssl_certificate_key FOLDER/KEY.key;
      ssl_protocols TLSvVERSION; ssl_session_cache shared:a:1m;
      ssl_client_certificate FOLDER/root.pem; ssl_verify_client optional;
      server { listen 127.0.0.1:PORT ssl; server_name localhost; return 200 "first"; }
      server { listen 127.0.0.1:PORT ssl; server_name foo.example.com;
        return 200 "$ssl_server_name $ssl_protocol $ssl_client_s_dn $ssl_client_verify"; }
    }]]

  local function get(stream, host)
    stream:write({ "GET / HTTP/1.0\r\nHost: ", host, "\r\n\r\n" })
    local reply = assert(stream:read_until_close({ timeout = LIMIT }))
    stream:close()
    return reply:match("\r\n\r\n(.*)$")
  end

  each_kind(function(version, key, words)
    it("gives weir a page, and knows it again, " .. words, function()
      local port = ports.hold()
      local file = assert(io.open(path("nginx.conf"), "w"))
      file:write((CONFIGURATION:gsub("%u+", { FOLDER = folder, KEY = key, VERSION = version,
        PORT = port })))
      file:close()
      with_peer({ "/usr/sbin/nginx", "-p", folder, "-c", path("nginx.conf") }, function(address)
        local context = assert(weir.tls.context({ ca = path("root.pem"),
          server_name = "foo.example.com", cert = path("client.pem"), key = path("client.key") }))
        for i = 1, 2 do
          local stream = connect(address, context)
          assert.equal(i == 2, stream:tls_info().resumed)
          assert.equal(("foo.example.com TLSv%s CN=a client SUCCESS"):format(version),
            get(stream, "foo.example.com"))
        end
        local stream = connect(address, { ca = path("root.pem"), server_name = "localhost" })
        assert.equal("first", get(stream, "localhost"))
      end, { port = port })
    end)
  end)
end)
