-- The examples about a protocol of one's own, and about testing servers, run
-- as a user runs them.
local shell = require("spec.support.weir")

local LIMIT = 20

describe("key_value.lua", function()
  local EXAMPLE = "scripts/examples/key_value.lua"
  local server, address

  setup(function()
    server = assert(weir.process({ shell.binary, EXAMPLE, "serve", "127.0.0.1:0" }))
    local line = assert(server.stdout:read_until("\n", { inclusive = false, timeout = LIMIT }))
    address = line:match("^listening on (.*)$")
  end)

  teardown(function()
    server:kill()
    assert.same({ "exit", 0 }, { server:wait({ timeout = LIMIT }) })
    assert.equal("", server.stderr:read_until_close({ timeout = LIMIT }))
  end)

  local function run(...)
    local output, err, status = shell.run({ EXAMPLE, ... })
    return output, status, err
  end

  it("keeps what it is given", function()
    assert.same({ "", 0, "" }, { run("set", "name", "some value", address) })
    assert.same({ "some value\n", 0, "" }, { run("get", "name", address) })
    assert.same({ "", 1, "" }, { run("get", "another", address) })
  end)

  it("says nothing in the clear, and takes no frame that is too long", function()
    local stream = assert(weir.connect(address, { timeout = LIMIT }))
    stream:write_frame("u16be", "Gname")
    assert.equal("!not understood", stream:read_frame("u16be"))
    stream:write("\255\255")
    assert.equal("EOF", select(3, stream:read_bytes(1)))
    stream:close()
  end)

  it("says how it is used", function()
    local _, status, err = run()
    assert.matches("^usage: ", err)
    assert.equal(2, status)
  end)
end)

describe("http_server_spec.lua", function()
  it("passes", function()
    local output, err, status = shell.run({ "--test", "-o", "TAP", "scripts/examples/http_server_spec.lua" })
    assert.equal("", err)
    assert.matches("ok 4", output)
    assert.is_nil(output:find("not ok", 1, true))
    assert.equal(0, status)
  end)
end)
