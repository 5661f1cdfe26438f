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

-- What the names of types say, by the types' numbers: a name takes long to
-- make and to read.
local kinds = {}

local function read_name(name)
  local pointer = name:find("%*$") or name:find("%* ?const$")
    or name:find("(*)[", 1, true)
  local sized = name:find("%]$") or name:find("^struct ")
    or name:find("^union ")
  return {
    name = name,
    memory = (pointer or sized) ~= nil,
    pointer = pointer ~= nil,
    indirect = (pointer or name:find("&", 1, true)) ~= nil,
    constant = name:find("^const ") ~= nil,
  }
end

-- Of what kind a cdata is; nil if it is a type itself, which only its text
-- tells: its number is that of the type it is.
local function kind_of(memory)
  if tonumber(memory) then -- a number, then, or a type
    local printable, text = pcall(tostring, memory)
    if printable and text:find("^ctype<") then return nil end
  end
  local ctype = ffi.typeof(memory)
  local number = tonumber(ctype)
  local kind = kinds[number]
  if not kind then
    kind = read_name(tostring(ctype):match("^ctype<(.*)>$"))
    kinds[number] = kind
  end
  return kind
end

--- May `size` bytes at `offset` of FFI memory be read into? Raises if not.
-- True if the memory is where the cdata points, false if it is the cdata.
function core.check_memory(memory, offset, size)
  local kind = type(memory) == "cdata" and kind_of(memory)
  if not kind or not kind.memory then
    error("read_into: FFI memory (an array, a struct or a pointer) or a "
      .. "string.buffer expected, got " .. (kind and kind.name
        or type(memory)), 3)
  end
  local null = kind.pointer and memory == nil
  if null or kind.constant then
    error("read_into: a pointer to memory that can be written expected, got "
      .. (null and "NULL" or kind.name), 3)
  end
  local room = not kind.pointer and ffi.sizeof(memory)
  if room and offset + size > room then
    error(("read_into: %.0f bytes at offset %.0f do not fit into %.0f")
      :format(size, offset, room), 3)
  end
  return kind.indirect
end

--- The bytes of FFI memory, or the first `length`, as a string.
function core.bytes_of(memory, length)
  local kind = kind_of(memory)
  if not kind or not kind.memory then
    error("write: FFI memory is an array, a struct or a pointer, got "
      .. (kind and kind.name or "a type"), 3)
  end
  local room = not kind.pointer and ffi.sizeof(memory)
  if kind.pointer and memory == nil then
    error("write: a pointer to bytes expected, got NULL", 3)
  elseif not (length or room) then
    error("write: 'length' is needed for a pointer", 3)
  elseif length and room and length > room then
    error(("write: 'length' is %.0f, but there are %.0f bytes")
      :format(length, room), 3)
  end
  return ffi.string(ffi.cast(byte_pointer, memory), length or room)
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
