-- OCSP stapling: what clients check, what servers staple.

local ports = require("spec.support.ports")
local ocsp = require("spec.support.ocsp")
local support = require("spec.support.tls_peers")

require("spec.support.handshake_reports").hide(setup, teardown)

local contains = support.contains
local LIMIT = 20

local certificates, folder, ec

local function path(name) return folder .. "/" .. name end

local function write(name, data)
  local file = assert(io.open(path(name), "wb"))
  file:write(data)
  file:close()
  return path(name)
end

-- Connects to a weir server with this ec_response; what came of it.
local function handshake(response, wish, change)
  local tls = { cert = ec.cert, key = ec.key, ocsp_response = response }
  local options = { ca = certificates.root.cert, ocsp = wish }
  for name, value in pairs(change or {}) do options[name] = value end
  local listener = assert(weir.listen("127.0.0.1:0", { tls = tls }, function(stream)
    stream:read_until_close({ timeout = LIMIT })
    stream:close()
  end))
  local stream, message, code =
    weir.connect(listener:address(), { tls = options, connect_timeout = LIMIT })
  listener:close()
  if stream then
    stream:close()
    return true
  end
  return message:gsub("^connect [%d.:]+: ", "") .. " " .. code
end

-- The same with openssl's server, which staples whatever it is told to.
local function with_s_server(response, f, ...)
  support.with({ "openssl", "s_server", "-accept", "127.0.0.1:PORT",
    "-quiet", "-cert", path("ec.pem"), "-key", path("ec.key"), "-status_file", response, ... },
    function(address)
      f(function(options)
        options.ca = certificates.root.cert
        local stream, words, code =
          weir.connect(address, { tls = options, connect_timeout = LIMIT })
        if stream then stream:abort() end
        return stream and true or words .. " " .. code
      end)
    end)
end

setup(function()
  certificates = support.certificates()
  folder = support.folder()
  ec = certificates.ec
  local responder = certificates.signed({ subject = "CN=Responder", usage = "ocsp" })
  write("responder.pem", responder.cert)
  write("responder.key", responder.key)
  local stranger, key = weir.tls.self_signed({ ca = true, subject = "CN=Stranger" })
  write("stranger.pem", stranger)
  write("stranger.key", key)
end)

teardown(function() support.remove(folder) end)

