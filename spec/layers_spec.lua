-- The #includes point down (README, "How it works"): main and host over lua/
-- over event/ over io/ over base/, and what a library brings in stays in the
-- layer, or the file, that wraps it.

local HEIGHT = { base = 1, io = 2, event = 3, lua = 4, top = 5 }

-- Which files may include a header from outside: a Lua pattern of the header,
-- then one of each file.
local OUTSIDE = {
  { "^lua[%w]*%.h$", "^lua/", "^host%.c$", "^host%.h$", "^main%.c$" },
  { "^lauxlib%.h$", "^lua/", "^host%.c$" },
  { "^ev%.h$", "^event/", "^lua/task%.[ch]$" },
  { "^openssl/", "^io/tls[%w_]*%.c$" },
  { "^pcre2%.h$", "^base/regex%.c$" },
  { "^ares%.h$", "^event/resolver[%w_]*%.[ch]$", "^io/dns%.c$" },
  { "^readline/", "^lua/lua_readline%.c$" },
}

local function files()
  local list = {}
  local pipe = assert(io.popen("find src -name '*.[ch]' | LC_ALL=C sort"))
  for path in pipe:lines() do list[#list + 1] = path:sub(#"src/" + 1) end
  pipe:close()
  return list
end

local function layer(path) return path:match("^(%w+)/") or "top" end

local function matches_any(path, patterns)
  for i = 2, #patterns do
    if path:find(patterns[i]) then return true end
  end
  return false
end

-- Why `path` may not include "header" from within the project; nil if it may.
local function inner_fault(path, header)
  local from, to = layer(path), layer(header)
  if not HEIGHT[to] then return "is in no layer" end
  if HEIGHT[to] > HEIGHT[from] then return "points up" end
  if from == "event" and header:find("^io/tls") then
    return "is a transport, and streams are given theirs"
  end
end

local function outer_fault(path, header)
  for _, rule in ipairs(OUTSIDE) do
    if header:find(rule[1]) and not matches_any(path, rule) then
      return "leaks out of where it belongs"
    end
  end
end

-- What the build generates is included by its bare name, next to it.
local function generated(header) return header == "lua_modules_list.h" end

local function faults_in(path, text)
  local faults = {}
  for open, header in text:gmatch('\n%s*#%s*include%s*(["<])([^">]+)') do
    local fault
    if open == "<" then
      fault = outer_fault(path, header)
    elseif not generated(header) then
      fault = inner_fault(path, header)
    end
    if fault then
      faults[#faults + 1] = ("src/%s: %s %s"):format(path, header, fault)
    end
  end
  return faults
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return "\n" .. text
end

describe("layers", function()
  it("has sources to look at", function()
    assert.is_true(#files() > 5)
  end)

  it("finds an edge that points up or leaks", function()
    local function found(path, line)
      return #faults_in(path, "\n" .. line .. "\n")
    end
    assert.equal(1, found("base/buffer.c", '#include "io/net.h"'))
    assert.equal(1, found("event/stream.c", '#include "io/tls.h"'))
    assert.equal(1, found("event/stream.c", "#include <lua.h>"))
    assert.equal(1, found("lua/lua_stream.c", "#include <ev.h>"))
    assert.equal(1, found("io/net.c", "#include <openssl/ssl.h>"))
    assert.equal(1, found("lua/task.c", '#include "host.h"'))
    assert.equal(0, found("lua/task.c", "#include <ev.h>"))
    assert.equal(0, found("io/tls.c", "#  include <openssl/ssl.h>"))
    assert.equal(0, found("lua/lua_tls.c", '#include "io/tls.h"'))
  end)

  it("depend on what is below them only", function()
    local faults = {}
    for _, path in ipairs(files()) do
      for _, fault in ipairs(faults_in(path, read("src/" .. path))) do
        faults[#faults + 1] = fault
      end
    end
    assert.same({}, faults)
  end)
end)
