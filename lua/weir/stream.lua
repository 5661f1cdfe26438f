-- What streams do in Lua: lines, and reads into what only Lua knows.
local _, core = ...

local ffi = require "ffi"
local methods = core.stream_methods
local read_until, read_some = methods.read_until, methods.read_some
local read_into, check_lines = methods.read_into, methods.check_lines
local take_line = core.take_line
methods.check_lines = nil

-- --- lines ------------------------------------------------------------------

-- A "\n" takes a "\r" before it along.
local function trimmed(line)
  return line:byte(-1) == 13 and line:sub(1, -2) or line
end

local function same(line) return line end

--- stream:lines([delimiter], [options]): an iterator of data without its
-- delimiter (default "\n", and then a "\r" before it goes too), the
-- unterminated rest last. Each step waits. At the end, and after a failure,
-- it gives nil, message, code.
function methods:lines(delimiter, options)
  if type(delimiter) == "table" and options == nil and #delimiter == 0 then
    delimiter, options = nil, delimiter
  end
  local trim = delimiter == nil and trimmed or same
  delimiter = delimiter or "\n"
  check_lines(self, delimiter, options)
  local step = { inclusive = false }
  for key, value in pairs(options or {}) do step[key] = value end
  local quick = type(delimiter) == "string" and not step.max
  return function()
    local line, message, code = quick and take_line(self, delimiter)
    if line then return trim(line) end
    line, message, code = read_until(self, delimiter, step)
    if line then return trim(line) end
    local left = self:buffered()
    if code ~= "EOF" or left == 0 then return nil, message, code end
    return read_some(self, { max = left })
  end
end

-- --- memory -----------------------------------------------------------------

local byte_pointer = ffi.typeof("uint8_t *")

-- "char [8]" for such an array; nil for what is no object, but a type.
local function type_of(memory)
  local printable, text = pcall(tostring, memory)
  if printable and text:find("^ctype<") then return nil end
  return tostring(ffi.typeof(memory)):match("^ctype<(.*)>$")
end

-- The pointer to `offset`, and how many bytes are there, if that is known; nil
-- if it is no memory at all.
local function locate(memory, name, offset)
  local pointer = name:find("%*$") or name:find("%* ?const$")
    or name:find("(*)[", 1, true)
  local sized = name:find("%]$") or name:find("^struct ")
    or name:find("^union ")
  if not pointer and not sized then return nil end
  return ffi.cast(byte_pointer, memory) + offset,
    not pointer and ffi.sizeof(memory) - offset or nil
end

--- Where `size` bytes at `offset` of FFI memory are, for reading into them.
function core.memory_at(memory, offset, size)
  local name = type(memory) == "cdata" and type_of(memory)
  local pointer, room
  if name then pointer, room = locate(memory, name, offset) end
  if not pointer then
    error("read_into: FFI memory (an array, a struct or a pointer) or a "
      .. "string.buffer expected, got " .. (name or type(memory)), 3)
  elseif memory == nil or name:find("^const ") then
    error("read_into: a pointer to memory that can be written expected, got "
      .. (memory == nil and "NULL" or name), 3)
  elseif room and size > room then
    error(("read_into: %.0f bytes at offset %.0f do not fit into %.0f")
      :format(size, offset, room + offset), 3)
  end
  return pointer
end

--- The bytes of FFI memory, or the first `length`, as a string.
function core.bytes_of(memory, length)
  local name = type_of(memory)
  local pointer, room
  if name then pointer, room = locate(memory, name, 0) end
  if not pointer then
    error("write: FFI memory is an array, a struct or a pointer, got "
      .. (name or "a type"), 3)
  elseif memory == nil then
    error("write: a pointer to bytes expected, got NULL", 3)
  elseif not (length or room) then
    error("write: 'length' is needed for a pointer", 3)
  elseif length and room and length > room then
    error(("write: 'length' is %.0f, but there are %.0f bytes")
      :format(length, room), 3)
  end
  return ffi.string(pointer, length or room)
end

-- --- string.buffer ----------------------------------------------------------

-- What a partial read into a string.buffer gets at the most.
local PARTIAL = 65536

local function is_buffer(value)
  return type(value) == "userdata" and pcall(function()
    assert(value.putcdata)
  end)
end

local function taken(buffer, block, count, ...)
  if count then buffer:putcdata(block, count) end
  return count, ...
end

--- stream:read_into(memory, n, [options], [callback]): the count of bytes put
-- into FFI memory (at `offset`) or appended to a string.buffer; exactly n, or
-- with `partial` at least one. Waits.
--
-- A string.buffer may move or be used while the read waits, so that it gets
-- its bytes at the end.
function methods:read_into(buffer, n, options, callback)
  if not is_buffer(buffer) then
    return read_into(self, buffer, n, options, callback)
  end
  if callback == nil and type(options) == "function" then
    options, callback = nil, options
  end
  local given = type(options) == "table" and options or {}
  if given.offset ~= nil then
    error("read_into: 'offset' is for FFI memory, a string.buffer appends", 2)
  end
  local size = type(n) == "number" and n >= 0 and n < 2 ^ 31 and n or 0
  if given.partial == true then size = math.min(size, PARTIAL) end
  local block = ffi.new("uint8_t[?]", size)
  if given.partial == true and size > 0 then n = size end
  if type(callback) ~= "function" then
    return taken(buffer, block,
      read_into(self, block, n, options, callback))
  end
  return read_into(self, block, n, options, function(...)
    return callback(taken(buffer, block, ...))
  end)
end
