-- What streams do in Lua: lines, and reads into memory of the FFI's.
local _, core = ...

local ffi = require "ffi"
local methods = core.stream_methods
local read_until, unread_rest = methods.read_until, methods.read_some
local read_into_memory = methods.read_into_memory
methods.read_into_memory = nil

-- --- lines ------------------------------------------------------------------

-- A "\n" takes a "\r" before it along.
local function trimmed(line)
  return line:byte(-1) == 13 and line:sub(1, -2) or line
end

-- The unterminated rest, after the peer's end; nil if there is none.
local function last_line(stream, options, trim, message, code)
  if code ~= "EOF" or stream:buffered() == 0 then return nil, message, code end
  local rest = unread_rest(stream, { max = stream:buffered(),
    timeout = options and options.timeout })
  return rest and trim(rest)
end

local function same(line) return line end

--- stream:lines([delimiter], [options]): an iterator of data without its
-- delimiter (default "\n", and then a "\r" before it goes too), the
-- unterminated rest last. Each step waits. An error other than the peer's end
-- is raised, for a loop could not tell it from the end.
function methods:lines(delimiter, options)
  if type(delimiter) == "table" and options == nil and #delimiter == 0 then
    delimiter, options = nil, delimiter
  end
  local trim = delimiter == nil and trimmed or same
  local step = { inclusive = false }
  for key, value in pairs(options or {}) do
    if key ~= "max" and key ~= "timeout" then
      error(("lines: unknown option '%s' (known: max, timeout)")
        :format(tostring(key)), 2)
    end
    step[key] = value
  end
  delimiter = delimiter or "\n"
  return function()
    local line, message, code = read_until(self, delimiter, step)
    if line then return trim(line) end
    if code == "EOF" then
      return (last_line(self, step, trim, message, code))
    end
    error(message, 2)
  end
end

-- --- memory -----------------------------------------------------------------

local byte_pointer = ffi.typeof("uint8_t *")

-- A string.buffer (LuaJIT's) reserves and commits; whatever else is cdata.
local function is_buffer(value)
  return type(value) == "userdata" and type(value.reserve) == "function"
end

local function check_count(n)
  if type(n) ~= "number" or n < 0 or n ~= math.floor(n) then
    error("bad argument #2 to 'read_into' "
      .. "(a whole number, 0 or more, expected)", 3)
  end
end

-- Where to put the bytes, and what to do with their count.
local function destination(buffer, n, offset)
  if is_buffer(buffer) then
    local pointer = buffer:reserve(n)
    return pointer, function(count)
      if count then buffer:commit(count) end
    end
  end
  if type(buffer) ~= "cdata" then
    error("bad argument #1 to 'read_into' (FFI memory or a string.buffer "
      .. "expected, got " .. type(buffer) .. ")", 3)
  end
  local size = ffi.sizeof(buffer)
  local is_pointer = tostring(ffi.typeof(buffer)):find("[*&]>") ~= nil
  if not is_pointer and size and offset + n > size then
    error(("read_into: %d bytes at offset %d do not fit into %d")
      :format(n, offset, size), 3)
  end
  return ffi.cast(byte_pointer, buffer) + offset, function() end
end

local function finish(commit, count, ...)
  commit(count)
  return count, ...
end

--- stream:read_into(buffer, n, [options], [callback]): the count of bytes put
-- into FFI memory (at `offset`) or appended to a string.buffer; exactly n, or
-- with `partial` at least one. Waits.
function methods:read_into(buffer, n, options, callback)
  check_count(n)
  if type(options) == "function" then options, callback = nil, options end
  local offset = options and options.offset or 0
  if type(offset) ~= "number" or offset < 0 or offset ~= math.floor(offset) then
    error("bad option 'offset' (a whole number, 0 or more, expected)", 2)
  end
  local partial = options ~= nil and options.partial == true
  local pointer, commit = destination(buffer, n, offset)
  local kept = { buffer, pointer }
  if not callback then
    return finish(commit,
      read_into_memory(self, pointer, n, partial, kept, options))
  end
  return read_into_memory(self, pointer, n, partial, kept, options,
    function(...) callback(finish(commit, ...)) end)
end

--- The bytes of FFI memory as a string: what stream:write does with cdata.
function core.bytes_of(memory, options)
  local length = options and options.length or ffi.sizeof(memory)
  return ffi.string(ffi.cast(byte_pointer, memory), length)
end
