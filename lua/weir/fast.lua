-- The quick way through the hottest methods: a read that the buffer satisfies
-- and a short write are calls through the FFI, which LuaJIT compiles. What is
-- not done that way, and every mistake, goes to the method in C: that call is
-- a tail call, so messages name the script's line all the same.
local _, core = ...

local ffi = require "ffi"

ffi.cdef [[
  struct weir_piece { const char *data; size_t size; };
  struct weir_fast {
    const char *data;
    int coroutines;
    struct weir_piece pieces[8];
  };
  struct weir_fast weir_fast;
  int weir_take_until(void *stream, const char *delimiter, bool exclusive,
    bool called_back);
  int weir_take_bytes(void *stream, double count, bool called_back);
  int weir_take_frame(void *stream, int prefix, bool called_back);
  bool weir_put(void *stream, const char *data, size_t size);
  bool weir_put_pieces(void *stream, int count);
]]

local C, fast, to_string = ffi.C, ffi.C.weir_fast, ffi.string

-- LuaJIT compiles no call of a function that has not been looked up yet.
for _, name in ipairs({ "take_until", "take_bytes", "take_frame", "put",
  "put_pieces" }) do
  assert(C["weir_" .. name])
end

--- What coroutine.lua counts.
core.fast = fast
local methods, stream_type = core.stream_methods, core.stream_type
local read_until, read_bytes = methods.read_until, methods.read_bytes
local read_frame, write = methods.read_frame, methods.write
--- The methods in C, by the names under which scripts know them.
core.methods_in_c = { read_until = read_until, read_bytes = read_bytes,
  read_frame = read_frame, write = write }

local deliver, getmetatable = core.deliver, getmetatable
local next, select, type = next, select, type

local PIECES, LONG = 8, 4096

-- As src/base/match.h numbers them.
local prefixes = { u8 = 0, u16be = 1, u16le = 2, u32be = 3, u32le = 4,
  u64be = 5, varint = 6, netstring = 7 }

-- Is there one argument and nothing else, unless it is a callback?
local function plain(_, callback, ...)
  return select("#", ...) == 0 and
    (callback == nil or type(callback) == "function")
end

local function finish(self, size, callback)
  local data = to_string(fast.data, size)
  if callback then return deliver(self, callback, data) end
  return data
end

function methods:read_until(...)
  local delimiter, callback = ...
  if type(delimiter) == "string" and plain(...) and
    getmetatable(self) == stream_type then
    local size = C.weir_take_until(self, delimiter, false, callback ~= nil)
    if size >= 0 then return finish(self, size, callback) end
  end
  return read_until(self, ...)
end

function methods:read_bytes(...)
  local count, callback = ...
  if type(count) == "number" and plain(...) and
    getmetatable(self) == stream_type then
    local size = C.weir_take_bytes(self, count, callback ~= nil)
    if size >= 0 then return finish(self, size, callback) end
  end
  return read_bytes(self, ...)
end

function methods:read_frame(...)
  local prefix, callback = ...
  local kind = prefix and prefixes[prefix]
  if kind and plain(...) and getmetatable(self) == stream_type then
    local size = C.weir_take_frame(self, kind, callback ~= nil)
    if size >= 0 then return finish(self, size, callback) end
  end
  return read_frame(self, ...)
end

-- A short, plain list of strings, all at once.
local function put_list(self, list)
  local count, pieces = #list, fast.pieces
  if count > PIECES or count == 0 or getmetatable(list) then return false end
  if next(list, count) ~= nil then return false end
  for i = 1, count do
    local text = list[i]
    if type(text) ~= "string" or #text >= LONG then return false end
    local piece = pieces[i - 1]
    piece.data, piece.size = text, #text
  end
  return C.weir_put_pieces(self, count)
end

function methods:write(...)
  local data = ...
  if select("#", ...) == 1 and getmetatable(self) == stream_type then
    local kind = type(data)
    if kind == "string" and #data < LONG and C.weir_put(self, data, #data) or
      kind == "table" and put_list(self, data) then
      return true
    end
  end
  return write(self, ...)
end

--- read_until without the delimiter, for stream:lines; nil if it has to wait.
function core.take_line(stream, delimiter)
  local size = C.weir_take_until(stream, delimiter, true, false)
  if size >= 0 then return to_string(fast.data, size) end
end
