-- Much data each way at once over TLS, between two processes: nothing is lost
-- or mixed up, memory does not grow, and who waits burns nothing.
--
-- WEIR_BULK_MIB says how much, for larger rounds by hand.

local ffi = require("ffi")
local shell = require("spec.support.weir")
local support = require("spec.support.tls_peers")

local LIMIT = 600
local MIB = tonumber(os.getenv("WEIR_BULK_MIB") or 16)

-- What both processes do: `exchange` sends `mib` and receives as much, each
-- with backpressure, and returns the SHA-256 of either.
local COMMON = [[
  local ffi = require("ffi")
  local crypto = ffi.load("libcrypto.so.3")
  pcall(ffi.cdef, [=[
    void *EVP_MD_CTX_new(void);
    void EVP_MD_CTX_free(void *);
    const void *EVP_sha256(void);
    int EVP_DigestInit_ex(void *, const void *, void *);
    int EVP_DigestUpdate(void *, const void *, size_t);
    int EVP_DigestFinal_ex(void *, unsigned char *, unsigned *);
  ]=])
  local function digest()
    local context = ffi.gc(crypto.EVP_MD_CTX_new(), crypto.EVP_MD_CTX_free)
    crypto.EVP_DigestInit_ex(context, crypto.EVP_sha256(), nil)
    return function(data)
      if data then return crypto.EVP_DigestUpdate(context, data, #data) end
      local out = ffi.new("unsigned char[64]")
      crypto.EVP_DigestFinal_ex(context, out, nil)
      return (ffi.string(out, 32):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    end
  end
  local function exchange(stream, mib, seed)
    math.randomseed(seed)
    local bytes = {}
    for i = 1, 65536 do bytes[i] = string.char(math.random(0, 255)) end
    local block = table.concat(bytes)
    local sending = weir.spawn(function()
      local sum = digest()
      for i = 1, mib * 16 do
        local piece = { ("%08d"):format(i), block:sub(i % 100 + 1), block:sub(1, i % 100) }
        local data = table.concat(piece):sub(1, 65536)
        sum(data)
        assert(stream:write(data))
      end
      assert(stream:shutdown())
      return sum()
    end)
    local sum, count = digest(), 0
    while true do
      local data, message, code = stream:read_some()
      if not data then
        assert(code == "EOF", message)
        break
      end
      count = count + #data
      sum(data)
    end
    return assert(sending:join()), sum(), count
  end
]]

local SERVER = COMMON .. [[
  local cert, key = ...
  local listener = assert(weir.listen("127.0.0.1:0", { tls = { cert = cert, key = key } },
    function(stream)
      local mib = stream:read_until("\n"):match("^bulk (%d+)")
      if mib then
        print(exchange(stream, tonumber(mib), 2))
      else -- writes what nobody reads
        while stream:write(("x"):rep(100000)) do end
      end
      io.stdout:flush()
      stream:close()
    end))
  print(listener:address())
  io.stdout:flush()
]]

-- For each line on standard input, "VERSION MIB".
local CLIENT = COMMON .. [[
  local address, ca = ...
  for line in weir.stdin:lines() do
    local version, mib = line:match("^(%S+) (%d+)$")
    local stream = assert(weir.connect(address, {
      tls = { ca = ca, min_version = version, max_version = version } }))
    stream:write({ "bulk ", mib, "\n" })
    print(exchange(stream, tonumber(mib), 1))
    io.stdout:flush()
    stream:close()
  end
]]

-- The most memory that a process has had, in KiB (Linux).
local function peak(pid)
  local file = assert(io.open(("/proc/%d/status"):format(pid)))
  local size = file:read("*a"):match("VmHWM:%s+(%d+)")
  file:close()
  return tonumber(size)
end

ffi.cdef("void __asan_init(void);")

-- Peaks grow by this many KiB at most; the address sanitizer keeps what was
-- freed, so that nothing is said about memory there.
local GROWTH = pcall(function() return ffi.C.__asan_init end) and math.huge or 8192

describe("over TLS", function()
  local certificates, folder, server, client, address

  local function start(...)
    return assert(weir.process(shell.bound({ shell.binary, ... }), { stderr = "inherit" }))
  end

  local function line_of(process)
    return assert(process.stdout:read_until("\n", { timeout = LIMIT, inclusive = false }))
  end

  local function stop(process)
    process:kill("KILL")
    process:wait({ timeout = LIMIT })
    process.stdin:close()
    process.stdout:close()
  end

  setup(function()
    certificates = support.certificates()
    folder = shell.folder({ ["server.lua"] = SERVER, ["client.lua"] = CLIENT })
    server = start(folder .. "/server.lua", certificates.ec.cert, certificates.ec.key)
    address = line_of(server)
    client = start(folder .. "/client.lua", address, certificates.root.cert)
  end)

  teardown(function()
    stop(client)
    stop(server)
    shell.remove(folder)
  end)

  -- Both sides must have received what the other one says it sent.
  local function bulk(version, mib)
    client.stdin:write({ version, " ", mib, "\n" })
    local sent, received, count = line_of(client):match("^(%x+)%s(%x+)%s(%d+)$")
    assert.equal(mib * 1048576, tonumber(count))
    assert.same({ received, sent, count }, { line_of(server):match("^(%x+)%s(%x+)%s(%d+)$") })
  end

  for _, version in ipairs({ "1.2", "1.3" }) do
    it(("%d MiB go each way at once, TLS %s"):format(MIB, version), function()
      bulk(version, 4) -- until buffers and garbage have their usual size
      local before = { peak(server:pid()), peak(client:pid()) }
      bulk(version, MIB)
      assert.is_true(peak(server:pid()) - before[1] < GROWTH)
      assert.is_true(peak(client:pid()) - before[2] < GROWTH)
    end)
  end

  it("a writer whose peer does not read uses no processor time", function()
    local stream = assert(weir.connect(address, { tls = { ca = certificates.root.cert } }))
    stream:write("idle\n")
    -- Until nothing moves any more: the pipe between the two is full.
    local busy
    repeat
      busy = shell.used(server:pid())
      weir.sleep(0.1)
    until shell.used(server:pid()) == busy
    weir.sleep(0.3)
    assert.is_true(shell.used(server:pid()) - busy < 5)
    stream:abort()
  end)
end)