describe("a client with ocsp", function()
  for _, version in ipairs({ "1.2", "1.3" }) do
    local only = { min_version = version, max_version = version }

    it("accepts a good certificate over TLS " .. version, function()
      local response = ocsp.respond(folder, ec.cert, "V")
      assert.is_true(handshake(response, "require", only))
      assert.is_true(handshake(response, "request", only))
    end)

    it("refuses a revoked one over TLS " .. version, function()
      local response = ocsp.respond(folder, ec.cert, "R")
      for _, wish in ipairs({ "require", "request" }) do
        assert.matches("^OCSP: certificate was revoked on %d+%-%d+%-%d+ %d+:%d+:%d+ UTC, "
          .. "keyCompromise: CN=localhost ETLS$", handshake(response, wish, only))
      end
      assert.is_true(handshake(response, nil, only))
    end)

    it("misses a response when it requires one over TLS " .. version, function()
      assert.equal("OCSP: the server sent no response, and one is required ETLS",
        handshake(nil, "require", only))
      assert.is_true(handshake(nil, "request", only))
    end)
  end

  it("misses a response when the certificate says that there must be one", function()
    local output, status = support.run({ "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
      "ec_paramgen_curve:P-256", "-nodes", "-keyout", path("must.key"), "-out", path("must.pem"),
      "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
      "-addext", "tlsfeature=status_request" })
    assert.equal(0, status, output)
    local tls = { cert = path("must.pem"), key = path("must.key") }
    local listener = assert(weir.listen("127.0.0.1:0", { tls = tls },
      function(stream) stream:close() end))
    local function connect(wish)
      local stream, message = weir.connect(listener:address(), { connect_timeout = LIMIT,
        tls = { ca = path("must.pem"), ocsp = wish } })
      if stream then stream:abort() end
      return stream and true or message
    end
    contains("OCSP: the server sent no response, and its certificate says that it must",
      connect("request"))
    assert.is_true(connect(nil))
    listener:close()
  end)

  it("refuses one that the responder does not know", function()
    contains("OCSP: the responder does not know the certificate CN=localhost ETLS",
      handshake(ocsp.respond(folder, ec.cert, nil), "request"))
  end)

  it("accepts a responder that the authority has appointed", function()
    assert.is_true(handshake(ocsp.respond(folder, ec.cert, "V", "responder"), "require"))
  end)

  it("refuses a response that somebody else signed", function()
    for _, signer in ipairs({ "stranger", "client", "ec" }) do
      contains("OCSP: response is not signed by the certificate's issuer: ",
        handshake(ocsp.respond(folder, ec.cert, "V", signer), "request"))
    end
  end)

  it("refuses one that is not valid at this time", function()
    local function response(from, until_when)
      return write("dated.der", ocsp.response(ec.cert, certificates.root.cert,
        certificates.root.key, from, until_when))
    end
    for _, case in ipairs({
      { -7200, -3600, "OCSP: response was valid until " },
      { 3600, 7200, "OCSP: response is valid from " },
      { -8 * 86400, nil, "OCSP: response is too old, of " },
    }) do
      with_s_server(response(case[1], case[2]), function(connect)
        contains(case[3], connect({ ocsp = "request" }))
      end)
    end
    with_s_server(response(-6 * 86400), function(connect)
      assert.is_true(connect({ ocsp = "require" }))
    end)
  end)

  it("refuses one about another certificate", function()
    local other = certificates.rsa
    with_s_server(ocsp.respond(folder, other.cert, "V"), function(connect)
      contains("OCSP: response is about another certificate ETLS", connect({ ocsp = "request" }))
    end)
  end)

  it("learns nothing from a responder that says to try later", function()
    with_s_server(write("later.der", ocsp.try_later()), function(connect)
      assert.is_true(connect({ ocsp = "request" }))
      contains("OCSP: the responder said only: trylater ETLS", connect({ ocsp = "require" }))
    end)
  end)

  it("checks the signature even if it does not verify the chain", function()
    local good, revoked = ocsp.respond(folder, ec.cert, "V"), ocsp.respond(folder, ec.cert, "R")
    with_s_server(good, function(connect)
      assert.is_true(connect({ ocsp = "require", verify = false }))
    end, "-cert_chain", path("root.pem"))
    with_s_server(revoked, function(connect)
      contains("OCSP: certificate was revoked", connect({ ocsp = "require", verify = false }))
    end, "-cert_chain", path("root.pem"))
  end)

  it("resumes a session without another response", function()
    local response = ocsp.respond(folder, ec.cert, "V")
    local listener = assert(weir.listen("127.0.0.1:0",
      { tls = { cert = ec.cert, key = ec.key, ocsp_response = response } },
      function(stream)
        stream:write("x")
        stream:close()
      end))
    local context = assert(weir.tls.context({ ca = certificates.root.cert, ocsp = "require" }))
    for i = 1, 2 do
      local stream = assert(weir.connect(listener:address(), { tls = context }))
      assert.equal(i == 2, stream:tls_info().resumed)
      assert.equal("x", stream:read_until_close({ timeout = LIMIT }))
      stream:close()
    end
    listener:close()
  end)

  it("understands nginx", function()
    local port = ports.hold()
    write("nginx.conf", ([[
      daemon off; pid FOLDER/pid; error_log FOLDER/error.log; worker_processes 1;
      events { worker_connections 64; }
      http {
        access_log off; client_body_temp_path FOLDER/t; proxy_temp_path FOLDER/t;
        fastcgi_temp_path FOLDER/t; uwsgi_temp_path FOLDER/t; scgi_temp_path FOLDER/t;
        ssl_certificate FOLDER/ec.pem; ssl_certificate_key FOLDER/ec.key;
        ssl_stapling on;
        server { listen 127.0.0.1:PORT ssl; server_name good; ssl_stapling_file GOOD; }
        server { listen 127.0.0.1:PORT ssl; server_name foo.example.com;
          ssl_stapling_file REVOKED; }
      }]]):gsub("%u+", { FOLDER = folder, PORT = port,
        GOOD = ocsp.respond(folder, ec.cert, "V"), REVOKED = ocsp.respond(folder, ec.cert, "R") }))
    support.with({ "/usr/sbin/nginx", "-p", folder, "-c", path("nginx.conf") }, function(address)
      local function connect(name)
        local stream, message = weir.connect(address, { connect_timeout = LIMIT,
          tls = { ca = path("root.pem"), ocsp = "require", server_name = name } })
        if stream then stream:abort() end
        return stream and true or message
      end
      assert.is_true(connect("localhost"))
      contains("OCSP: certificate was revoked on ", connect("foo.example.com"))
    end, { port = port })
  end)
end)

