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

--- The code of nil, message, code.
function M.code_of(...)
  return (select(3, ...))
end

--- Asserts that f raises such a message, at a line of its own file.
function M.raises(pattern, f)
  local file = debug.getinfo(f, "S").short_src:match("[^/]*$")
  local ok, message = pcall(f)
  assert.is_false(ok)
  assert.matches(pattern, message)
  assert.is_truthy(message:match("^[^\n]-([^/\n]*):%d+: ") == file, message)
end

--- Turns of the loop until condition() is true; an error after ten seconds.
function M.soon(condition)
  local limit = weir.now() + 10
  while not condition() do
    assert(weir.now() < limit, "it did not come to that in ten seconds")
    assert(weir.sleep(0))
  end
end

return M
