-- Ports of this machine that are free, and stay so until whoever is meant to
-- listens there: each is held by a socket that is bound, but does not listen.
-- The kernel gives it to nobody who asks for any port; who asks for this one,
-- with SO_REUSEADDR as servers do, gets it; a connect is refused (Linux).

local ffi = require("ffi")

ffi.cdef([[
  int socket(int domain, int type, int protocol);
  int setsockopt(int fd, int level, int name, const void *value, unsigned size);
  int bind(int fd, const void *address, unsigned size);
  int getsockname(int fd, void *address, unsigned *size);
  int close(int fd);
]])

local M = {}

local AF_INET6, SOCK_STREAM, SOCK_CLOEXEC = 10, 1, 0x80000
local SOL_SOCKET, SO_REUSEADDR = 1, 2

local held = {} -- descriptors by port

--- A port of every address, of either family.
function M.hold()
  local fd = ffi.C.socket(AF_INET6, SOCK_STREAM + SOCK_CLOEXEC, 0)
  local address, size = ffi.new("uint8_t[28]"), ffi.new("unsigned[1]", 28)
  local on = ffi.new("int[1]", 1)
  ffi.cast("uint16_t *", address)[0] = AF_INET6
  assert(ffi.C.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on, 4) == 0)
  assert(ffi.C.bind(fd, address, 28) == 0)
  assert(ffi.C.getsockname(fd, address, size) == 0)
  local port = tostring(address[2] * 256 + address[3])
  held[port] = fd
  return port
end

--- Lets go of one, or of all.
function M.release(port)
  for each, fd in pairs(held) do
    if not port or each == port then
      ffi.C.close(fd)
      held[each] = nil
    end
  end
end

--- The port that a listener listens on.
function M.of(listener)
  return (listener:address():match(":(%d+)$"))
end

return M
