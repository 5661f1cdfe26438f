-- The examples, run as a user runs them, against real peers.

local examples = require("spec.support.examples")
local nginx = require("spec.support.nginx")
local weir_binary = require("spec.support.weir")

after_each(examples.kill_all)

describe("hello.lua", function()
  it("says hello", function()
    assert.equal("hello, world\n",
      (examples.run({ weir_binary.binary, "scripts/examples/hello.lua" })))
  end)
end)

describe("http_get.lua", function()
  local server

  setup(function()
    server = nginx.start()
    os.execute(("cd %s/www; for n in 1 65536 52428800; do "
      .. "head -c $n /dev/urandom >$n; done; chmod 644 *"):format(server.folder))
  end)

  teardown(function() server.stop() end)

  for _, style in ipairs({ "", "--callbacks" }) do
    for name, size in pairs({ one = 1, medium = 65536, large = 52428800 }) do
      it("fetches " .. name .. " from nginx byte for byte " .. style, function()
        local _, err, status = examples.run({ "sh", "-c", ([[
          "$0" scripts/examples/http_get.lua %s http://%s/%d 2>/dev/null | cmp - %s/www/%d]])
          :format(style, server.tcp, size, server.folder, size), weir_binary.binary })
        assert.same({ "", 0 }, { err, status })
      end)
    end
  end
end)

describe("echo_server.lua", function()
  it("serves 1,000 python connections at once, losing and mixing nothing", function()
    local SCRIPT = [[
import asyncio, sys
async def client(port, n):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await gate(1)
    for i in range(10):
        line = b"connection %d line %d\n" % (n, i)
        writer.write(line)
        await writer.drain()
        assert await reader.readline() == line
    writer.close()
    return 10
count = 0
opened = asyncio.Event()
async def gate(n):
    global count
    count += n
    if count == 1000: opened.set()
    await opened.wait()
async def main():
    done = await asyncio.gather(*[client(int(sys.argv[1]), n) for n in range(1000)])
    print(sum(done), "lines")
asyncio.run(main())
]]
    local address = examples.serve("echo_server.lua", "127.0.0.1:0")
    local said = examples.run({ "sh", "-c", 'ulimit -n 4096; exec python3 -c "$0" "$1"', SCRIPT,
      address:match("%d+$") })
    assert.equal("10000 lines\n", said)
  end)
end)

describe("chat_server.lua", function()
  it("tells everyone what one says", function()
    local address = examples.serve("chat_server.lua", "127.0.0.1:0")
    local ann = assert(weir.connect(address))
    assert.equal("your name? ", ann:read_until("? "))
    ann:write("ann\n")
    assert.equal("* ann joins\n", ann:read_until("\n"))
    local bob = assert(weir.connect(address))
    bob:read_until("? ")
    bob:write("bob\n")
    assert.equal("* bob joins\n", ann:read_until("\n"))
    bob:write("hi\r\n")
    assert.equal("<bob> hi\n", ann:read_until("\n"))
    bob:close()
    assert.equal("* bob leaves\n", ann:read_until("\n"))
    ann:close()
  end)
end)
