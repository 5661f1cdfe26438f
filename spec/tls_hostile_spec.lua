-- Handshakes that fail in every way there is, beside a stream that works. The
-- server is another weir, so that what it reports and burns can be seen.

local peers = require("spec.support.tls")
local shell = require("spec.support.weir")
local support = require("spec.support.tls_peers")

local LIMIT = 20
local ROUNDS = 4 -- of the kinds of failure below: more than 60 in all
local LINES = 1000

local SERVER = [[
  local root, cert, key = ...
  local listener = assert(weir.listen("127.0.0.1:0", {
    tls = { cert = cert, key = key, ca = root, verify = true, alpn = { "weir" } },
  }, function(stream)
    for line in stream:lines() do stream:write({ line, "\n" }) end
    stream:close()
  end))
  print(listener:address())
  io.stdout:flush()
]]

local folder, server, address, good, certificates, strangers

-- Says these bytes in the clear, waits for an answer if there is to be one,
-- then ends in the given way. The server must end the connection by itself.
local function say(bytes, ending, answered)
  local stream = assert(weir.connect(address, { timeout = LIMIT }))
  stream:write(bytes)
  stream:flush()
  if answered then assert(stream:read_some()) end
  if ending == "reset" then return stream:abort() end
  if ending == "end" then stream:shutdown() end
  local _, _, code = stream:read_until_close()
  assert.is_true(code == nil or code == "ECONNRESET", code)
  stream:abort()
end

-- A handshake that fails, for the client or the server or both; TLS 1.3's
-- client learns only afterwards what the server has against it.
local function fails(change)
  local tls = { ca = certificates.root.cert, cert = certificates.client.cert,
    key = certificates.client.key, alpn = { "weir" } }
  for name, value in pairs(change) do tls[name] = value or nil end
  local stream, message, code = weir.connect(address, { tls = tls, connect_timeout = LIMIT })
  if stream then
    local line
    line, message, code = stream:read_until("\n", { timeout = LIMIT })
    assert.is_nil(line)
    stream:abort()
  end
  assert.is_true(code == "ETLS" or code == "ECONNRESET", message)
end

local function record(kind, body)
  return string.char(kind, 3, 1, math.floor(#body / 256), #body % 256) .. body
end

local KINDS = {
  function() say("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", "wait") end,
  function() say(("\0\255garbage"):rep(100), "wait") end,
  function() say("", "end") end,
  function() say("", "reset") end,
  function() say("\22", "end") end,
  function(hello) say(hello:sub(1, 3), "reset") end,
  function(hello) say(hello:sub(1, math.floor(#hello / 2)), "end") end,
  function(hello) say(hello:sub(1, #hello - 1), "reset") end,
  function(hello) say(hello, "reset") end,
  function(hello) say(hello, "reset", true) end,
  function(hello) say(hello, "end", true) end,
  function(hello) say(hello .. hello, "wait", true) end,
  function() say(record(23, "application data first"), "wait") end,
  function() say(record(21, "\2\40"), "wait") end, -- handshake_failure
  function() say(record(22, "\1\255\255\255" .. ("x"):rep(16000)), "wait") end,
  function() say("\22\3\1\255\255" .. ("x"):rep(16000), "wait") end,
  function() fails({ min_version = "1.0", max_version = "1.1", ciphers = "ALL:@SECLEVEL=0" }) end,
  function() fails({ max_version = "1.2", ciphers = "ECDHE-RSA-AES128-GCM-SHA256" }) end,
  function() fails({ alpn = { "other" } }) end,
  function() fails({ server_name = "bar.example.com" }) end,
  function() fails({ ca = strangers.root.cert }) end,
  function() fails({ cert = false, key = false }) end,
  function() fails({ cert = false, key = false, max_version = "1.2" }) end,
  function() fails(strangers.client) end,
  function() fails(strangers.expired) end,
  function() fails(strangers.server_only) end,
}

local function make_strangers()
  local cert, key = weir.tls.self_signed({ ca = true, subject = "CN=Stranger" })
  local client, client_key = weir.tls.self_signed({ subject = "CN=a client",
    issuer_cert = cert, issuer_key = key })
  strangers = {
    root = { cert = cert, key = key },
    client = { cert = client, key = client_key },
    expired = certificates.signed({ subject = "CN=old", not_after = weir.time() - 60 }),
    server_only = certificates.signed({ subject = "CN=other", usage = "server" }),
  }
end

-- Sends lines one by one, at least one while every failure happens.
local function echo_lines(done)
  for i = 1, LINES do
    local line = ("line %d %s\n"):format(i, ("x"):rep(i % 200))
    good:write(line)
    if good:read_until("\n", { timeout = LIMIT }) ~= line then return i end
    if i % 10 == 0 then weir.sleep(0) end
  end
  done.lines = LINES
end

describe("60 failing handshakes", function()
  setup(function()
    certificates = support.certificates()
    make_strangers()
    folder = shell.folder({ ["server.lua"] = SERVER })
    server = assert(weir.process(shell.bound({ shell.binary, folder .. "/server.lua",
      certificates.root.cert, certificates.ec.cert, certificates.ec.key })))
    address = assert(server.stdout:read_until("\n", { timeout = LIMIT, inclusive = false }))
  end)

  teardown(function()
    server:kill("KILL")
    server:wait({ timeout = LIMIT })
    for _, name in ipairs({ "stdin", "stdout", "stderr" }) do server[name]:close() end
    shell.remove(folder)
  end)

  it("neither hurt a stream beside them, nor leave work behind", function()
    local done, failures = {}, 0
    good = assert(weir.connect(address, { connect_timeout = LIMIT, tls = {
      ca = certificates.root.cert, cert = certificates.client.cert,
      key = certificates.client.key } }))
    local echo = weir.spawn(echo_lines, done)
    local hello = peers.client_hello({ verify = false, server_name = "localhost" })
    for _ = 1, ROUNDS do
      local tasks = {}
      for i, kind in ipairs(KINDS) do tasks[i] = weir.spawn(kind, hello) end
      for _, task in ipairs(tasks) do
        local _, message, code = task:join({ timeout = LIMIT })
        assert.is_nil(code, message)
        failures = failures + 1
      end
    end
    assert.is_nil(echo:join({ timeout = LIMIT }))
    assert.equal(LINES, done.lines)
    assert.is_true(failures >= 60)

    -- A busy loop would use all of this time; an idle host next to nothing.
    local before = shell.used(server:pid())
    weir.sleep(0.3)
    assert.is_true(shell.used(server:pid()) - before < 5)

    good:close()
    server:kill("TERM")
    local reports = assert(server.stderr:read_until_close({ timeout = LIMIT }))
    assert.same({ "exit", 0 }, { server:wait({ timeout = LIMIT }) })
    local _, count = reports:gsub("\n", "\n")
    assert.is_true(count <= failures, reports)
    for line in reports:gmatch("[^\n]+") do
      assert.truthy(line:find("^weir: "), line)
    end
  end)
end)