describe("a server with ocsp_response", function()
  local function with_server(response, f)
    local listener = assert(weir.listen("127.0.0.1:0",
      { tls = { cert = ec.cert .. certificates.root.cert, key = ec.key, ocsp_response = response } },
      function(stream)
        stream:write("HTTP/1.0 200 OK\r\n\r\nhello")
        stream:close()
      end))
    local good, message = pcall(f, listener:address():match("%d+$"))
    listener:close()
    if not good then error(message, 0) end
  end

  local function status(port)
    return support.run({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-status",
      "-CAfile", path("root.pem") }, "", true)
  end

  it("staples it for openssl", function()
    with_server(ocsp.respond(folder, ec.cert, "R"), function(port)
      local output = status(port)
      contains("OCSP Response Status: successful", output)
      contains("Cert Status: revoked", output)
    end)
  end)

  it("staples it for curl, which checks it", function()
    local function curl(port)
      return support.run({ "curl", "-sS", "--cert-status", "--cacert", path("root.pem"),
        "https://localhost:" .. port .. "/" })
    end
    with_server(ocsp.respond(folder, ec.cert, "V"), function(port)
      assert.equal("hello", curl(port))
    end)
    with_server(ocsp.respond(folder, ec.cert, "R"), function(port)
      contains("revocation", curl(port))
    end)
  end)

  it("notices when the file changes", function()
    local current = write("current.der", ocsp.response(ec.cert, certificates.root.cert,
      certificates.root.key, -60, 3600))
    with_server(current, function(port)
      contains("Cert Status: good", status(port))
      local revoked = ocsp.respond(folder, ec.cert, "R")
      assert(os.rename(revoked, current))
      contains("Cert Status: revoked", status(port))
      write("current.der", "nonsense")
      contains("Cert Status: revoked", status(port))
      os.remove(current)
      contains("Cert Status: revoked", status(port))
    end)
  end)

  it("staples none that is out of date", function()
    local old = write("old.der", ocsp.response(ec.cert, certificates.root.cert,
      certificates.root.key, -7200, -3600))
    with_server(old, function(port)
      contains("OCSP response: no response sent", status(port))
    end)
  end)

  it("names the file that it cannot use, where the context is made", function()
    local function refused(response, options)
      options = options or { cert = ec.cert, key = ec.key }
      options.ocsp_response = response
      local context, message, code = weir.tls.context(options)
      assert.is_nil(context)
      return message:gsub("^.*: (ocsp_response .*)$", "%1"):gsub(folder, "FOLDER") .. " " .. code
    end
    assert.equal("ocsp_response FOLDER/none.der: No such file or directory ENOENT",
      refused(path("none.der")))
    assert.equal("ocsp_response FOLDER: Is a directory EISDIR", refused(folder))
    assert.equal("ocsp_response FOLDER/ec.pem: not an OCSP response (DER) ETLS",
      refused(path("ec.pem")))
    assert.equal("ocsp_response FOLDER/later.der: an OCSP response that says nothing ETLS",
      refused(write("later.der", ocsp.try_later())))
    assert.equal("ocsp_response FOLDER/V-root.der: an OCSP response about another certificate ETLS",
      refused(ocsp.respond(folder, certificates.rsa.cert, "V")))
  end)

  it("raises for wishes that there are not", function()
    assert.error_matches(function() weir.tls.context({ ocsp = "maybe" }) end,
      "bad option 'ocsp' %(\"request\" or \"require\" expected, got maybe%)")
    assert.error_matches(function() weir.tls.context({ ocsp_response = "x" }) end,
      "the option 'ocsp_response' needs a 'cert'")
  end)
end)
