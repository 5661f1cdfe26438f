-- Reading may have to write (R32): a peer that asks for ever new keys, and does
-- not read the answers, is not read from until it does.

local certificates = require("spec.support.certificates")
local expect = require("spec.support.expect")
local ffi = require("ffi")

ffi.cdef [[
  void *TLS_client_method(void);
  void *SSL_CTX_new(void *method);
  void SSL_CTX_free(void *);
  void *SSL_new(void *context);
  void SSL_free(void *);
  int SSL_set_fd(void *, int fd);
  void SSL_set_connect_state(void *);
  int SSL_do_handshake(void *);
  int SSL_key_update(void *, int kind);
  int SSL_read(void *, void *data, int size);
  int SSL_write(void *, const void *data, int size);
  int close(int fd);
  int ioctl(int fd, unsigned long request, ...);
]]

local C = ffi.load("libssl.so.3")

local REQUESTED = 1
local T = 10

-- Have the bytes that were sent been read?
local function is_read(fd)
  local SIOCOUTQ, left = 0x5411, ffi.new("int[1]")
  assert(ffi.C.ioctl(fd, SIOCOUTQ, left) == 0)
  return left[0] == 0
end

describe("a peer that asks for ever new keys", function()
  local context, ssl, fd, stream

  before_each(function()
    local server = certificates.both()
    server.server = true
    fd, stream = weir.pair({ timeout = T })
    fd = fd:detach()
    context = C.SSL_CTX_new(C.TLS_client_method())
    ssl = C.SSL_new(context)
    C.SSL_set_fd(ssl, fd)
    C.SSL_set_connect_state(ssl)
    local started
    stream:start_tls(server, function(done) started = done end)
    expect.soon(function() return C.SSL_do_handshake(ssl) == 1 and started end)
  end)

  after_each(function()
    C.SSL_free(ssl)
    C.SSL_CTX_free(context)
    ffi.C.close(fd)
    stream:abort()
  end)

  it("waits until it reads the answers, and costs no processor time meanwhile", function()
    local got
    stream:read_bytes(1, function(data) got = data end)
    local unread = 0
    expect.soon(function()
      unread = is_read(fd) and 0 or unread + 1
      for _ = 1, unread == 0 and 100 or 0 do
        C.SSL_key_update(ssl, REQUESTED)
        assert.equal(1, C.SSL_do_handshake(ssl))
      end
      return unread == 20
    end)
    local before = os.clock()
    weir.sleep(0.2)
    assert.is_true(os.clock() - before < 0.05)
    assert.is_nil(got)
    local data = ffi.new("char[1]")
    assert.equal(1, C.SSL_write(ssl, "x", 1))
    expect.soon(function()
      C.SSL_read(ssl, data, 1)
      return got
    end)
    assert.equal("x", got)
    stream:write("y")
    expect.soon(function() return C.SSL_read(ssl, data, 1) == 1 end)
    assert.equal("y", ffi.string(data, 1))
  end)
end)
