-- Every ```lua block of doc/reference is a whole script: it is run, must exit
-- with 0, and a ```text block right behind it is its exact standard output.

local weir_binary = require("spec.support.weir")

local AT_ONCE = 4 -- children

local function output_of(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return text
end

-- The blocks of a page: code, output (or nil) and the heading they are under.
local function blocks_of(path)
  local file = assert(io.open(path))
  local blocks, block, kind, heading = {}, nil, nil, path
  for line in file:lines() do
    if kind and line == "```" then
      block[kind] = table.concat(block.lines, "\n") .. "\n"
      kind = nil
    elseif kind then
      block.lines[#block.lines + 1] = line
    elseif line == "```lua" then
      kind, block = "code", { name = heading, lines = {} }
      blocks[#blocks + 1] = block
    elseif line == "```text" and block then
      kind, block.lines = "output", {}
    elseif line ~= "" then
      block = nil
      heading = line:match("^#+ (.*)") or heading
    end
  end
  file:close()
  return blocks
end

local function start(block)
  block.folder = weir_binary.folder({ ["example.lua"] = block.code })
  block.pipe = io.popen(("cd %s && timeout 60 '%s' example.lua 2>&1 >out; echo status $?")
    :format(block.folder, weir_binary.binary))
end

-- Waits for a block that was started; what is wrong with it, or nil.
local function fault_of(block)
  local said = block.pipe:read("*a")
  block.pipe:close()
  local file = assert(io.open(block.folder .. "/out"))
  local printed = file:read("*a")
  file:close()
  weir_binary.remove(block.folder)
  if not said:find("status 0\n$") then return said end
  if block.output and block.output ~= printed then
    return ("printed:\n%s\ninstead of:\n%s"):format(printed, block.output)
  end
end

-- Every public name: weir.NAME, and OBJECT:NAME for what such an object has.
local function public_names()
  local listener = assert(weir.listen("127.0.0.1:0", print))
  local objects = { stream = weir.pair(), listener = listener, socket = weir.udp(),
    channel = weir.channel(), task = weir.spawn(print), timer = weir.after(0, print) }
  local names = {}
  for name in pairs(weir) do names[#names + 1] = "weir." .. name end
  for kind, object in pairs(objects) do
    for name in pairs(debug.getmetatable(object).__index) do
      if not name:find("^__") then names[#names + 1] = kind .. ":" .. name end
    end
  end
  listener:close()
  objects.socket:close()
  objects.task:cancel()
  objects.timer:cancel()
  return names
end

describe("the reference", function()
  it("has every name that there is", function()
    local text = output_of("cat doc/reference/[a-z]*.md")
    local missing = {}
    for _, name in ipairs(public_names()) do
      if not text:find(name, 1, true) then missing[#missing + 1] = name end
    end
    assert.same({}, missing)
  end)

  it("has an index whose links lead somewhere", function()
    local index, headings = output_of("cat doc/reference/README.md"), {}
    for page in index:gmatch("%]%((%w+%.md)") do
      for heading in output_of("cat doc/reference/" .. page):gmatch("\n#+ ([^\n]*)") do
        headings[page .. "#" .. heading:lower():gsub("[^%w_ -]", ""):gsub(" ", "-")] = true
      end
    end
    for target in index:gmatch("%]%((%w+%.md#[^)]*)%)") do assert.is_true(headings[target], target) end
  end)

  it("has an index of the names that it describes", function()
    local index = output_of("cat doc/reference/README.md")
    for heading in output_of("cat doc/reference/[a-z]*.md"):gmatch("\n## (%l[^\n]*)") do
      for name in heading:gmatch("[%w.:_]+") do
        assert.truthy(index:find(name, 1, true), name)
      end
    end
  end)

  for path in output_of("ls doc/reference/*.md"):gmatch("[^\n]+") do
    it(path .. " has examples that run, and print what it says", function()
      local blocks, faults = blocks_of(path), {}
      for i = 1, #blocks + AT_ONCE do
        if blocks[i] then start(blocks[i]) end
        local block = blocks[i - AT_ONCE]
        local fault = block and fault_of(block)
        if fault then faults[#faults + 1] = block.name .. ": " .. fault end
      end
      assert.equal("", table.concat(faults, "\n"))
    end)
  end
end)
