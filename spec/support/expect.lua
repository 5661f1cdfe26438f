-- What calls come to that cannot do what they are asked.

local assert = require("luassert")

local M = {}

--- Asserts that nil, message, code came back; the message.
function M.fails(code, ...)
  local value, message, got = ...
  assert.is_nil(value)
  assert.equal(code, got, message)
  return message
end

--- Asserts that f raises such a message, at a line of its own file.
function M.raises(pattern, f)
  local file = debug.getinfo(f, "S").short_src:match("[^/]*$")
  local ok, message = pcall(f)
  assert.is_false(ok)
  assert.matches(pattern, message)
  assert.is_truthy(message:match("^[^\n]-([^/\n]*):%d+: ") == file, message)
end

return M
