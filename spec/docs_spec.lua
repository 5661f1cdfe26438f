local weir_binary = require("spec.support.weir")

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function shell(command)
  local pipe = io.popen(command .. " 2>&1")
  local text = pipe:read("*a")
  pipe:close()
  return text
end

describe("the man page", function()
  local page = read("doc/weir.1")

  it("formats without a warning", function()
    assert.equal("", shell("groff -man -Tutf8 -ww -z doc/weir.1"))
  end)

  it("has every option that --help has", function()
    local text = page:gsub("\\%-", "-")
    local help = weir_binary.run({ "--help" })
    for option in help:gmatch("\n  (%-%S*)") do
      option = option:gsub(",$", ""):gsub("%[=.*", "")
      assert.truthy(text:find("\n%.B[IR]? [^\n]*" ..
        option:gsub("%p", "%%%0")), option)
    end
  end)

  it("has the version that weir has", function()
    local version = weir_binary.run({ "--version" }):match("^weir (%d+%.%d+)")
    assert.equal(version, page:match('^%.TH WEIR 1 "" "weir (%S+)"'))
  end)
end)

describe("the README", function()
  it("has Lua examples that parse", function()
    local count = 0
    for code in read("README.md"):gmatch("\n```lua\n(.-)\n```") do
      assert(loadstring(code))
      count = count + 1
    end
    assert.is_true(count > 0)
  end)

  it("has Lua examples that run", function()
    for code in read("README.md"):gmatch("\n```lua\n(.-)\n```") do
      if not code:find("^it%(") then
        assert.same({ "", 0 }, { select(2, weir_binary.run({ "-e", code })) })
      end
    end
  end)

  it("has commands that parse", function()
    local count = 0
    local text = read("README.md") .. read("doc/weir.1"):gsub("\\%-", "-"):gsub("\\e", "\\")
    for code in text:gmatch("weir %-e '(.-)'") do
      assert(loadstring(code))
      count = count + 1
    end
    assert.equal(7, count)
  end)

  it("names files and folders that exist", function()
    local text = read("README.md")
    for path in text:gmatch("%f[%w]([a-z]+/[%w_./]*%w)") do
      local known = path:match("^scripts/") or path:match("^doc/")
      if known then assert(io.open(path), path) end
    end
  end)
end)
